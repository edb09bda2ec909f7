"""Policies and critics with memory in sampled objectives."""

import numpy as np
import pytest
import tensorflow as tf

from dice_tf.learners import LOLADiCE, Naive
from dice_tf.objectives import DiCEObjective
from dice_tf.play.trajectories import Trajectory
from tests import recurrent
from tests.toys import ASYMMETRIC

pytestmark = pytest.mark.own_process

DISCOUNT, LENGTH, RATE = recurrent.DISCOUNT, recurrent.LENGTH, 2.0


class Enumerated(DiCEObjective):
    """Its batch holds every trajectory once, weighted by its probability.

    So its value and derivatives are expectations of those of one episode.
    """

    def _trajectory(self, weights, seed):
        actions = recurrent.all_actions()
        players = range(2)
        seen = [
            np.stack(
                [
                    recurrent.observations_of(joint_actions, i)
                    for joint_actions in actions
                ],
                1,
            )
            for i in players
        ]
        played = actions.transpose(2, 1, 0)
        return Trajectory(
            tuple(map(tf.constant, seen)),
            tuple(
                tf.constant(player_actions, tf.int32)
                for player_actions in played
            ),
            tuple(
                tf.constant(ASYMMETRIC[i][played[0], played[1]])
                for i in players
            ),
            tf.ones(played.shape[1:], tf.float64),
            tf.constant(np.argmax(seen[0], axis=-1), tf.int32),
        )

    def _estimator(self):
        estimator = super()._estimator()

        def weighted(log_probs, rewards, **options):
            chances = tf.exp(tf.reduce_sum(log_probs, axis=0))
            size = tf.cast(tf.size(chances), chances.dtype)
            each = estimator(log_probs, rewards, **options)
            return size * tf.stop_gradient(chances) * each

        return weighted


@pytest.fixture(scope="module")
def enumerated():
    game = recurrent.small_game()
    policies = recurrent.gru_policies(game)
    return Enumerated(game, policies, DISCOUNT, 16, None)


def test_the_expected_value_is_that_of_an_oracle(enumerated):
    params = [
        [x.numpy() for x in player_params]
        for player_params in enumerated.initial_params()
    ]
    values = enumerated(params, [0, 1])
    expected = [recurrent.value(params, i) for i in range(2)]
    np.testing.assert_allclose(values, expected, rtol=1e-12)


@pytest.mark.parametrize("jit_compile", [None, True])
@pytest.mark.parametrize("player_id", [0, 1])
def test_lola_dice_follows_differences_of_the_enumerated_look_ahead(
    enumerated, player_id, jit_compile
):
    """d/dtheta_i V_i(theta_i, theta_j + a dV_j/dtheta_j), by an oracle.

    Eagerly, where `jit_compile` is None, and under XLA.
    """
    other = 1 - player_id
    params = [
        [x.numpy() for x in player_params]
        for player_params in enumerated.initial_params()
    ]

    def seat(mine, theirs):
        return [mine, theirs] if player_id == 0 else [theirs, mine]

    def looked_ahead(mine):
        step = recurrent.gradient(
            lambda theirs: recurrent.value(seat(mine, theirs), other),
            params[other],
        )
        moved = [x + RATE * d for x, d in zip(params[other], step, strict=True)]
        return recurrent.value(seat(mine, moved), player_id)

    def direct():
        return LOLADiCE(1, RATE).gradient(
            enumerated, params, player_id, tf.constant([0, 1])
        )

    if jit_compile:
        direct = tf.function(direct, autograph=False, jit_compile=True)
    direction = direct()
    naive = Naive().gradient(enumerated, params, player_id, [0, 1])
    rng, size = np.random.default_rng(1), 1e-5
    for _ in range(3):
        along = [rng.normal(size=x.shape) for x in params[player_id]]
        ends = [
            looked_ahead(
                [
                    x + h * d
                    for x, d in zip(params[player_id], along, strict=True)
                ]
            )
            for h in (size, -size)
        ]
        slope = sum(
            np.sum(x * d) for x, d in zip(direction, along, strict=True)
        )
        without = sum(np.sum(x * d) for x, d in zip(naive, along, strict=True))
        np.testing.assert_allclose(
            slope, (ends[0] - ends[1]) / (2 * size), rtol=1e-7, atol=1e-9
        )
        assert abs(slope - without) > 1e-3
