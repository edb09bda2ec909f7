"""Markov games with finitely many states and actions."""

import numpy as np
import pytest
import tensorflow as tf

from dice_tf.games import CoinGame, FiniteGame
from dice_tf.games.finite import acts_by_state

ACTIONS = (2, 3)
STATES = 4


def tables(seed=0, by_state=True):
    """Random tables; rewards and chances may be the same in each state."""
    rng = np.random.default_rng(seed)
    shape = (STATES if by_state else 1, *ACTIONS)
    rewards = rng.normal(size=(2, *shape))
    chances = rng.dirichlet(np.ones(STATES), size=shape)
    # One entry that never happens, which must not be picked.
    chances[..., 1] = 0.0
    chances /= chances.sum(axis=-1, keepdims=True)
    return {
        "rewards": np.broadcast_to(rewards, (2, STATES, *ACTIONS)),
        "transitions": np.broadcast_to(chances, (STATES, *ACTIONS, STATES)),
        "initial": np.array([0.2, 0.0, 0.5, 0.3]),
        "episode_length": 5,
    }


# Which actions are legal; of player 0 by what it sees in `ALIKE`, too, but for
# the last state.
MASKS = [
    np.array([[True, True], [True, False], [False, True], [True, True]]),
    np.array([[1, 1, 0], [0, 1, 1], [0, 0, 1], [1, 1, 1]]) > 0,
]
ALIKE = np.array([[2.0, -1.0], [0.5, 0.5], [0.0, 3.0], [0.5, 0.5]])


def finite_game(dtype="float64", **changes):
    return FiniteGame(**{**tables(), **changes}, dtype=dtype)


def random_moves(size, seed=0):
    rng = np.random.default_rng(seed)
    state = rng.integers(STATES, size=size)
    actions = [rng.integers(count, size=size) for count in ACTIONS]
    return (
        tf.constant(state, tf.int32),
        tuple(tf.constant(action, tf.int32) for action in actions),
    )


def assert_frequencies(counts, chances, num_errors=4.0):
    """Counts are those of the chances within so many standard errors."""
    size = counts.sum(axis=-1, keepdims=True)
    errors = np.sqrt(chances * (1 - chances) / size)
    assert np.all(np.abs(counts / size - chances) <= num_errors * errors)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("by_state", [True, False])
def test_steps_follow_the_transition_probabilities(by_state, dtype):
    game = finite_game(**tables(by_state=by_state), dtype=dtype)
    state, actions = random_moves(200_000)
    following, _ = game.step(state, actions, [1, 2])
    counts = np.zeros((STATES, *ACTIONS, STATES))
    np.add.at(counts, (state, *actions, following.numpy()), 1)
    assert_frequencies(counts, game.transitions, num_errors=4.5)
    assert following.dtype == tf.int32


