"""Adam, differentiable also for gradients of 0."""

from typing import Any, NamedTuple

import tensorflow as tf

from dice_tf.checks import as_tensors, check_number
from dice_tf.inner_optimizers.optimizer import (
    InnerOptimizer,
    InnerStep,
    as_dtype,
    check_move,
    check_slots,
)


class AdamSlots(NamedTuple):
    """What `Adam` remembers.

    Attributes:
      count: int32 scalar, number of steps made.
      means: list of tensors like the parameters, running means of gradients.
      squares: list of tensors like the parameters, of their squares.
    """

    count: tf.Tensor
    means: list[tf.Tensor]
    squares: list[tf.Tensor]


class Adam(InnerOptimizer):
    """Ascent by Adam, with the update of `keras.optimizers.Adam`.

    `m <- beta_1 m + (1 - beta_1) g`, `v <- beta_2 v + (1 - beta_2) g^2`,

      `theta <- theta + learning_rate c_t m / (sqrt(v) + epsilon)`,

    with `c_t = sqrt(1 - beta_2^t) / (1 - beta_1^t)` at step t, from 1. For an
    entry whose gradient has always been 0, the derivative of the step is the
    true one, although that of `sqrt(v)` alone is infinite. It is then of the
    order of `learning_rate / epsilon`: a larger `epsilon` tames it.

    Args:
      beta_1: in [0, 1), decay of the mean of gradients.
      beta_2: in [0, 1), decay of the mean of their squares.
      epsilon: positive.

    Raises:
      TypeError, ValueError: if an argument is out of its range.

    References:
      Kingma & Ba 2015 (Adam), in the form without intermediate bias
      corrections.
    """

    def __init__(
        self,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
    ):
        self.beta_1 = _check_decay("beta_1", beta_1)
        self.beta_2 = _check_decay("beta_2", beta_2)
        self.epsilon = check_number("epsilon", epsilon)
        if self.epsilon == 0.0:
            raise ValueError("`epsilon` must be positive. Received: 0.0.")

    def init(self, params: list[tf.Tensor]) -> AdamSlots:
        params = as_tensors("params", params)
        return AdamSlots(
            tf.zeros([], tf.int32),
            [tf.zeros_like(param) for param in params],
            [tf.zeros_like(param) for param in params],
        )

    def step(
        self,
        params: list[tf.Tensor],
        gradients: list[tf.Tensor],
        slots: AdamSlots,
        learning_rate: Any,
    ) -> InnerStep:
        params, gradients = check_move(params, gradients, learning_rate)
        count = check_slots(slots, AdamSlots).count + 1
        means = _running_means(slots.means, gradients, self.beta_1)
        squares = _running_means(
            slots.squares, [tf.square(g) for g in gradients], self.beta_2
        )
        moved = []
        for param, mean, square in zip(params, means, squares, strict=True):
            rate = as_dtype(learning_rate, param.dtype) * self._correction(
                tf.cast(count, param.dtype)
            )
            moved.append(
                param + rate * mean / (_safe_sqrt(square) + self.epsilon)
            )
        return InnerStep(moved, AdamSlots(count, means, squares))

    def _correction(self, count: tf.Tensor) -> tf.Tensor:
        beta_1 = as_dtype(self.beta_1, count.dtype)
        beta_2 = as_dtype(self.beta_2, count.dtype)
        return tf.sqrt(1.0 - beta_2**count) / (1.0 - beta_1**count)


def _check_decay(name: str, value: Any) -> float:
    value = check_number(name, value, 0.0, 1.0)
    if value == 1.0:
        raise ValueError(f"`{name}` must be below 1. Received: {name}=1.0.")
    return value


def _running_means(
    means: list[tf.Tensor], values: list[tf.Tensor], decay: float
) -> list[tf.Tensor]:
    return [
        decay * mean + (1.0 - decay) * value
        for mean, value in zip(means, values, strict=True)
    ]


def _safe_sqrt(x: tf.Tensor) -> tf.Tensor:
    """Returns the square root, with derivative 0 instead of infinity at 0."""
    positive = x > 0.0
    root = tf.sqrt(tf.where(positive, x, tf.ones_like(x)))
    return tf.where(positive, root, tf.zeros_like(x))
