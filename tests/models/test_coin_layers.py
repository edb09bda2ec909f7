"""Layers of the Coin Game against slow NumPy."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.layers import ByCoinMemory, SeenFromPlayer


@pytest.fixture(scope="module")
def observations():
    """What player 0 sees when both play at random, `[T * B, 6, 3, 3]`."""
    game = dice_tf.games.CoinGameWithMemory(dice_tf.games.CoinGame(30))
    policies = [dice_tf.policies.mlp(game, i) for i in range(2)]
    objective = dice_tf.objectives.DiCEObjective(game, policies, 0.9, 40, None)
    params = objective.initial_params()
    seen = objective.play(params, (0, 1)).trajectory.observations[0]
    return tf.reshape(seen, [-1, *seen.shape[2:]]).numpy()


def test_the_torus_is_shifted_so_that_the_player_stands_first(observations):
    shifted = SeenFromPlayer()(observations).numpy()
    for before, after in zip(observations, shifted, strict=True):
        row, column = np.argwhere(before[0])[0]
        expected = np.roll(before, (-row, -column), axis=(1, 2))
        np.testing.assert_array_equal(after, expected)


def test_the_grid_has_other_inputs_for_each_state_of_the_memory(observations):
    found = ByCoinMemory()(observations).numpy().reshape(-1, 4, 36)
    states = set()
    for inputs, observation in zip(found, observations, strict=True):
        took, other_took = observation[4:, 0, 0].astype(int)
        state = 2 * took + other_took
        states.add(state)
        expected = np.zeros([4, 36])
        expected[state] = observation[:4].ravel()
        np.testing.assert_array_equal(inputs, expected)
    assert states == {0, 1, 2, 3}


def test_all_configurations_of_the_torus_are_shifted():
    """Also those of no play: a player on a coin, or no coin at all."""
    cells = np.eye(9, dtype="float32").reshape(9, 3, 3)
    for player, thing in itertools.product(range(9), repeat=2):
        observation = np.stack([cells[player], cells[thing]])[None]
        shifted = SeenFromPlayer()(observation).numpy()[0]
        row, column = divmod(player, 3)
        np.testing.assert_array_equal(
            shifted, np.roll(observation[0], (-row, -column), axis=(1, 2))
        )
    nobody = np.zeros([1, 2, 3, 3], "float32")
    np.testing.assert_array_equal(SeenFromPlayer()(nobody), nobody)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (SeenFromPlayer, (4, 9), r"as many rows as columns.*\(None, 4, 9\)"),
        (SeenFromPlayer, (3, 3, 4), "must be given a grid of as many rows"),
        (SeenFromPlayer, (4, None, None), r"\[B, channels, rows, columns\]"),
        (ByCoinMemory, (6, 3, 4), "must be given a grid of as many rows"),
        (ByCoinMemory, (4, 3, 3), r"6 channels.*shape \(None, 4, 3, 3\)"),
    ],
)
def test_other_inputs_are_refused(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer()(keras.Input(shape))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_layers_come_back_from_files(dtype, observations, tmp_path):
    inputs = keras.Input(observations.shape[1:], dtype=dtype)
    x = ByCoinMemory(dtype=dtype)(SeenFromPlayer(dtype=dtype)(inputs))
    model = keras.Model(inputs, x)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    expected = model(observations)
    assert expected.dtype == dtype
    np.testing.assert_array_equal(loaded(observations), expected)
