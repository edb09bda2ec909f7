"""A policy in a seat of a game."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.models.seat_models import Weights
from dice_tf.play.actors import Actor, all_log_probs
from tests import oracles
from tests.toys import THREE_PLAYERS, Plain, Pursuit, normal_policy

GAME = dice_tf.games.iterated_matrix_game(THREE_PLAYERS, 4, dtype="float64")


@pytest.mark.parametrize("player_id", [0, 1, 2])
def test_the_table_holds_log_probabilities_by_state_of_the_game(player_id):
    policy = dice_tf.policies.tabular(GAME, player_id)
    theta = np.random.default_rng(0).normal(
        size=policy.trainable_variables[0].shape
    )
    actor = Actor(GAME, policy, player_id)
    table = actor.log_prob_table(Weights([tf.constant(theta)], []))
    pi = oracles.policy(theta)
    for state, joint in enumerate([*oracles.joint_actions((2, 3, 2)), None]):
        row = oracles.observation(joint, player_id, (2, 3, 2))
        np.testing.assert_allclose(np.exp(table[state]), pi[row], rtol=1e-12)


def test_a_distribution_keeps_the_leading_axes():
    actor = Actor(GAME, dice_tf.policies.mlp(GAME, 1), 1)
    observations = tf.ones([4, 2, 13], tf.float64)
    distribution = actor.distribution(actor.model.weights(), observations)
    assert distribution.batch_shape == [4, 2]
    assert all_log_probs(distribution, 3).shape == [4, 2, 3]


def test_all_log_probabilities_are_those_of_each_action():
    logits = tf.constant(np.random.default_rng(0).normal(size=(4, 2, 3)))
    distribution = dice_tf.policies.categorical(logits)
    np.testing.assert_allclose(
        np.exp(all_log_probs(distribution, 3)),
        distribution.probs_parameter(),
        rtol=1e-12,
    )


def test_a_seat_without_finite_actions_takes_an_attached_head():
    actor = Actor(Pursuit(), normal_policy(), 0)
    assert actor.num_actions is None
    observations = tf.ones([3, 2], tf.float64)
    distribution = actor.distribution(actor.model.weights(), observations)
    assert distribution.batch_shape == [3]


@pytest.mark.parametrize("wrap", [lambda game: game, Plain])
def test_a_policy_that_ignores_its_weights_is_refused(wrap):
    game = dice_tf.games.iterated_prisoners_dilemma(3)

    class Decorated(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(2)

        @tf.function
        def call(self, inputs):
            return self.dense(inputs)

    with pytest.raises(ValueError, match="same outputs whatever its weights"):
        Actor(wrap(game), Decorated(), 0)


def test_there_is_no_table_of_a_game_that_is_not_finite():
    actor = Actor(Pursuit(), normal_policy(), 0)
    with pytest.raises(ValueError, match="plays a game that is not a dice_tf."):
        actor.log_prob_table(actor.model.weights())
