"""Symplectic gradient adjustment: turning against the rotation of a game."""

import tensorflow as tf

from dice_tf.checks import check_number
from dice_tf.learners.derivatives import inner_product, weighted_sum
from dice_tf.learners.jacobians import (
    JacobianProducts,
    products_with_gradient,
)
from dice_tf.learners.learner import Situation, StatelessLearner


class SymplecticGradientAdjustment(StatelessLearner):
    """Adjusts the gradient by the antisymmetric part of its Jacobian.

    With `g` the stack of all players' own gradients, `J` its Jacobian and
    `A = (J - J^T) / 2`, the direction of player i is

      `(g - s weight A^T g)_i`, with the sign
      `s = sign(-<g, J^T g> <A^T g, J^T g> / d + epsilon)`

    over the d parameters of all players, which aligns the adjustment with
    stable stationary points and against unstable ones. In a potential game,
    and for a single player, `A = 0` and this is `Naive`, as it is with
    `weight=0`. (For losses the signs of `g` and `J` turn, and with them that
    of the first term of `s`.)

    On a sampled objective the first `g` and `J` are drawn with the seed
    itself, and the `g` that `J` multiplies with a seed split from it. The sign
    depends on the same samples.

    Args:
      weight: at least 0.
      epsilon: at least 0; a large one never turns the sign.

    Raises:
      TypeError, ValueError: if an argument is out of its range.

    References:
      Balduzzi et al. 2018 (The Mechanics of n-Player Differentiable Games);
      the sign as in the public code of Letcher et al. 2019, with epsilon 0.1.
    """

    def __init__(self, weight: float = 1.0, epsilon: float = 0.1):
        self.weight = check_number("weight", weight)
        self.epsilon = check_number("epsilon", epsilon)

    def direction(self, situation: Situation) -> list[tf.Tensor]:
        objective, params, player_id, seed = situation
        products = products_with_gradient(objective, params, seed)
        adjustments = {i: _adjustment(products, i) for i in products.gradient}
        sign = alignment_sign(products, adjustments, self.epsilon)
        return weighted_sum(
            (1.0, products.gradient[player_id]),
            (-self.weight * sign, adjustments[player_id]),
        )


def alignment_sign(
    products: JacobianProducts,
    adjustments: dict[int, list[tf.Tensor]],
    epsilon: float,
) -> tf.Tensor:
    """Returns the sign of the adjustment.

    Args:
      products: `g`, `J g` and `J^T g`.
      adjustments: `A^T g`, by player.
      epsilon: decides the sign if the products are small.

    Returns:
      A scalar, 1 or -1 (or 0 at the boundary).
    """
    gradient = tf.nest.flatten(products.gradient)
    slope = tf.nest.flatten(products.transposed)
    size = sum(x.shape.num_elements() for x in gradient)
    descent = -inner_product(gradient, slope)
    turn = inner_product(tf.nest.flatten(adjustments), slope)
    return tf.sign(descent * turn / size + epsilon)


def _adjustment(products: JacobianProducts, player_id: int) -> list[tf.Tensor]:
    """Returns `(A^T g)_i = ((J^T - J) g)_i / 2`."""
    return weighted_sum(
        (0.5, products.transposed[player_id]),
        (-0.5, products.forward[player_id]),
    )
