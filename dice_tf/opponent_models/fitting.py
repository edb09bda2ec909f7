"""How models are fitted: a rate and an optimiser, for all or per seat."""

import numbers
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf
from keras.optimizers.schedules import LearningRateSchedule

from dice_tf.checks import check_number, check_per_player
from dice_tf.inner_optimizers import Adam, InnerOptimizer
from dice_tf.inner_optimizers.optimizer import check_inner_optimizer


class FittingRule(NamedTuple):
    """How one model is fitted.

    Attributes:
      learning_rate: of each step, or a schedule over iterations; a scalar
        tensor once the iteration is known.
      optimizer: the rule of a step.
    """

    learning_rate: float | tf.Tensor | LearningRateSchedule
    optimizer: InnerOptimizer

    def at(self, iteration: tf.Tensor) -> "FittingRule":
        """Returns the rule of one iteration, without a schedule.

        Args:
          iteration: int32 scalar, number of iterations before it.
        """
        if isinstance(self.learning_rate, LearningRateSchedule):
            return self._replace(learning_rate=self.learning_rate(iteration))
        return self


def fitting_rules(
    models: Sequence[keras.Model | None], learning_rate: Any, optimizer: Any
) -> tuple[FittingRule | None, ...]:
    """Returns the rule of each seat, `None` if there is no model.

    Args:
      models: one per seat, or `None`.
      learning_rate: a number or a schedule, or a list with one per seat.
      optimizer: an `InnerOptimizer`, or a list with one per seat; `None`
        stands for `Adam`.

    Raises:
      TypeError, ValueError: if there is not one of each for every model.
    """
    rates = _per_seat("learning_rate", learning_rate, models, _check_rate)
    if optimizer is None:
        optimizer = Adam()
    optimizers = _per_seat(
        "optimizer", optimizer, models, check_inner_optimizer
    )
    return tuple(
        None if model is None else FittingRule(*rule)
        for model, *rule in zip(models, rates, optimizers, strict=True)
    )


def _per_seat(
    name: str,
    given: Any,
    models: Sequence[keras.Model | None],
    check: Any,
) -> list[Any]:
    """Returns one entry per seat, checked if given or if there is a model."""
    if not isinstance(given, (list, tuple)):
        return [check(name, given)] * len(models)
    entries = check_per_player(name, given, len(models))
    return [
        None
        if model is None and entry is None
        else check(f"{name}[{seat}]", entry)
        for seat, (model, entry) in enumerate(zip(models, entries, strict=True))
    ]


def _check_rate(name: str, rate: Any) -> float | LearningRateSchedule:
    if isinstance(rate, LearningRateSchedule):
        return rate
    if not isinstance(rate, numbers.Real):
        raise TypeError(
            f"`{name}` must be a number or a schedule of "
            "keras.optimizers.schedules, or a list of these with one entry "
            f"per seat. Received: {rate!r}."
        )
    return check_number(name, rate)
