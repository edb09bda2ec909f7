"""Competitive gradient descent: the equilibrium of a local game."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dice_tf.inner_optimizers.optimizer import as_dtype
from dice_tf.learners.assumed_rates import AssumedRatesLearner, Move
from dice_tf.learners.derivatives import players_with_params
from dice_tf.learners.jacobians import (
    flatten,
    gradient_and_jacobian,
    unflatten,
)
from dice_tf.learners.learner import Situation
from dice_tf.objectives.objective import Params
from dice_tf.play.exact_values import solve


class CompetitiveGradientDescent(AssumedRatesLearner):
    """Plays the Nash equilibrium of a regularised local game.

    Around `theta`, every player i chooses its move `x_i` to maximise

      `<g_i, x_i> + sum_(j != i) <x_i, J_ij x_j> - |x_i|^2 / (2 a_i)`,

    with `g_i = dV_i/dtheta_i` and `J_ij = d^2 V_i / dtheta_i dtheta_j`. In
    equilibrium the moves are `x_j = a_j d_j` with

      `d = (1 - J_o diag(a))^-1 g`,

    `J_o` being `J` without its diagonal blocks; player i moves along `d_i`.
    With two players this is competitive gradient descent, with more its
    polymatrix extension. For a single player `J_o = 0` and this is `Naive`,
    as it is with `inner_learning_rate=0`.

    It forms the Jacobian of all players' gradients and solves a linear system
    of its size, so that it is meant for small policies. On a sampled objective
    `g` is drawn with the seed itself, and `J` with a seed split from it. The
    direction is biased nevertheless, since it is not linear in `J`.

    Args:
      inner_learning_rate: `a`, the rate assumed for all players: one number,
        one per player, or `InnerRates`.

    Raises:
      TypeError, ValueError: if the rates are none of these.

    References:
      Schaefer & Anandkumar 2019 (Competitive Gradient Descent); Ma et al. 2021
      (Polymatrix Competitive Gradient Descent).
    """

    def move(self, situation: Situation, rates: Sequence[Any]) -> Move:
        objective, params, player_id, seed = situation
        if not params[player_id]:
            return Move([], {})
        players = players_with_params(params)
        gradients, jacobian = gradient_and_jacobian(objective, params, seed)
        owners, row_rates = _per_row(params, players, rates)
        others = tf.cast(owners[:, tf.newaxis] != owners, jacobian.dtype)
        system = tf.eye(owners.shape[0], dtype=jacobian.dtype) - (
            jacobian * others * row_rates
        )
        solution = solve(system, flatten(gradients, players)[:, tf.newaxis])
        directions = unflatten(solution[:, 0], params, players)
        return Move(directions[player_id], gradients)


def _per_row(
    params: Params, players: Sequence[int], rates: Sequence[Any]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns, for each entry of `flatten`, its player and its rate."""
    dtype = params[players[0]][0].dtype
    counts = [sum(x.shape.num_elements() for x in params[i]) for i in players]
    owners = [
        tf.fill([count], i) for i, count in zip(players, counts, strict=True)
    ]
    row_rates = [
        tf.fill([count], as_dtype(rates[i], dtype))
        for i, count in zip(players, counts, strict=True)
    ]
    return tf.concat(owners, axis=0), tf.concat(row_rates, axis=0)
