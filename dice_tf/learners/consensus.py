"""Consensus optimisation: all players make their gradients small."""

import tensorflow as tf

from dice_tf.checks import check_number
from dice_tf.learners.derivatives import weighted_sum
from dice_tf.learners.jacobians import products_with_gradient
from dice_tf.learners.learner import Situation, StatelessLearner


class Consensus(StatelessLearner):
    """Ascends its value, and descends the size of all players' gradients.

    With `g` the stack of all players' own gradients and `J` its Jacobian, the
    direction of player i is

      `g_i - weight (d/dtheta_i) |g|^2 / 2 = (g - weight J^T g)_i`.

    Stationary points attract, whatever kind they are. The term stays for a
    single player, so that this is not gradient ascent. With `weight=0` it is
    `Naive`.

    On a sampled objective the first `g` and `J` are drawn with the seed
    itself, and the `g` that `J` multiplies with a seed split from it: the
    direction is as unbiased as the objective's derivatives.

    Args:
      weight: at least 0.

    Raises:
      TypeError, ValueError: if the weight is out of its range.

    References:
      Mescheder et al. 2017 (The Numerics of GANs).
    """

    def __init__(self, weight: float = 1.0):
        self.weight = check_number("weight", weight)

    def direction(self, situation: Situation) -> list[tf.Tensor]:
        objective, params, player_id, seed = situation
        products = products_with_gradient(objective, params, seed)
        return weighted_sum(
            (1.0, products.gradient[player_id]),
            (-self.weight, products.transposed[player_id]),
        )
