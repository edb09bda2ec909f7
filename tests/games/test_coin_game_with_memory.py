"""The Coin Game with a memory in its observations, against slow NumPy."""

import types

import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.games import CoinGame, CoinGameWithMemory, CoinMemoryState
from tests.games.test_coin_game import (
    SEED,
    OneGrid,
    as_numpy,
    play,
    random_actions,
)

# Games and batch sizes: 40 steps of each come to 10,000.
VARIANTS = (
    ({}, 100),
    ({"grid_size": 4, "data_format": "channels_last", "dtype": "float64"}, 50),
    ({"num_coins": 2, "can_stay": True}, 50),
    ({"num_players": 3, "num_coins": 3, "data_format": "channels_last"}, 50),
)
NUM_STEPS = 40


class Memory:
    """Who took whose coins last, in words, for one episode."""

    def __init__(self, num_players):
        self.took_foreign = [False] * num_players

    def step(self, players, coins):
        """Takes the players' places after a move, and coins before it."""
        for player, place in enumerate(players):
            taken = [owner for owner, coin in coins.items() if coin == place]
            if taken:
                self.took_foreign[player] = set(taken) != {player}

    def planes(self, player, size):
        seats = self.took_foreign[player:] + self.took_foreign[:player]
        return np.stack([np.full([size, size], float(bit)) for bit in seats])


@pytest.fixture(scope="module", params=VARIANTS, ids=str)
def played(request):
    options, batch_size = request.param
    game = CoinGameWithMemory(CoinGame(**options))
    actions = random_actions(game, NUM_STEPS, batch_size)
    return game, actions, as_numpy(play(game, SEED, actions))


def test_observations_are_those_of_the_slow_oracle(played):
    game, actions, (states, after) = played
    size = game.grid_game.grid_size
    seen = set()
    for b in range(actions.shape[-1]):
        grid = OneGrid(
            size,
            [cells[0, b] for cells in states.grid.players],
            [cells[0, b] for cells in states.grid.coins],
        )
        memory = Memory(game.num_players)
        for t in range(NUM_STEPS + 1):
            if t:
                coins = dict(grid.coins)
                _, taken = grid.step(actions[t - 1, :, b])
                memory.step(grid.players, coins)
                cells = [coin[t, b] for coin in states.grid.coins]
                grid.reappear(taken, cells)
            bits = [took[t, b] for took in states.took_foreign]
            assert bits == memory.took_foreign
            seen.add(tuple(bits))
            for player in range(game.num_players):
                expected = np.concatenate(
                    [grid.observation(player), memory.planes(player, size)]
                )
                if game.grid_game.data_format == "channels_last":
                    expected = np.moveaxis(expected, 0, -1)
                np.testing.assert_array_equal(
                    after.observations[player][t, b], expected
                )
    assert len(seen) == 2**game.num_players
    assert after.observations[0].shape[2:] == game.observation_shapes[0]
    assert after.observations[0].dtype == game.dtype.as_numpy_dtype


def test_all_else_is_that_of_the_game_inside(played):
    game, actions, (states, after) = played
    grids, expected = as_numpy(play(game.grid_game, SEED, actions))
    tf.nest.map_structure(np.testing.assert_array_equal, states.grid, grids)
    tf.nest.map_structure(
        np.testing.assert_array_equal, after.rewards, expected.rewards
    )
    np.testing.assert_array_equal(after.discounts, expected.discounts)
    for found, observation in zip(
        after.observations, expected.observations, strict=True
    ):
        np.testing.assert_array_equal(game.grid_of(found), observation)
    assert game.num_actions == game.grid_game.num_actions
    assert game.episode_length == game.grid_game.episode_length


def test_the_state_is_read_off_what_player_0_sees(played):
    game, _, (states, after) = played
    tf.nest.map_structure(
        np.testing.assert_array_equal,
        as_numpy(game.state_of(after.observations[0])),
        states,
    )


def test_statistics_are_those_of_the_game_inside(played):
    game, actions, (_, after) = played
    trajectory = types.SimpleNamespace(
        observations=[tf.constant(x[:-1]) for x in after.observations],
        actions=[tf.constant(actions[:, i]) for i in range(game.num_players)],
    )
    inside = types.SimpleNamespace(
        observations=list(map(game.grid_of, trajectory.observations)),
        actions=trajectory.actions,
    )
    found = game.statistics(trajectory)
    assert found == game.grid_game.statistics(inside)
    assert found.pick_ups_per_step[0] > 0


def test_the_memory_is_that_of_the_table():
    """A policy of the table, on the grid, carries the same two bits."""
    grid_game = CoinGame(30)
    table = dice_tf.policies.tabular(dice_tf.games.TabularCoinGame(30), 0)
    game = CoinGameWithMemory(grid_game)
    _, after = play(game, SEED, random_actions(game, 30, 40))
    for player_id, observations in enumerate(after.observations):
        player = dice_tf.policies.on_the_grid(grid_game, table, player_id)
        memory = tf.zeros([40, 4])
        for observation in observations:
            _, memory = player([game.grid_of(observation), memory])
            # The last two numbers that it remembers, the player's first.
            np.testing.assert_array_equal(
                memory[:, 2:], observation[:, 4:, 0, 0]
            )


def test_it_is_the_same_eagerly_in_graphs_and_under_xla():
    game = CoinGameWithMemory(CoinGame())
    actions = random_actions(game, 3, 200)

    def run(seed):
        return play(game, seed, actions)

    expected = run(SEED)
    for jit_compile in (False, True):
        found = tf.function(run, jit_compile=jit_compile)(SEED)
        tf.nest.map_structure(np.testing.assert_array_equal, found, expected)
    dice_tf.check_game(game)


def test_exported_policies_see_the_memory(tmp_path):
    game = CoinGameWithMemory(CoinGame())
    policy = dice_tf.policies.mlp(game, 0)
    dice_tf.export.export_policy(policy, tmp_path / "policy")
    loaded = dice_tf.policies.from_saved_model(tmp_path / "policy")
    _, after = play(game, SEED, random_actions(game, 20, 30))
    observations = after.observations[0][-1]
    expected = tf.nn.softmax(policy(observations))
    np.testing.assert_allclose(
        tf.nn.softmax(loaded(observations)), expected, rtol=1e-5
    )
    forgetful = tf.concat(
        [game.grid_of(observations), tf.zeros([30, 2, 3, 3])], axis=1
    )
    differs = np.any(observations != forgetful, axis=(1, 2, 3))
    assert 0 < differs.sum() < 30
    changes = np.abs(tf.nn.softmax(loaded(forgetful)) - expected).max(axis=1)
    assert np.all((changes > 1e-4) == differs)


def test_only_a_coin_game_can_be_wrapped():
    table = dice_tf.games.TabularCoinGame()
    with pytest.raises(TypeError, match="`game` must be a dice_tf.games.CoinG"):
        CoinGameWithMemory(table)


def test_states_of_the_game_inside_are_refused():
    game = CoinGameWithMemory(CoinGame())
    state, _ = game.grid_game.reset(SEED, 2)
    actions = (tf.zeros([2], tf.int32),) * 2
    with pytest.raises(TypeError, match=r"must be a dice_tf\.games\.CoinMemor"):
        game.step(state, actions, SEED)
    state, _ = game.reset(SEED, 2)
    assert isinstance(state, CoinMemoryState)
    game.step(state, actions, SEED)
