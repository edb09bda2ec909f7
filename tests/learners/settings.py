"""Games with known derivatives that the tests of learners share."""

import numpy as np
import tensorflow as tf

from dice_tf.objectives import FunctionObjective
from tests.learners import oracles
from tests.toys import (
    ASYMMETRIC,
    THREE_PLAYERS,
    exact_objective,
    random_params,
)

DISCOUNT, LENGTH = 0.9, 3


class Setting:
    """An objective at random parameters, and its derivatives there."""

    objective: object
    params: list
    at: oracles.Derivatives

    def direction(self, learner, player_id, seed=None):
        """The learner's direction as one vector."""
        found = learner.gradient(self.objective, self.params, player_id, seed)
        assert all(
            new.shape == old.shape
            for new, old in zip(found, self.params[player_id], strict=True)
        )
        return vector(found)


class QuadraticSetting(Setting):
    """A quadratic game; each player has a vector and, if it can, a matrix."""

    def __init__(self, sizes=(2, 3), seed=0, scale=0.3):
        self.oracle = oracles.Quadratic(sizes, seed, scale)
        rng = np.random.default_rng(seed + 100)
        self.move_to(rng.normal(size=sum(sizes)))
        self.objective = FunctionObjective(
            [self._value(i) for i in range(len(sizes))]
        )

    def move_to(self, theta):
        self.theta = np.asarray(theta)
        self.at = self.oracle.derivatives(self.theta)
        self.params = [_as_tensors(x) for x in self.oracle.split(self.theta)]

    def _value(self, i):
        Q, r = self.oracle.Q[i], self.oracle.r[i]

        def value(params):
            theta = tf.concat(
                [
                    tf.reshape(x, [-1])
                    for player_params in params
                    for x in player_params
                ],
                axis=0,
            )
            return 0.5 * tf.tensordot(
                theta, tf.linalg.matvec(Q, theta), 1
            ) + tf.tensordot(r, theta, 1)

        return value


class MatrixGameSetting(Setting):
    """An iterated matrix game, in closed form."""

    def __init__(self, payoffs=ASYMMETRIC):
        self.objective = exact_objective(payoffs, DISCOUNT, LENGTH)
        self.params = random_params(self.objective.policies, 0)
        self.at = oracles.matrix_game_derivatives(
            payoffs,
            [player_params[0] for player_params in self.params],
            DISCOUNT,
            LENGTH,
        )


def make(name):
    """The setting of that name."""
    return {
        "quadratic_1": lambda: QuadraticSetting((3,)),
        "quadratic_2": lambda: QuadraticSetting((2, 3)),
        "quadratic_3": lambda: QuadraticSetting((2, 3, 1)),
        "matrix_2": lambda: MatrixGameSetting(ASYMMETRIC),
        "matrix_3": lambda: MatrixGameSetting(THREE_PLAYERS),
    }[name]()


def vector(tensors):
    return np.concatenate([np.ravel(x) for x in tensors])


def _as_tensors(x):
    """A vector in two tensors, the second of them a matrix."""
    parts = [tf.constant(x[:1])]
    if len(x) > 1:
        parts.append(tf.constant(x[1:, np.newaxis]))
    return parts
