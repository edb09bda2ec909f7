"""Clipping the gradients of another inner optimiser."""

from typing import Any

import tensorflow as tf

from dice_tf.checks import check_number
from dice_tf.inner_optimizers.norms import squared_norm
from dice_tf.inner_optimizers.optimizer import (
    InnerOptimizer,
    InnerStep,
    check_move,
)
from dice_tf.inner_optimizers.sgd import optimizer_or_sgd

# The square of a larger norm is infinite in float32, and every gradient would
# be clipped to 0.
_LARGEST = 1.8e19


class ClipByGlobalNorm(InnerOptimizer):
    """Clips the gradients to a norm, then steps with another optimiser.

    `g <- g min(1, max_norm / |g|)`, with `|g|` the norm of all gradients of
    the player together. A step that clips is differentiated through the norm;
    one that does not clip leaves the gradients as they are.

    Args:
      max_norm: positive, at most 1.8e19.
      optimizer: makes the step. Default: plain `SGD`.

    Raises:
      TypeError, ValueError: if an argument is out of its range.

    Example:
      >>> optimizer = dice_tf.inner_optimizers.ClipByGlobalNorm(
      ...     1.0, dice_tf.inner_optimizers.Adam()
      ... )
    """

    def __init__(
        self, max_norm: float, optimizer: InnerOptimizer | None = None
    ):
        self.max_norm = check_number("max_norm", max_norm, 0.0, _LARGEST)
        if self.max_norm == 0.0:
            raise ValueError("`max_norm` must be positive. Received: 0.0.")
        self.optimizer = optimizer_or_sgd("optimizer", optimizer)

    def init(self, params: list[tf.Tensor]) -> Any:
        return self.optimizer.init(params)

    def step(
        self,
        params: list[tf.Tensor],
        gradients: list[tf.Tensor],
        slots: Any,
        learning_rate: Any,
    ) -> InnerStep:
        params, gradients = check_move(params, gradients, learning_rate)
        if gradients:
            # The maximum stands inside the root: the derivative of a norm is
            # infinite at 0.
            square = tf.maximum(squared_norm(gradients), self.max_norm**2)
            norm = tf.sqrt(square)
            gradients = [g * (self.max_norm / norm) for g in gradients]
        return self.optimizer.step(params, gradients, slots, learning_rate)
