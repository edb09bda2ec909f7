"""What `tf.vectorized_map` has to know before it converts a loop."""

from typing import Any

import tensorflow as tf


def of_each_run(nest: Any, source: tf.Tensor) -> Any:
    """Returns tensors that `tf.vectorized_map` holds once for each run.

    It holds one of a tensor for each run if the tensor differs by run. It would
    take what a loop starts from, such as zeros, for the same in all runs, find
    in the loop that it is not, and convert the loop again and again, which
    takes several times as long.

    Args:
      nest: nest of tensors.
      source: a tensor that differs by run, such as a seed.

    Returns:
      The nest, with the same values.
    """
    entry = tf.reshape(source, [-1])[0]
    is_same = entry == entry
    return tf.nest.map_structure(lambda x: tf.where(is_same, x, x), nest)
