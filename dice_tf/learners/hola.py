"""HOLA: opponents that look ahead too, to any order."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dice_tf.checks import check_whole_number
from dice_tf.learners.derivatives import evaluation_seeds, opponents_of
from dice_tf.learners.inner_rates import FixedRates
from dice_tf.learners.learner import Learner, LearnerStep, gradient_of
from dice_tf.objectives.objective import Objective, Params
from dice_tf.seeds import split_seed


class HOLA(Learner):
    """Higher-order LOLA: shapes opponents that shape, to order n.

    With the naive directions `d_i^0 = dV_i/dtheta_i`, those of order n are

      `d_i^n = d/dtheta_i V_i(theta_i, theta_-i + a d_-i^(n-1)(theta))`,

    the total derivative, which flows through the opponents' directions of
    order n - 1 and all that they are made of. With `order=0` this is `Naive`,
    with `order=1` the unrolled one-step look-ahead, `LOLADiCE(1)`. At order n
    derivatives of order n + 1 are taken.

    On a sampled objective every order, and every player in it, plays afresh
    with the parameters reached, from a split of the seed of its own; the
    naive directions share one play.

    Args:
      order: n.
      inner_learning_rate: `a`, the rate assumed for the opponents: one
        number, or one per player. The entry of the learning player is what
        its opponents assume of it, from order 2 on.

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
        inner_learning_rate: float | Sequence[float] = 1.0,
    ):
        self.order = check_whole_number("order", order, 0)
        self.inner_learning_rate = inner_learning_rate
        self._inner_rates = FixedRates(inner_learning_rate)

    def step(
        self,
        objective: Objective,
        params: Params,
        player_id: int,
        seed: Any,
        state: Any,
    ) -> LearnerStep:
        rates = self._inner_rates.values((), objective.num_players)
        seeds = evaluation_seeds(seed, self.order + 1)
        directions = higher_order_directions(
            objective, params, [player_id], seeds, rates
        )
        return LearnerStep(directions[player_id], state)


def higher_order_directions(
    objective: Objective,
    params: Params,
    player_ids: Sequence[int],
    seeds: Sequence[Any],
    rates: Sequence[Any],
) -> dict[int, list[tf.Tensor]]:
    """Computes some players' directions of order `len(seeds) - 1`.

    Args:
      objective: what all players maximise.
      params: one list of tensors per player.
      player_ids: whose directions.
      seeds: one per order, from 0 on.
      rates: `a`, one per player.

    Returns:
      By player, tensors like its parameters, differentiable in all
      parameters by an outer tape.
    """
    movers = sorted({j for i in player_ids for j in opponents_of(i, params)})
    with tf.GradientTape(
        persistent=True, watch_accessed_variables=False
    ) as tape:
        for i in player_ids:
            tape.watch(params[i])
        if len(seeds) == 1 or not movers:
            values = objective(params, seeds[0])
        else:
            steps = higher_order_directions(
                objective, params, movers, seeds[:-1], rates
            )
            values = {
                i: objective(_reached(params, i, steps, rates), own_seed)[i]
                for i, own_seed in _seeds_by_player(seeds[-1], player_ids)
            }
    return {i: gradient_of(tape, values[i], params[i]) for i in player_ids}


def _reached(
    params: Params,
    player_id: int,
    steps: dict[int, list[tf.Tensor]],
    rates: Sequence[Any],
) -> list[list[tf.Tensor]]:
    """Returns all parameters after the steps of the player's opponents."""
    return [
        own
        if j == player_id or j not in steps
        else [
            x + rates[j] * step for x, step in zip(own, steps[j], strict=True)
        ]
        for j, own in enumerate(params)
    ]


def _seeds_by_player(seed: Any, player_ids: Sequence[int]) -> list:
    if seed is None or len(player_ids) == 1:
        return [(i, seed) for i in player_ids]
    seeds = split_seed(seed, len(player_ids))
    return list(zip(player_ids, seeds, strict=True))
