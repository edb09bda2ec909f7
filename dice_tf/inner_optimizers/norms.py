"""Norms of all tensors of a player together."""

from collections.abc import Sequence

import tensorflow as tf


def squared_norm(tensors: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns the sum of the squares of all entries, a scalar.

    Args:
      tensors: at least one, of one floating dtype.
    """
    return tf.add_n([tf.reduce_sum(tf.square(x)) for x in tensors])


def global_norm(tensors: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns the root of `squared_norm`, a scalar.

    `tf.vectorized_map` turns `tf.linalg.global_norm` into a loop over the
    runs, since that computes each norm by `tf.nn.l2_loss`.

    Args:
      tensors: at least one, of one floating dtype.
    """
    return tf.sqrt(squared_norm(tensors))
