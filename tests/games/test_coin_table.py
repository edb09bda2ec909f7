"""The Coin Game as a table against the Coin Game itself."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.games import CoinGame, TabularCoinGame
from dice_tf.seeds import split_seed

SIZES = (2, 3)


@pytest.fixture(scope="module", params=SIZES)
def games(request):
    size = request.param
    return CoinGame(12, grid_size=size), TabularCoinGame(12, grid_size=size)


def seen_from(origin, cell, size):
    """Where a cell lies as seen from another, in words of rows and columns."""
    row, column = divmod(int(cell), size)
    first, second = divmod(int(origin), size)
    return (row - first) % size * size + (column - second) % size


def number_of(table, coins, memories):
    """The number of a state of the Coin Game, one episode."""
    owner = int(coins.coins[0] < 0)
    place, other = coins.players
    described = (
        seen_from(place, other, table.grid_size),
        seen_from(place, coins.coins[owner], table.grid_size),
        owner,
        *memories,
    )
    (found,) = np.flatnonzero(np.all(table._states == described, axis=1))
    return int(found)


def played(game, num_episodes):
    """Random play: states `[T + 1]`, actions and rewards `[T]`, of each."""
    state, _ = game.reset(tf.constant([3, 4]), num_episodes)
    states, actions, rewards = [state], [], []
    rng = np.random.default_rng(0)
    for seed in split_seed(tf.constant([5, 6]), game.episode_length):
        acts = rng.integers(4, size=(2, num_episodes)).astype(np.int32)
        state, after = game.step(state, tuple(tf.constant(acts)), seed)
        states.append(state)
        actions.append(acts)
        rewards.append(np.array(after.rewards))
    return states, np.array(actions), np.array(rewards)


def take(state, episode):
    return tf.nest.map_structure(lambda x: int(x[episode]), state)


def test_it_is_the_coin_game_step_by_step(games):
    game, table = games
    states, actions, rewards = played(game, 30)
    num_cells = game.grid_size**2
    num_taken = 0
    for episode in range(30):
        memories = [0, 0]
        before = number_of(table, take(states[0], episode), memories)
        assert table.initial[before] > 0
        for step in range(game.episode_length):
            first, second = actions[step, :, episode]
            after = take(states[step + 1], episode)
            kinds = table.pick_ups[:, :, before, first, second]
            for player in range(2):
                if kinds[player].any():
                    memories[player] = int(kinds[player, 1])
            number = number_of(table, after, memories)
            np.testing.assert_array_equal(
                table.rewards[:, before, first, second],
                rewards[step, :, episode],
            )
            taken = kinds.any()
            apart = after.players[0] != after.players[1]
            expected = 1 / (num_cells - 1 - apart) if taken else 1.0
            chance = table.transitions[before, first, second, number]
            assert chance == pytest.approx(expected)
            num_taken += taken
            before = number
    assert num_taken > 50


def test_it_begins_as_the_coin_game_does(games):
    game, table = games
    num_episodes = 20_000
    state, _ = game.reset(tf.constant([1, 2]), num_episodes)
    size = game.grid_size
    place, other = (np.array(cell) for cell in state.players)
    is_first = np.array(state.coins[0]) >= 0
    coin = np.where(is_first, *(np.array(cell) for cell in state.coins))

    def relative(cell):
        row, column = cell // size - place // size, cell % size - place % size
        return row % size * size + column % size

    counts = np.zeros_like(table.initial)
    for described, share in zip(table._states, table.initial, strict=True):
        is_it = (relative(other) == described[0]) & (
            relative(coin) == described[1]
        )
        is_it &= is_first == (described[2] == 0)
        counts[np.all(table._states == described, axis=1)] = np.mean(is_it)
        if described[3] or described[4]:
            assert share == 0
    starts = table.initial > 0
    expected = table.initial[starts]
    error = np.sqrt(expected * (1 - expected) / num_episodes)
    assert np.all(np.abs(counts[starts] - expected) < 4.5 * error)


def test_both_seats_see_the_same_game(games):
    _, table = games
    view = np.argmax(table.observations[1], axis=1)
    np.testing.assert_array_equal(
        table.rewards[1], table.rewards[0][view].transpose(0, 2, 1)
    )
    np.testing.assert_array_equal(
        table.transitions,
        table.transitions[view].transpose(0, 2, 1, 3)[..., view],
    )
    np.testing.assert_array_equal(table.initial, table.initial[view])


def objectives(table):
    policies = [dice_tf.policies.tabular(table, i) for i in range(2)]
    return (
        dice_tf.objectives.ExactObjective(
            table, policies, 0.96, episode_length=None
        ),
        dice_tf.objectives.DiCEObjective(table, policies, 0.96, 32),
    )


def test_statistics_are_what_was_paid():
    """Of the other's coin its owner takes nothing, and loses 2 by it."""
    table = TabularCoinGame(20)
    _, sampled = objectives(table)
    params = sampled.initial_params()
    episode = sampled.play(params, tf.constant([7, 8])).trajectory
    owners = table._states[np.array(episode.states)][..., 2]
    rewards = np.array(episode.rewards)
    own_counts, foreign = np.zeros(2), np.zeros(2)
    for player in range(2):
        of_other = owners != player
        is_foreign = rewards[player] * of_other
        foreign[player] = is_foreign.sum()
        own_counts[1 - player] = np.sum(
            (rewards[1 - player] + 2 * is_foreign) * of_other
        )
    found = table.statistics(episode)
    np.testing.assert_allclose(
        found.own_coin_share, own_counts / (own_counts + foreign), rtol=1e-6
    )
    np.testing.assert_allclose(
        found.pick_ups_per_step, (own_counts + foreign) / 20 / 32, rtol=1e-6
    )


def test_shaping_players_leave_one_another_their_coins():
    table = TabularCoinGame(20, grid_size=2)
    exact, sampled = objectives(table)
    learner = dice_tf.learners.LOLADiCE(1, 8)
    trainer = dice_tf.Trainer(exact, [learner, learner], seed=1)
    trainer.compile(keras.optimizers.SGD(4.0), jit_compile=False)
    trainer.fit(epochs=15, verbose=0)
    play = sampled.play(sampled.initial_params(), tf.constant([1, 2]))
    assert min(table.statistics(play.trajectory).own_coin_share) > 0.8


def test_it_can_be_made_inside_of_a_graph():
    made = []

    @tf.function
    def make():
        made.append(TabularCoinGame(20, grid_size=2))
        return tf.constant(0)

    make()
    np.testing.assert_array_equal(
        made[0].transitions, TabularCoinGame(20, grid_size=2).transitions
    )
    np.testing.assert_array_equal(made[0].observations[0], np.eye(72))


@pytest.mark.parametrize("grid_size", [1, 4, 3.0])
def test_other_grids_are_refused(grid_size):
    with pytest.raises((TypeError, ValueError), match="grid_size"):
        TabularCoinGame(20, grid_size=grid_size)
