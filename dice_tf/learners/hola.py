"""HOLA: opponents that look ahead too, to any order."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from dice_tf.checks import check_whole_number
from dice_tf.learners.assumed_rates import AssumedRatesLearner, Move
from dice_tf.learners.derivatives import (
    after_steps,
    evaluation_seeds,
    opponents_of,
)
from dice_tf.learners.inner_rates import InnerRates
from dice_tf.learners.learner import Situation, gradient_of
from dice_tf.objectives.objective import Objective, Params
from dice_tf.seeds import Seed, split_seed


class HOLA(AssumedRatesLearner):
    """Higher-order LOLA: shapes opponents that shape, to order n.

    With the naive directions `d_i^0 = dV_i/dtheta_i`, those of order n are

      `d_i^n = d/dtheta_i V_i(theta_i, theta_-i + a d_-i^(n-1)(theta))`,

    the total derivative, which flows through the opponents' directions of
    order n - 1 and all that they are made of. With `order=0` this is `Naive`,
    with `order=1` the unrolled one-step look-ahead, `LOLADiCE(1)`. At order n
    derivatives of order n + 1 are taken.

    A sampled objective plays once for all naive directions, with the seed
    itself. For every higher order, and for every player in it, it plays anew
    with the parameters reached, each time with a seed split from it.

    Args:
      order: n.
      inner_learning_rate: `a`, the rate assumed for the opponents: one
        number, one per player, or `InnerRates`. From order 2 on, the rate of
        the learning player itself is the one that its opponents assume.

    Raises:
      TypeError, ValueError: if an argument is out of its range.

    Example:
      >>> learner = dice_tf.learners.HOLA(order=2, inner_learning_rate=0.5)
      >>> direction = learner.gradient(objective, params, 0, seed)

    References:
      Willi et al. 2022 (COLA: Consistent Learning with Opponent-Learning
      Awareness), for exact LOLA to any order; Foerster et al. 2018 (Learning
      with Opponent-Learning Awareness) for order 2.
    """

    def __init__(
        self,
        order: int = 2,
        inner_learning_rate: float | Sequence[float] | InnerRates = 1.0,
    ):
        super().__init__(inner_learning_rate)
        self.order = check_whole_number("order", order, 0)

    def move(self, situation: Situation, rates: Sequence[Any]) -> Move:
        objective, params, player_id, seed = situation
        seeds = evaluation_seeds(seed, self.order + 1)
        directions, naive = higher_order_directions(
            objective, params, [player_id], seeds, rates
        )
        return Move(directions[player_id], naive)


class HigherOrderDirections(NamedTuple):
    """Directions of order n, and the naive ones that they are made of.

    Attributes:
      directions: by player, tensors like its parameters, differentiable in
        all parameters by an outer tape.
      naive: the directions of order 0 of all players that were needed.
    """

    directions: dict[int, list[tf.Tensor]]
    naive: dict[int, list[tf.Tensor]]


def higher_order_directions(
    objective: Objective,
    params: Params,
    player_ids: Sequence[int],
    seeds: Sequence[Seed | None],
    rates: Sequence[Any],
) -> HigherOrderDirections:
    """Computes some players' directions of order `len(seeds) - 1`.

    Args:
      objective: what all players maximise.
      params: one list of tensors per player.
      player_ids: the players whose directions are computed.
      seeds: one per order, from 0 on.
      rates: `a`, one per player.

    Returns:
      `HigherOrderDirections`.
    """
    movers = sorted({j for i in player_ids for j in opponents_of(params, i)})
    naive = None
    with tf.GradientTape(
        persistent=True, watch_accessed_variables=False
    ) as tape:
        for i in player_ids:
            tape.watch(params[i])
        if len(seeds) == 1 or not movers:
            values = objective(params, seeds[0])
        else:
            steps, naive = higher_order_directions(
                objective, params, movers, seeds[:-1], rates
            )
            values = {
                i: objective(after_steps(params, i, steps, rates), player_seed)[
                    i
                ]
                for i, player_seed in _seeds_by_player(seeds[-1], player_ids)
            }
    directions = {
        i: gradient_of(tape, values[i], params[i]) for i in player_ids
    }
    return HigherOrderDirections(directions, naive or directions)


def _seeds_by_player(seed: Seed | None, player_ids: Sequence[int]) -> list:
    if seed is None or len(player_ids) == 1:
        return [(i, seed) for i in player_ids]
    seeds = split_seed(seed, len(player_ids))
    return list(zip(player_ids, seeds, strict=True))
