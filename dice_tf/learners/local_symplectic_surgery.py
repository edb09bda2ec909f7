"""Local symplectic surgery: cutting the rotation out of a game."""

from typing import Any

import numpy as np
import tensorflow as tf

from dice_tf.checks import check_number
from dice_tf.learners.derivatives import evaluation_seeds, players_with_params
from dice_tf.learners.jacobians import flatten, game_jacobian, unflatten
from dice_tf.learners.learner import Learner, LearnerStep, own_gradients
from dice_tf.objectives.objective import Objective, Params
from dice_tf.play.exact_values import solve


class LocalSymplecticSurgery(Learner):
    """Moves as if the game did not rotate around its stationary points (LSS).

    With `g` the stack of all players' own gradients and `J` its Jacobian, the
    direction of player i is

      `((g + J^T v) / 2)_i` with `J v = g`,

    or, where `J` is singular, `v = (J^T J + lambda 1)^-1 J^T g`. Around a
    stationary point its Jacobian is the symmetric part of `J`: what is stable
    there only by the rotation of the game no longer attracts. For a single
    player `J` is symmetric, `J^T v = g` and this is `Naive`; it is so where
    `J` is singular, too.

    The Jacobian of all players' gradients is formed, and a linear system of
    its size solved: for small policies. On a sampled objective `g` and `J`
    are drawn from splits of the seed of their own, but the direction is not
    linear in `J`, and so not unbiased.

    Args:
      regularization: lambda, positive. `J` counts as singular where its
        rank is not full in the precision of its dtype.

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
        seed, jacobian_seed = evaluation_seeds(seed, 2)
        players = players_with_params(params)
        gradients = own_gradients(objective, params, seed, players)
        if len(players) == 1:
            return LearnerStep(gradients[player_id], state)
        direction = without_rotation(
            flatten(gradients, players),
            game_jacobian(objective, params, players, jacobian_seed),
            self.regularization,
        )
        return LearnerStep(
            unflatten(direction, params, players)[player_id], state
        )


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
    # One system is chosen before it is solved: a singular one cannot be.
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
