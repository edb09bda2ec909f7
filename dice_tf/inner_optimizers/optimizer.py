"""What an inner optimiser is: a step of ascent that can be differentiated."""

import abc
from typing import Any, NamedTuple

import tensorflow as tf

from dice_tf.checks import (
    as_tensors,
    check_kind,
    check_same_shape,
    naming,
)


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


def check_inner_optimizer(name: str, optimizer: Any) -> InnerOptimizer:
    """Returns the optimiser, or raises if it is not an `InnerOptimizer`."""
    if not isinstance(optimizer, InnerOptimizer):
        raise TypeError(
            f"`{name}` must be a dice_tf.inner_optimizers.InnerOptimizer, "
            "whose steps can be differentiated (those of Keras cannot). "
            f"Received: {optimizer!r}."
        )
    return optimizer


def check_move(
    params: Any, gradients: Any, learning_rate: Any
) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
    """Returns parameters and gradients as tensors, or raises.

    Raises:
      TypeError: if they are not lists.
      ValueError: if there is not one gradient for each parameter, an entry is
        not a tensor, or the rate is not a scalar.
    """
    params = as_tensors("params", params)
    gradients = as_tensors("gradients", gradients)
    if len(gradients) != len(params):
        raise ValueError(
            "`gradients` must hold one tensor for each of `params`, "
            f"{len(params)}. Received {len(gradients)}."
        )
    for position, (param, gradient) in enumerate(
        zip(params, gradients, strict=True)
    ):
        check_same_shape(
            f"gradients[{position}]", gradient, f"params[{position}]", param
        )
    with naming("learning_rate", learning_rate, "a number or a scalar tensor"):
        if tf.is_tensor(learning_rate):
            learning_rate.shape.assert_has_rank(0)
        else:
            float(learning_rate)
    return params, gradients


def check_slots(slots: Any, kind: type | tuple[type, ...]) -> Any:
    """Returns the slots, or raises if they are of another type."""
    return check_kind("slots", slots, kind, "what `init` or a step returned")


def as_dtype(value: Any, dtype: tf.DType) -> tf.Tensor:
    """Returns a number or tensor in a dtype, without loss of digits."""
    # `tf.cast` of a Python number passes through float32.
    if tf.is_tensor(value):
        return tf.cast(value, dtype)
    return tf.constant(value, dtype)
