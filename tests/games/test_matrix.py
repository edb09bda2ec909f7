"""Iterated matrix games."""

import tracemalloc

import numpy as np
import pytest
import tensorflow as tf

from dice_tf.games import iterated_matrix_game
from tests import oracles
from tests.toys import ASYMMETRIC, THREE_PLAYERS

ONE_PLAYER = np.array([[0.5, 2.0, -1.0]])
GAMES = [ONE_PLAYER, ASYMMETRIC, THREE_PLAYERS]


@pytest.mark.parametrize("payoffs", GAMES, ids=["1", "2", "3"])
def test_players_see_their_own_action_first_and_the_start_last(payoffs):
    game = iterated_matrix_game(payoffs, 3, dtype="float64")
    num_actions = payoffs.shape[1:]
    joints = oracles.joint_actions(num_actions)
    actions = tuple(
        tf.constant([joint[i] for joint in joints]) for i in range(len(payoffs))
    )
    state, first = game.reset([0, 1], len(joints))
    _, second = game.step(state, actions, [0, 2])
    for i in range(len(payoffs)):
        start = oracles.observation(None, i, num_actions)
        seen = [oracles.observation(joint, i, num_actions) for joint in joints]
        assert start == len(joints) and sorted(seen) == list(range(start))
        np.testing.assert_array_equal(
            first.observations[i], np.eye(start + 1)[[start] * len(joints)]
        )
        np.testing.assert_array_equal(
            second.observations[i], np.eye(start + 1)[seen]
        )


def test_two_players_see_cc_cd_dc_dd_start():
    game = iterated_matrix_game(ASYMMETRIC, 3)
    state, _ = game.reset([0, 1], 1)
    _, step = game.step(state, (tf.constant([0]), tf.constant([1])), [0, 2])
    assert np.argmax(step.observations[0]) == 1  # I cooperated, it defected.
    assert np.argmax(step.observations[1]) == 2


@pytest.mark.parametrize("payoffs", GAMES, ids=["1", "2", "3"])
def test_rewards_are_the_payoffs_in_every_state(payoffs):
    game = iterated_matrix_game(payoffs, 3, dtype="float64")
    joints = oracles.joint_actions(payoffs.shape[1:])
    state, _ = game.reset([0, 1], len(joints))
    actions = tuple(tf.constant(action) for action in np.transpose(joints))
    for _ in range(2):
        state, step = game.step(state, actions, [0, 2])
        for i in range(len(payoffs)):
            np.testing.assert_array_equal(step.rewards[i], payoffs[i].ravel())


def test_payoffs_may_come_as_lists_of_whole_numbers():
    game = iterated_matrix_game([[[3, 0], [5, 1]], [[3, 5], [0, 1]]], 10)
    assert (game.num_players, game.num_actions) == (2, (2, 2))
    assert (game.num_states, game.episode_length) == (5, 10)


@pytest.mark.parametrize(
    "payoffs, message",
    [
        (
            np.zeros((2, 2)),
            r"`payoffs` must have shape.*\(2, 2\): 2 entries an",
        ),
        (np.zeros((3, 2, 2)), "3 entries and 2 action axes"),
        (1.0, "0 entries and 0 action axes"),
        ([1.0, 2.0], "2 entries and 0 action axes"),
        (np.zeros((2, 2, 0)), "every player at least one action"),
        ([[[1, 2], [3]], [[1, 2], [3, 4]]], "`payoffs` must be one array of"),
        ([[["a", "b"]]], "`payoffs` must be one array of numbers"),
        (np.full((2, 2, 2), np.inf), "`payoffs` must be finite"),
    ],
)
def test_payoffs_that_do_not_fit_are_refused(payoffs, message):
    with pytest.raises(ValueError, match=message):
        iterated_matrix_game(payoffs)


def test_the_length_must_be_a_positive_whole_number():
    with pytest.raises(ValueError, match="`episode_length` must be at least 1"):
        iterated_matrix_game(ASYMMETRIC, 0)
    with pytest.raises(TypeError, match="`episode_length` must be a whole num"):
        iterated_matrix_game(ASYMMETRIC, 1.5)


def test_large_games_are_refused_before_anything_is_made():
    payoffs = np.broadcast_to(np.float64(1.0), [2, 200, 200])
    tracemalloc.start()
    try:
        with pytest.raises(
            ValueError, match=r"40,000 joint.*35.7 GiB \(38,401,920,024 bytes"
        ):
            iterated_matrix_game(payoffs, 10)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**20


def test_memory_grows_with_the_square_of_the_states():
    size = 24
    num_states = size**2 + 1
    payoffs = np.random.default_rng(0).normal(size=[2, size, size])
    tracemalloc.start()
    try:
        game = iterated_matrix_game(payoffs, 10)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert game.transitions.shape == (num_states, size, size, num_states)
    # The cube is 192 MB, even of one byte.
    assert 3 * 8 * num_states**2 < peak < 10 * 8 * num_states**2
    state, _ = game.reset([0, 1], 2)
    actions = (tf.constant([0, 23]), tf.constant([1, 23]))
    state, after = game.step(state, actions, [0, 2])
    np.testing.assert_array_equal(state, [1, size**2 - 1])
    np.testing.assert_array_equal(
        np.argmax(after.observations[1], axis=1), [size, size**2 - 1]
    )
