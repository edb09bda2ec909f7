"""The magic box as a constant."""

from collections.abc import Callable

import tensorflow as tf


def unit_box(x: tf.Tensor) -> tf.Tensor:
    """Returns ones with the derivatives of `exp(x - stop_gradient(x))`.

    The formula is its plain reference, `dice_tf.magic_box`. It computes `x`
    only to cancel it, and XLA does not know that the difference is 0. With a
    constant 1, a compiler drops all that leads to `x` where only derivatives
    are used. With the formula, a training iteration of batch 4,096 takes 1.02
    to 1.4 of its time, on two CPU cores (benchmarks/PROFILE.md).

    TensorFlow forgets the derivatives of such a function if
    `tf.vectorized_map` stands between it and a tape: they are then 0, without
    an error. The function is for code whose tapes are opened inside of such a
    map, as in a trainer's step.

    Args:
      x: floating tensor of any shape.

    Returns:
      A tensor like `x`, differentiable in `x` to any order.
    """
    return _unit_box(tf.convert_to_tensor(x))


@tf.custom_gradient
def _unit_box(x: tf.Tensor) -> tuple[tf.Tensor, Callable]:
    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        return upstream * _unit_box(x)

    return tf.ones_like(x), gradient