@pytest.mark.parametrize("jit_compile", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_seen_tells_what_is_legal(dtype, jit_compile):
    """By any encoding of states, with any leading axes."""
    same = [MASKS[0][[0, 1, 2, 1]], MASKS[1]]
    encodings = [ALIKE, np.random.default_rng(3).normal(size=(4, 2, 3))]
    game = finite_game(dtype, action_masks=same, observations=encodings)
    states = np.random.default_rng(4).integers(4, size=(5, 2, 3))
    for player_id in range(2):
        read = tf.function(
            lambda seen, i=player_id: game.legal_actions(seen, i),
            jit_compile=jit_compile,
        )
        seen = tf.constant(game.observations[player_id][states], game.dtype)
        np.testing.assert_array_equal(read(seen), same[player_id][states])
    state, step = game.reset([1, 2], 30)
    np.testing.assert_array_equal(
        game.legal_actions(step.observations[1], 1), MASKS[1][state]
    )
    assert finite_game().legal_actions(seen, 0) is None


def test_first_states_follow_their_probabilities():
    game = finite_game()
    state, step = game.reset([3, 4], 100_000)
    counts = np.bincount(state, minlength=STATES)
    assert_frequencies(counts, game.initial)
    assert [reward.numpy().any() for reward in step.rewards] == [False, False]
    np.testing.assert_array_equal(step.discounts, np.ones(100_000))


@pytest.mark.parametrize("by_state", [True, False])
def test_rewards_are_those_of_the_state_and_the_actions(by_state):
    game = finite_game(**tables(by_state=by_state))
    state, actions = random_moves(50)
    _, step = game.step(state, actions, [1, 2])
    for player_id in range(2):
        expected = game.rewards[player_id][(state, *actions)]
        np.testing.assert_array_equal(step.rewards[player_id], expected)
    np.testing.assert_array_equal(step.discounts, np.ones(50))


def test_the_state_is_seen_one_hot_unless_said_otherwise():
    state, actions = random_moves(20)
    following, step = finite_game().step(state, actions, [1, 2])
    for observation in step.observations:
        np.testing.assert_array_equal(observation, np.eye(STATES)[following])


def test_each_player_sees_its_own_table():
    rng = np.random.default_rng(1)
    seen = [rng.normal(size=(STATES, 3)), rng.normal(size=(STATES, 2, 2))]
    game = finite_game(observations=seen)
    assert game.observation_shapes == ((3,), (2, 2))
    state, step = game.reset([0, 1], 10)
    for table, observation in zip(seen, step.observations, strict=True):
        np.testing.assert_array_equal(observation, table[state])


def test_joint_actions_are_numbered_row_major():
    game = finite_game()
    _, actions = random_moves(30)
    joint = game.joint_action(actions)
    np.testing.assert_array_equal(joint, np.ravel_multi_index(actions, ACTIONS))
    for one, other in zip(game.split_joint_action(joint), actions, strict=True):
        np.testing.assert_array_equal(one, other)


def test_certain_transitions_ignore_the_noise():
    certain = np.eye(STATES)[[2, 0, 3, 1, 1, 0]].reshape(*ACTIONS, STATES)
    certain = np.broadcast_to(certain, (STATES, *ACTIONS, STATES))
    game = finite_game(transitions=certain)
    state, actions = random_moves(30)
    expected = np.argmax(certain, axis=-1)[(state, *actions)]
    for seed in ([0, 1], [5, 6]):
        np.testing.assert_array_equal(
            game.step(state, actions, seed)[0], expected
        )


@pytest.mark.parametrize("jit_compile", [False, True])
def test_it_plays_the_same_compiled(jit_compile):
    game = finite_game("float32")

    def play(seed):
        state, first = game.reset(seed, 16)
        _, actions = random_moves(16)
        state, second = game.step(state, actions, seed + 1)
        return state, first, second

    seed = tf.constant([3, 4])
    compiled = tf.function(play, jit_compile=jit_compile)(seed)
    for one, other in zip(
        tf.nest.flatten(play(seed)), tf.nest.flatten(compiled), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_what_a_game_says_of_itself():
    game = finite_game("float32")
    assert (game.num_players, game.num_states) == (2, STATES)
    assert game.num_actions == ACTIONS and game.episode_length == 5
    assert game.dtype == tf.float32
    _, step = game.reset([0, 1], 3)
    assert {x.dtype for x in tf.nest.flatten(step)} == {tf.float32}


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"rewards": np.zeros((3, 4, 2, 3))},
            r"`rewards` must have shape \[nu",
        ),
        ({"rewards": np.zeros((2, 4))}, "with one action axis per player"),
        (
            {"rewards": np.full((2, 4, 2, 3), np.nan)},
            "`rewards` must be finite",
        ),
        ({"transitions": np.ones((4, 2, 3))}, r"`transitions` must have shape"),
        (
            {"transitions": np.ones((4, 2, 3, 4))},
            "`transitions` must hold prob",
        ),
        ({"initial": np.ones(3) / 3}, r"`initial` must have shape \(4,\)"),
        ({"initial": [1.5, -0.5, 0, 0]}, "`initial` must hold probabilities"),
        ({"initial": [np.nan, 1, 0, 0]}, "`initial` must hold probabilities"),
        ({"observations": [np.eye(4)]}, "`observations` must hold one table"),
        ({"observations": [np.eye(4), np.eye(3)]}, r"\(2 tables of 4 rows\)"),
        ({"episode_length": 0}, "`episode_length` must be at least 1"),
        ({"action_masks": MASKS[:1]}, "entry for each of 2 players. Receiv"),
        (
            {"action_masks": MASKS[::-1]},
            r"`action_masks\[0\]` must be bool of shape \(4, 2\).*shape \(4, 3",
        ),
        (
            {"action_masks": [MASKS[0], MASKS[1].astype(int)]},
            r"`action_masks\[1\]` must be bool .* Received: int64",
        ),
        (
            {"action_masks": [MASKS[0], MASKS[1] & (MASKS[1] != MASKS[1][2])]},
            "Player 1 has no legal action in state 2",
        ),
        (
            {"action_masks": MASKS, "observations": [ALIKE, np.eye(4)]},
            "Player 0 sees the same in states 1 and 3, but `action_masks",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_tables_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        finite_game(**changes)


def test_a_length_that_is_no_whole_number_is_refused():
    with pytest.raises(TypeError, match="`episode_length` must be a whole num"):
        finite_game(episode_length=2.5)


def test_a_batch_of_none_is_refused():
    with pytest.raises(ValueError, match="`batch_size` must be at least 1"):
        finite_game().reset([0, 1], 0)


def test_the_state_tells_what_players_without_memory_do():
    game = finite_game()
    assert acts_by_state(game, [False, False])
    assert not acts_by_state(game, [False, True])
    assert not acts_by_state(CoinGame(3), [False, False])
