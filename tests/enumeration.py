"""Every trajectory of a small game, so that expectations are sums.

Nothing is sampled: an expectation is a sum over all trajectories, weighted by
probabilities that are held constant, and its derivatives are exact.
"""

import functools
import itertools

import numpy as np
import tensorflow as tf

from tests import oracles
from tests.toys import ASYMMETRIC

NUM_ACTIONS = (2, 2)
SIZE = 10  # Log-odds of action 0, five per player.


class Trajectories:
    """All trajectories of an iterated game of two players and two actions.

    Attributes:
      rewards: of player 0, `[T, n]`.
      rows: what each player sees, `[2, T, n]`.
      values: some state values that are wrong, `[T, n]`.
    """

    def __init__(self, episode_length):
        joints = oracles.joint_actions(NUM_ACTIONS)
        sequences = itertools.product(joints, repeat=episode_length)
        # [n, T, 2], then [2, T, n].
        actions = np.array(list(sequences)).transpose(2, 1, 0)
        before = actions.transpose(1, 2, 0)[:-1].tolist()
        previous = [[None] * actions.shape[2], *before]
        self.rows = np.array(
            [
                [
                    [oracles.observation(p, i, NUM_ACTIONS) for p in row]
                    for row in previous
                ]
                for i in range(2)
            ]
        )
        self.length = episode_length
        self.actions = actions
        self.signs = 1.0 - 2.0 * actions
        self.rewards = ASYMMETRIC[0][actions[0], actions[1]]
        table = np.random.default_rng(3).normal(size=(episode_length, 5))
        self.values = np.take_along_axis(table, self.rows[0], axis=1)

    def log_probs(self, theta):
        """Joint log-probabilities `[T, n]`.

        Of log-odds `[10]`, or `[n, 10]`, a row for each trajectory.
        """
        theta = tf.broadcast_to(theta, [len(self.signs[0, 0]), SIZE])
        return tf.add_n(
            [
                tf.math.log_sigmoid(
                    tf.transpose(tf.gather(own, rows.T, batch_dims=1)) * signs
                )
                for own, rows, signs in zip(
                    tf.split(theta, 2, axis=1),
                    self.rows,
                    self.signs,
                    strict=True,
                )
            ]
        )

    def chances(self, theta):
        """Probabilities of the trajectories, `[n]`."""
        return tf.exp(tf.reduce_sum(self.log_probs(theta), axis=0))

    def expected_return(self, theta, discount):
        weights = discount ** np.arange(self.length)[:, np.newaxis]
        returns = np.sum(weights * self.rewards, axis=0)
        return tf.reduce_sum(self.chances(theta) * returns)

    def expectation(self, theta, estimator):
        """E of an estimator, a function of log-probabilities to `[n]`."""
        chances = tf.stop_gradient(self.chances(theta))
        return tf.reduce_sum(chances * estimator(self.log_probs(theta)))

    def episode_derivatives(self, theta, estimator):
        """Gradient `[n, 10]` and Hessian `[n, 10, 10]` of each trajectory."""
        rows = tf.tile(theta[tf.newaxis], [len(self.signs[0, 0]), 1])
        return gradient_and_hessian(
            lambda x: estimator(self.log_probs(x)), rows
        )

    def exact_values(self, theta, discount, bonus=0.0):
        """V_t(s) of what is seen before each step, `[T, n]`.

        `bonus` is added to all rewards.
        """
        thetas = np.split(np.asarray(theta)[:, np.newaxis], 2)
        return np.stack(
            [
                oracles.state_values(
                    ASYMMETRIC + bonus, thetas, discount, self.length - t
                )[self.rows[0][t], 0]
                for t in range(self.length)
            ]
        )


@functools.cache
def trajectories(episode_length=3):
    return Trajectories(episode_length)


def directional_derivatives(function, x, directions):
    """Returns `f`, `Df`, `D2f[u]` and `D3f[u, v]` at x, for the pair u, v."""
    u, v = directions
    zero = tf.UnconnectedGradients.ZERO
    with tf.GradientTape() as third:
        third.watch(x)
        with tf.GradientTape() as second:
            second.watch(x)
            with tf.GradientTape() as first:
                first.watch(x)
                value = function(x)
            gradient = first.gradient(value, x, unconnected_gradients=zero)
        hessian = second.gradient(gradient, x, u, unconnected_gradients=zero)
    cubic = third.gradient(hessian, x, v, unconnected_gradients=zero)
    return value, gradient, hessian, cubic


def gradient_and_hessian(function, x):
    """Returns `Df` and `D2f` at x.

    Of a function of `[n, m]` to `[n]` with independent rows, or of `[m]` to a
    scalar.
    """
    zero = tf.UnconnectedGradients.ZERO
    with tf.GradientTape(persistent=True) as second:
        second.watch(x)
        with tf.GradientTape() as first:
            first.watch(x)
            value = function(x)
        gradient = first.gradient(value, x, unconnected_gradients=zero)
    rows = [
        second.gradient(
            gradient,
            x,
            tf.broadcast_to(unit, tf.shape(x)),
            unconnected_gradients=zero,
        )
        for unit in tf.unstack(tf.eye(x.shape[-1], dtype=x.dtype))
    ]
    return gradient.numpy(), np.stack(rows, axis=-1)
