"""One program for many independent runs, and for many steps."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from dice_tf.replicas import num_replicas


def map_runs(
    function: Callable, inputs: Any, num_runs: int, can_vectorize: bool = True
) -> Any:
    """Applies a function to each run, vectorised in graphs if it can be.

    Args:
      function: from the nest of one run to a nest of tensors.
      inputs: nest of tensors with a leading axis of runs.
      num_runs: number of runs.
      can_vectorize: whether TensorFlow can vectorise it.

    Returns:
      A nest of tensors with a leading axis of runs; what is `None` stays.
    """
    # What is reduced over replicas cannot be vectorised.
    can_vectorize &= not tf.executing_eagerly() and num_replicas() == 1
    if num_runs > 1 and can_vectorize:
        return tf.vectorized_map(function, inputs)
    runs = [function(take_run(inputs, run)) for run in range(num_runs)]
    return tf.nest.map_structure(
        lambda *values: None if values[0] is None else tf.stack(values), *runs
    )


def take_run(state: Any, run: int) -> Any:
    """Returns one run of a nest of tensors with a leading axis of runs."""
    return tf.nest.map_structure(lambda x: x[run], state)


def map_steps(step: Callable[[Any], tf.Tensor], num_steps: int) -> tf.Tensor:
    """Makes steps one after the other, and stacks what they return.

    Args:
      step: from its number to a tensor, float32.
      num_steps: number of steps.
    """
    if num_steps == 1:
        return step(0)[tf.newaxis]
    return tf.map_fn(
        step,
        tf.range(num_steps),
        parallel_iterations=1,
        fn_output_signature=tf.float32,
    )
