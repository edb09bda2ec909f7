"""Gradient ascent, with or without momentum."""

from typing import Any

import tensorflow as tf

from dice_tf.checks import as_tensors, check_number
from dice_tf.inner_optimizers.optimizer import (
    InnerOptimizer,
    InnerStep,
    as_dtype,
    check_inner_optimizer,
    check_move,
    check_slots,
)


class SGD(InnerOptimizer):
    """Gradient ascent, with optional (heavy-ball) momentum.

    `m <- momentum * m + g`, `theta <- theta + learning_rate * m`. Without
    momentum, `theta <- theta + learning_rate * g`.

    Args:
      momentum: in [0, 1].

    Raises:
      TypeError, ValueError: if the momentum is out of its range.
    """

    def __init__(self, momentum: float = 0.0):
        self.momentum = check_number("momentum", momentum, 0.0, 1.0)

    def init(self, params: list[tf.Tensor]) -> list[tf.Tensor]:
        params = as_tensors("params", params)
        if not self.momentum:
            return []
        return [tf.zeros_like(param) for param in params]

    def step(
        self,
        params: list[tf.Tensor],
        gradients: list[tf.Tensor],
        slots: list[tf.Tensor],
        learning_rate: Any,
    ) -> InnerStep:
        params, gradients = check_move(params, gradients, learning_rate)
        check_slots(slots, (list, tuple))
        if self.momentum:
            slots = [
                self.momentum * slot + gradient
                for slot, gradient in zip(slots, gradients, strict=True)
            ]
            gradients = slots
        params = [
            param + as_dtype(learning_rate, param.dtype) * gradient
            for param, gradient in zip(params, gradients, strict=True)
        ]
        return InnerStep(params, slots)


def optimizer_or_sgd(name: str, optimizer: Any) -> InnerOptimizer:
    """Returns the optimiser, plain `SGD` for `None`, or raises.

    Args:
      name: of the argument, for the error.
      optimizer: an `InnerOptimizer` or `None`.

    Raises:
      TypeError: if it is neither.
    """
    if optimizer is None:
        return SGD()
    return check_inner_optimizer(name, optimizer)
