"""Consensus optimisation: all players make their gradients small."""

from typing import Any

from dice_tf.checks import check_number
from dice_tf.learners.derivatives import (
    evaluation_seeds,
    players_with_params,
    weighted_sum,
)
from dice_tf.learners.jacobians import jacobian_products
from dice_tf.learners.learner import Learner, LearnerStep, own_gradients
from dice_tf.objectives.objective import Objective, Params


class Consensus(Learner):
    """Ascends its value, and descends the size of all players' gradients.

    With `g` the stack of all players' own gradients and `J` its Jacobian, the
    direction of player i is

      `g_i - weight (d/dtheta_i) |g|^2 / 2 = (g - weight J^T g)_i`.

    Stationary points attract, whatever kind they are. A single player does
    the same: it is not gradient ascent. With `weight=0` this is `Naive`.

    On a sampled objective `J` and the `g` that it multiplies are drawn from
    splits of the seed of their own: the direction is as unbiased as the
    objective's derivatives.

    Args:
      weight: at least 0.

    Raises:
      TypeError, ValueError: if the weight is out of its range.

    References:
      Mescheder et al. 2017 (The Numerics of GANs).
    """

    def __init__(self, weight: float = 1.0):
        self.weight = check_number("weight", weight)

    def step(
        self,
        objective: Objective,
        params: Params,
        player_id: int,
        seed: Any,
        state: Any,
    ) -> LearnerStep:
        if not params[player_id]:
            return LearnerStep([], state)
        seed, factor_seed = evaluation_seeds(seed, 2)
        players = players_with_params(params)
        factors = own_gradients(objective, params, factor_seed, players)
        products = jacobian_products(objective, params, players, seed, factors)
        direction = weighted_sum(
            (1.0, products.gradient[player_id]),
            (-self.weight, products.transposed[player_id]),
        )
        return LearnerStep(direction, state)
