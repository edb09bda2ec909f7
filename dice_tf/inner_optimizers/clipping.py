"""Clipping the gradients of another inner optimiser."""

from typing import Any

import tensorflow as tf

from dice_tf.checks import check_number
from dice_tf.inner_optimizers.optimizer import (
    InnerOptimizer,
    InnerStep,
    check_inner_optimizer,
)
from dice_tf.inner_optimizers.sgd import SGD

# The square of a larger norm is infinite in float32: all would be clipped to 0.
_LARGEST = 1.8e19


class ClipByGlobalNorm(InnerOptimizer):
    """Clips the gradients to a norm, then steps with another optimiser.

    `g <- g min(1, max_norm / |g|)`, with `|g|` the norm of all gradients of
    the player together. Where it clips it is differentiated through the norm,
    where it does not it is the identity.

    Args:
      max_norm: positive, at most 1.8e19.
      optimizer: makes the step. Default: plain `SGD`.

    Raises:
      TypeError, ValueError: if an argument is out of its range.

    Example:
      >>> optimizer = ClipByGlobalNorm(1.0, Adam())
    """

    def __init__(
        self, max_norm: float, optimizer: InnerOptimizer | None = None
    ):
        self.max_norm = check_number("max_norm", max_norm, 0.0, _LARGEST)
        if self.max_norm == 0.0:
            raise ValueError("`max_norm` must be positive. Received: 0.0.")
        self.optimizer = check_inner_optimizer(
            "optimizer", SGD() if optimizer is None else optimizer
        )

    def init(self, params: list[tf.Tensor]) -> Any:
        return self.optimizer.init(params)

    def step(
        self,
        params: list[tf.Tensor],
        gradients: list[tf.Tensor],
        slots: Any,
        learning_rate: Any,
    ) -> InnerStep:
        if gradients:
            square = sum_of_squares(gradients)
            # Inside the root, as the derivative of a norm is infinite at 0.
            norm = tf.sqrt(tf.maximum(square, self.max_norm**2))
            gradients = [g * (self.max_norm / norm) for g in gradients]
        return self.optimizer.step(params, gradients, slots, learning_rate)


def sum_of_squares(tensors: list[tf.Tensor]) -> tf.Tensor:
    """Returns the square of the norm of several tensors together, a scalar.

    `tf.linalg.global_norm` would do, but `tf.vectorized_map` turns it into a
    loop over runs.

    Args:
      tensors: at least one, of one dtype.
    """
    return tf.add_n([tf.reduce_sum(tf.square(x)) for x in tensors])
