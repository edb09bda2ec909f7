"""The Taylor terms of opponent shaping, and the learners that add them up."""

import abc
from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from dice_tf.learners.assumed_rates import AssumedRatesLearner, Move
from dice_tf.learners.derivatives import (
    cross_gradients,
    evaluation_seeds,
    inner_product,
    opponents_of,
)
from dice_tf.learners.learner import Situation, gradient_of, own_gradients
from dice_tf.objectives.objective import Objective, Params
from dice_tf.seeds import Seed


class TaylorTerms(NamedTuple):
    """The three parts of a player's gradient of the Taylor surrogate.

    With `S_i = V_i + sum_j <dV_i/dtheta_j, a_j dV_j/dtheta_j>` over the
    opponents j, the value of i after one naive step of the opponents to first
    order in their rates `a_j`, the three add up to `dS_i / dtheta_i`.

    Attributes:
      naive: tensors like `params[i]`, the gradient of `V_i`.
      look_ahead: of the products with the steps held constant: how the value
        gradient changes where the opponents go.
      shaping: of the products with the value gradients held constant: how the
        player changes where the opponents go.
    """

    naive: list[tf.Tensor]
    look_ahead: list[tf.Tensor]
    shaping: list[tf.Tensor]


def taylor_terms(
    objective: Objective,
    params: Params,
    player_ids: Sequence[int],
    seed: Seed | None,
    rates: Sequence[Any],
) -> tuple[dict[int, TaylorTerms], dict[int, list[tf.Tensor]]]:
    """Computes the Taylor terms of some players.

    The values and the first factor of each product are evaluated with the seed
    itself, and the second factor, the step, with a seed split from it: the
    terms of an unbiased objective are then unbiased. From one batch the
    product would be biased by the covariance of its factors.

    Args:
      objective: what all players maximise.
      params: one list of tensors per player.
      player_ids: the players whose terms are computed.
      seed: int32 `[2]`.
      rates: `a_j`, one per player.

    Returns:
      `TaylorTerms` by player, differentiable in all parameters by an outer
      tape, and the gradient of each opponent's value in its own parameters, by
      opponent.
    """
    value_seed, step_seed = evaluation_seeds(seed, 2)
    opponents = {i: opponents_of(params, i) for i in player_ids}
    movers = sorted({j for others in opponents.values() for j in others})
    with tf.GradientTape(
        persistent=True, watch_accessed_variables=False
    ) as tape:
        for i in player_ids:
            tape.watch(params[i])
        values, factors = cross_gradients(
            objective, params, player_ids, movers, value_seed
        )
        steps = {}
        if movers:
            steps = own_gradients(objective, params, movers, step_seed)
        look_ahead = {i: tf.zeros_like(values[i]) for i in player_ids}
        shaping = dict(look_ahead)
        for i in player_ids:
            for j in opponents[i]:
                factor, step = factors[i][j], steps[j]
                look_ahead[i] += rates[j] * inner_product(
                    factor, _constant(tape, step)
                )
                shaping[i] += rates[j] * inner_product(
                    _constant(tape, factor), step
                )
    terms = {
        i: TaylorTerms(
            gradient_of(tape, values[i], params[i]),
            gradient_of(tape, look_ahead[i], params[i]),
            gradient_of(tape, shaping[i], params[i]),
        )
        for i in player_ids
    }
    return terms, steps


class TaylorLearner(AssumedRatesLearner):
    """A learner whose direction is made of Taylor terms.

    Args:
      inner_learning_rate: `a`, the rate assumed for the opponents: one
        number, one per player, or `InnerRates`.

    Raises:
      TypeError, ValueError: if the rates are none of these.
    """

    def move(self, situation: Situation, rates: Sequence[Any]) -> Move:
        objective, params, player_id, seed = situation
        terms, gradients = taylor_terms(
            objective, params, self.terms_of(params, player_id), seed, rates
        )
        return Move(self.combine(terms, player_id), gradients)

    def terms_of(self, params: Params, player_id: int) -> list[int]:
        """Returns the players whose terms `combine` needs."""
        del params
        return [player_id]

    @abc.abstractmethod
    def combine(
        self, terms: dict[int, TaylorTerms], player_id: int
    ) -> list[tf.Tensor]:
        """Returns the player's direction."""


def _constant(
    tape: tf.GradientTape, tensors: list[tf.Tensor]
) -> list[tf.Tensor]:
    """Returns tensors that are constants to one tape.

    To a tape around it they are not: it differentiates the direction, as
    `dice_tf.learners.consistency_loss` does. `tf.stop_gradient` would lose how
    the factor changes, without an error.
    """
    with tape.stop_recording():
        return [tf.identity(tensor) for tensor in tensors]
