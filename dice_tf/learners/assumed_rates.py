"""Learners that assume at which rates the players learn."""

import abc
from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from dice_tf.learners.inner_rates import (
    InnerRates,
    as_inner_rates,
    rates_of_players,
)
from dice_tf.learners.learner import (
    Learner,
    LearnerStep,
    Situation,
    check_step,
)
from dice_tf.objectives.objective import Objective, Params
from dice_tf.seeds import Seed


class Move(NamedTuple):
    """What a learner found, and what its rates may learn from.

    Attributes:
      direction: list of tensors like the player's parameters.
      gradients: for each player that is assumed to learn, the gradient of its
        value in its own parameters. May be empty if the rates do not read it,
        see `InnerRates.reads_gradients`.
    """

    direction: list[tf.Tensor]
    gradients: dict[int, list[tf.Tensor]]


class AssumedRatesLearner(Learner):
    """A learner that assumes rates, and remembers only what these remember.

    Args:
      inner_learning_rate: the rates assumed: one number, one per player, or
        `InnerRates`, whose state is the learner's.

    Raises:
      TypeError, ValueError: if the rates are none of these.
    """

    def __init__(
        self,
        inner_learning_rate: float | Sequence[float] | InnerRates = 1.0,
    ):
        self.inner_learning_rate = inner_learning_rate
        self.inner_rates = as_inner_rates(inner_learning_rate)

    def init(self, params: Params) -> Any:
        return self.inner_rates.init(params)

    def step(
        self,
        objective: Objective,
        params: Params,
        player_id: int,
        seed: Seed | None,
        state: Any,
    ) -> LearnerStep:
        params = check_step(objective, params, player_id)
        state = self.inner_rates.observe(state, params)
        rates = rates_of_players(self.inner_rates, state, params)
        situation = Situation(objective, params, player_id, seed)
        move = self.move(situation, rates)
        return LearnerStep(
            move.direction,
            self.inner_rates.remember(state, params, move.gradients),
        )

    @abc.abstractmethod
    def move(self, situation: Situation, rates: Sequence[Any]) -> Move:
        """Computes the direction, given one rate per player."""
