"""Optimisers whose steps are differentiable functions of tensors.

The steps that a look-ahead imagines must be differentiated through, which
Keras optimisers cannot be: these take parameters, gradients and slots as
tensors and return new ones. All of them *ascend*.
"""

import abc
from typing import Any, NamedTuple

import tensorflow as tf

from dice_tf.checks import check_number


class InnerStep(NamedTuple):
    """The result of one differentiable step.

    Attributes:
      params: list of tensors, the parameters after the step.
      slots: nest of tensors, what the optimiser remembers.
    """

    params: list[tf.Tensor]
    slots: Any


class InnerOptimizer(abc.ABC):
    """A differentiable gradient-ascent rule, as pure functions."""

    @abc.abstractmethod
    def init(self, params: list[tf.Tensor]) -> Any:
        """Returns the slots to start from."""

    @abc.abstractmethod
    def step(
        self,
        params: list[tf.Tensor],
        gradients: list[tf.Tensor],
        slots: Any,
        learning_rate: Any,
    ) -> InnerStep:
        """Makes one step of ascent.

        Args:
          params: list of tensors.
          gradients: the gradients to ascend, tensors like `params`.
          slots: what `init` or the last step returned.
          learning_rate: scalar.

        Returns:
          An `InnerStep`, differentiable in all arguments.
        """


class SGD(InnerOptimizer):
    """Gradient ascent, with optional (heavy-ball) momentum.

    `m <- momentum * m + g`, `theta <- theta + learning_rate * m`. Without
    momentum, `theta <- theta + learning_rate * g`.

    Args:
      momentum: in [0, 1].
    """

    def __init__(self, momentum: float = 0.0):
        self.momentum = check_number("momentum", momentum, 0.0, 1.0)

    def init(self, params: list[tf.Tensor]) -> list[tf.Tensor]:
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
        if self.momentum:
            slots = [
                self.momentum * slot + gradient
                for slot, gradient in zip(slots, gradients, strict=True)
            ]
            gradients = slots
        params = [
            param + _as_dtype(learning_rate, param.dtype) * gradient
            for param, gradient in zip(params, gradients, strict=True)
        ]
        return InnerStep(params, slots)


def _as_dtype(value: Any, dtype: tf.DType) -> tf.Tensor:
    # `tf.cast` of a Python number passes through float32.
    if tf.is_tensor(value):
        return tf.cast(value, dtype)
    return tf.constant(value, dtype)
