"""Tables of the Coin Game at play on the grid."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.games import CoinGame, TabularCoinGame
from dice_tf.policies import on_the_grid, tabular


@pytest.fixture(scope="module")
def table():
    return TabularCoinGame(30)


@pytest.fixture(scope="module")
def objective(table):
    """Two tables on the grid, with rows that differ a lot."""
    spread = [keras.initializers.RandomUniform(-3, 3, seed=i) for i in range(2)]
    policies = [tabular(table, i, initializer=spread[i]) for i in range(2)]
    game = CoinGame(30)
    return dice_tf.objectives.DiCEObjective(
        game,
        [on_the_grid(game, policy, i) for i, policy in enumerate(policies)],
        0.9,
        batch_size=64,
    )


def test_they_play_as_in_the_table(table, objective):
    """In returns of both seats, which depend on all that they do."""
    tables = [policy.layers[-1] for policy in objective.policies]
    exact = dice_tf.objectives.ExactObjective(table, tables, 0.9)
    expected = np.array(exact(exact.initial_params()))
    returns = []
    play = tf.function(
        lambda seed: objective.play(objective.initial_params(), seed).values
    )
    for run in range(60):
        returns.append(np.array(play(tf.constant([run, 1]))))
    error = np.std(returns, axis=0, ddof=1) / np.sqrt(len(returns))
    assert np.all(np.abs(np.mean(returns, axis=0) - expected) < 4 * error)
    # Not for want of anything to tell apart.
    assert np.abs(expected[0] - expected[1]) > 4 * error.max()


def test_the_view_is_the_state_of_the_table(table, objective):
    episode = objective.play(
        objective.initial_params(), tf.constant([3, 4])
    ).trajectory
    layers = [policy.layers for policy in objective.policies]
    memories = [tf.zeros([64, 4])] * 2
    views = []
    for step in range(30):
        seen = []
        for seat in range(2):
            (layer,) = [
                layer
                for layer in layers[seat]
                if type(layer).__name__ == "CoinMemory"
            ]
            view, memories[seat] = layer(
                episode.observations[seat][step], memories[seat]
            )
            seen.append(np.argmax(view, axis=1))
        views.append(seen)
    views = np.array(views)
    # Player 1 sees the same state from its own seat.
    other = np.argmax(table.observations[1], axis=1)
    np.testing.assert_array_equal(other[views[:, 0]], views[:, 1])
    # What follows is possible, and pays what the table says.
    first, second = (np.array(actions)[:-1] for actions in episode.actions)
    chances = table.transitions[views[:-1, 0], first, second, views[1:, 0]]
    assert np.all(chances > 0)
    for seat in range(2):
        np.testing.assert_array_equal(
            table.rewards[seat][views[:-1, 0], first, second],
            episode.rewards[seat][:-1],
        )


def test_they_share_the_weights_of_the_table(objective):
    for policy in objective.policies:
        (kernel,) = policy.trainable_variables
        assert kernel is policy.layers[-1].trainable_variables[0]


def test_they_are_saved_and_loaded(tmp_path, objective):
    policy = objective.policies[0]
    policy.save(tmp_path / "policy.keras")
    loaded = keras.models.load_model(tmp_path / "policy.keras")
    _, first = objective.game.reset(tf.constant([5, 6]), 7)
    inputs = [first.observations[0], tf.zeros([7, 4])]
    for found, expected in zip(loaded(inputs), policy(inputs), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "options",
    [
        {"num_coins": 2},
        {"num_players": 3},
        {"can_stay": True},
        {"data_format": "channels_last"},
    ],
)
def test_other_forms_of_the_game_are_refused(table, options):
    with pytest.raises(
        ValueError, match="`game` must have two players, one coin"
    ):
        on_the_grid(CoinGame(5, **options), tabular(table, 0), 0)


def test_policies_of_other_games_are_refused():
    game = dice_tf.games.iterated_prisoners_dilemma(5)
    with pytest.raises(ValueError, match="`policy` must take views"):
        on_the_grid(CoinGame(5), tabular(game, 0), 0)
