"""Local symplectic surgery: cutting the rotation out of a game."""

import numpy as np
import tensorflow as tf

from dice_tf.checks import check_number
from dice_tf.learners.derivatives import players_with_params
from dice_tf.learners.jacobians import (
    flatten,
    gradient_and_jacobian,
    unflatten,
)
from dice_tf.learners.learner import Situation, StatelessLearner, own_gradients
from dice_tf.play.exact_values import solve


class LocalSymplecticSurgery(StatelessLearner):
    """Moves as if the game did not rotate around its stationary points (LSS).

    With `g` the stack of all players' own gradients and `J` its Jacobian, the
    direction of player i is

      `((g + J^T v) / 2)_i` with `J v = g`,

    or `v = (J^T J + lambda 1)^-1 J^T g` if `J` is singular. At a stationary
    point the Jacobian of the direction is the symmetric part of `J`: a point
    that is stable only by the rotation of the game no longer attracts. For a
    single player `J` is symmetric and `J^T v = g`, so that this is `Naive`,
    also if `J` is singular.

    It forms the Jacobian of all players' gradients and solves a linear system
    of its size, so that it is meant for small policies. On a sampled objective
    `g` is drawn with the seed itself, and `J` with a seed split from it. The
    direction is biased nevertheless, since it is not linear in `J`.

    Args:
      regularization: lambda, positive. `J` counts as singular if its rank is
        not full in the precision of its dtype.

    Raises:
      TypeError, ValueError: if the regularization is out of its range.

    References:
      Mazumdar et al. 2019 (On Finding Local Nash Equilibria (and Only Local
      Nash Equilibria) in Zero-Sum Games), for two players and with lambda
      everywhere; for any game, and with lambda = 0.1 where `J` is singular,
      the public code of Letcher et al. 2019.
    """

    def __init__(self, regularization: float = 0.1):
        self.regularization = check_number("regularization", regularization)
        if self.regularization == 0.0:
            raise ValueError("`regularization` must be positive. Received: 0.")

    def direction(self, situation: Situation) -> list[tf.Tensor]:
        objective, params, player_id, seed = situation
        players = players_with_params(params)
        if players == [player_id]:
            return own_gradients(objective, params, players, seed)[player_id]
        gradient, jacobian = gradient_and_jacobian(objective, params, seed)
        direction = without_rotation(
            flatten(gradient, players), jacobian, self.regularization
        )
        return unflatten(direction, params, players)[player_id]


def without_rotation(
    gradient: tf.Tensor, jacobian: tf.Tensor, regularization: float
) -> tf.Tensor:
    """Returns `(g + J^T v) / 2` with `J v = g`, regularised if it must be.

    Args:
      gradient: `g`, `[d]`.
      jacobian: `J`, `[d, d]`.
      regularization: lambda.

    Returns:
      `[d]`.
    """
    size, dtype = jacobian.shape[0], jacobian.dtype
    scales = tf.linalg.svd(jacobian, compute_uv=False)
    precision = size * float(np.finfo(dtype.as_numpy_dtype).eps)
    singular = scales[-1] <= precision * scales[0]
    # The system is chosen before it is solved: solving a singular one fails.
    normal = tf.linalg.matmul(jacobian, jacobian, transpose_a=True)
    system = tf.where(
        singular,
        normal + regularization * tf.eye(size, dtype=dtype),
        jacobian,
    )
    target = tf.where(
        singular,
        tf.linalg.matvec(jacobian, gradient, transpose_a=True),
        gradient,
    )
    solution = solve(system, target[:, tf.newaxis])[:, 0]
    return 0.5 * (
        gradient + tf.linalg.matvec(jacobian, solution, transpose_a=True)
    )
