"""Policies that see the last observations."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.play.actors import Actor
from dice_tf.policies import initial_params, stacked, with_head
from dice_tf.policies.heads import attached_head
from tests import recurrent
from tests.toys import Pursuit, normal_head

GAME = recurrent.small_game(6)
COINS = dice_tf.games.CoinGame(episode_length=3)


def test_logits_are_those_of_the_network_on_the_last_observations():
    policy = stacked(GAME, 0, num_observations=3, hidden_units=(4,))
    assert policy.name == "stacked_policy_0"
    assert policy.input_shape == [(None, 5), (None, 10)]
    kernel, bias, dense, dense_bias = policy.get_weights()
    assert kernel.shape == (15, 4)
    actor = Actor(GAME, policy, 0)
    seen = np.random.default_rng(0).normal(size=(6, 2, 5))
    padded = np.concatenate([np.zeros((2, 2, 5)), seen])
    logits = actor.model(actor.model.weights(), tf.constant(seen))
    for t in range(6):
        # Oldest first, the present one last.
        window = np.concatenate(padded[t : t + 3], axis=-1)
        hidden = np.tanh(window @ kernel + bias)
        np.testing.assert_allclose(logits[t], hidden @ dense + dense_bias)


def test_a_network_of_ones_own_sees_windows_and_shares_its_weights():
    inputs = keras.Input((2, 4, 3, 3))
    x = keras.layers.Reshape((8, 3, 3))(inputs)
    outputs = keras.layers.Dense(4)(keras.layers.Flatten()(x))
    network = keras.Model(inputs, outputs)
    policy = stacked(COINS, 0, network, num_observations=2, name="ann")
    assert policy.name == "ann"
    images = np.random.default_rng(0).normal(size=(3, 4, 3, 3))
    before, now = images[:, np.newaxis], images[::-1, np.newaxis]
    found, state = policy([now[:, 0], before.reshape(3, -1)])
    expected = network(np.concatenate([before, now], axis=1))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(state, now.reshape(3, -1), rtol=1e-6)
    assert policy.trainable_variables[0] is network.trainable_variables[0]


def test_its_parameters_are_drawn_anew():
    first, again, other = (
        initial_params(stacked(COINS, 0), seed) for seed in (1, 1, 2)
    )
    for one, two, three in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(one, two)
        assert not np.any(one) or np.any(one != three)


def test_the_head_of_a_network_is_that_of_the_policy():
    inputs = keras.Input((2, 2), dtype="float64")
    outputs = keras.layers.Dense(2, dtype="float64")(
        keras.layers.Flatten(dtype="float64")(inputs)
    )
    network = with_head(keras.Model(inputs, outputs), normal_head)
    policy = stacked(Pursuit(), 0, network, num_observations=2)
    assert attached_head(policy) is normal_head
    Actor(Pursuit(), policy, 0)


def test_networks_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="Player 0 has no finite set of acti"):
        stacked(Pursuit(), 0)
    with pytest.raises(TypeError, match="`network` must be a keras.Model"):
        stacked(GAME, 0, "mlp")
    with pytest.raises(ValueError, match="take one input.* of 2 inputs"):
        stacked(GAME, 0, dice_tf.policies.gru(GAME, 0))
    wrong = dice_tf.policies.mlp(COINS, 0)
    with pytest.raises(ValueError, match="last observations.*oldest first"):
        stacked(GAME, 0, wrong)
    with pytest.raises(ValueError, match="`num_observations` must be at leas"):
        stacked(GAME, 0, num_observations=1)
