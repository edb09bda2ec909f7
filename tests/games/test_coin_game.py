"""The Coin Game against slow NumPy, its symmetry, and where it runs."""

import types

import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.games import CoinGame, CoinState
from dice_tf.seeds import split_seed

SEED = tf.constant([1, 2])
# One coin on the standard grid, and the variants.
VARIANTS = (
    {},
    {"grid_size": 2},
    {"grid_size": 5, "can_stay": True, "data_format": "channels_last"},
    {"num_coins": 2},
    {"num_coins": 2, "can_stay": True, "dtype": "float64"},
)
STEPS = ((0, 1), (0, -1), (1, 0), (-1, 0), (0, 0))


class OneGrid:
    """One episode by the rules in words, a NumPy grid per thing.

    Where coins appear is chance: `step` is told, and says who was there.
    """

    def __init__(self, size, players, coins):
        self.size = size
        self.num_players = len(players)
        self.players = [divmod(int(cell), size) for cell in players]
        self.coins = {
            owner: divmod(int(cell), size)
            for owner, cell in enumerate(coins)
            if cell >= 0
        }

    def step(self, actions):
        """Returns the rewards, and the owners of the coins picked up."""
        self.players = [
            tuple((np.array(place) + STEPS[action]) % self.size)
            for place, action in zip(self.players, actions, strict=True)
        ]
        rewards, taken = [0] * self.num_players, set()
        for owner, coin in self.coins.items():
            takers = [i for i, x in enumerate(self.players) if x == coin]
            for player in takers:
                rewards[player] += 1
                taken.add(owner)
            if set(takers) - {owner}:
                rewards[owner] -= 2
        return rewards, taken

    def reappear(self, taken, cells):
        """Puts back what was taken, at the cells where the game says."""
        before = dict(self.coins)
        for owner in taken:
            del self.coins[owner]
        for owner in taken:
            new = owner if len(before) > 1 else (owner + 1) % self.num_players
            place = divmod(int(cells[new]), self.size)
            assert place not in self.players
            self.coins[new] = place

    def observation(self, player):
        grid = np.zeros([2 * self.num_players, self.size, self.size])
        for seat, place in enumerate(self.players):
            grid[((seat - player) % self.num_players, *place)] = 1
        for owner, place in self.coins.items():
            channel = self.num_players + (owner - player) % self.num_players
            grid[(channel, *place)] = 1
        return grid


def as_numpy(nest):
    return tf.nest.map_structure(lambda x: x.numpy(), nest)


def random_actions(game, num_steps, batch_size, seed=0):
    rng = np.random.default_rng(seed)
    shape = (num_steps, game.num_players, batch_size)
    return rng.integers(game.num_actions[0], size=shape).astype(np.int32)


def play(game, seed, actions):
    """Plays given actions; returns stacked states and time steps."""
    reset_seed, *seeds = split_seed(seed, 1 + len(actions))
    state, after = game.reset(reset_seed, actions.shape[-1])
    played = [(state, after)]
    for joint, step_seed in zip(actions, seeds, strict=True):
        state, after = game.step(state, tuple(joint), step_seed)
        played.append((state, after))
    return tf.nest.map_structure(lambda *x: tf.stack(x), *played)


@pytest.fixture(scope="module", params=VARIANTS, ids=str)
def played(request):
    """2,000 random steps of each variant, 10,000 in all."""
    game = CoinGame(**request.param)
    actions = random_actions(game, 40, 50)
    return game, actions, as_numpy(play(game, SEED, actions))


def check_rules(game, actions, states, after):
    """Compares with the oracle; returns how many coins were picked up."""
    num_picked = 0
    for b in range(actions.shape[-1]):
        grid = OneGrid(
            game.grid_size,
            [cells[0, b] for cells in states.players],
            [cells[0, b] for cells in states.coins],
        )
        assert len(grid.coins) == game.num_coins
        for t in range(len(actions) + 1):
            if t:
                rewards, taken = grid.step(actions[t - 1, :, b])
                num_picked += len(taken)
                assert [
                    player_rewards[t, b] for player_rewards in after.rewards
                ] == rewards
                grid.reappear(taken, [cells[t, b] for cells in states.coins])
            for player in range(game.num_players):
                seen = after.observations[player][t, b]
                expected = grid.observation(player)
                if game.data_format == "channels_last":
                    expected = np.moveaxis(expected, 0, -1)
                np.testing.assert_array_equal(seen, expected)
    assert after.rewards[0].dtype == game.dtype.as_numpy_dtype
    np.testing.assert_array_equal(after.discounts, 1)
    assert after.observations[0].shape[2:] == game.observation_shapes[0]
    return num_picked


def test_the_rules_are_those_of_the_slow_oracle(played):
    game, actions, (states, after) = played
    assert check_rules(game, actions, states, after) > 50


@pytest.mark.parametrize(
    "variant", [{}, {"num_coins": 3, "data_format": "channels_last"}], ids=str
)
def test_three_players_play_by_the_rules_of_the_slow_oracle(variant):
    """10,000 random steps; two players rob a third one now and then."""
    game = CoinGame(num_players=3, **variant)
    actions = random_actions(game, 40, 250)
    states, after = as_numpy(play(game, SEED, actions))
    assert check_rules(game, actions, states, after) > 1000
    rewards = np.stack(after.rewards)
    num_robbers = np.sum(rewards > 0, axis=0)[np.min(rewards, axis=0) == -2]
    assert np.bincount(num_robbers)[2] > 50


def test_three_seats_rotate():
    """The game looks the same to a player one seat further."""
    game = CoinGame(num_players=3)
    state, first = game.reset(SEED, 500)
    (joint,) = random_actions(game, 1, 500)

    def rotated(x):
        return (*x[1:], *x[:1])

    after, step = game.step(state, tuple(joint), SEED)
    turned = CoinState(rotated(state.players), rotated(state.coins))
    turned_after, turned_step = game.step(turned, rotated(joint), SEED)
    for found, expected in (
        (turned_after.players, after.players),
        (turned_after.coins, after.coins),
        (turned_step.rewards, step.rewards),
        (turned_step.observations, step.observations),
    ):
        for one, two in zip(found, rotated(expected), strict=True):
            np.testing.assert_array_equal(one, two)
    expected = game.state_of(first.observations[0])
    for one, two in zip(
        (*expected.players, *expected.coins),
        (*state.players, *state.coins),
        strict=True,
    ):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("cells", [(0, 1, 2), (4, 4, 8), (5, 5, 5), (7, 0, 7)])
def test_a_coin_appears_on_any_cell_that_three_players_leave_free(cells):
    game = CoinGame(num_players=3, can_stay=True)
    size = 70_000
    (free,) = np.nonzero(~np.isin(np.arange(9), cells))
    players = tuple(tf.fill([size], cell) for cell in cells)
    absent = tf.fill([size], -1)
    state = CoinState(players, (absent, players[0], absent))
    after, _ = game.step(state, (tf.fill([size], 4),) * 3, SEED)
    counts = np.bincount(after.coins[2], minlength=9)
    assert counts[free].sum() == size
    uniform = np.full(len(free), 1 / len(free))
    assert abs(chi_square(counts[free], uniform)) < 5
    np.testing.assert_array_equal(after.coins[:2], np.full([2, size], -1))


def test_the_first_coin_is_that_of_any_of_three():
    state, _ = CoinGame(num_players=3).reset(SEED, 30_000)
    counts = np.sum(np.stack(state.coins) >= 0, axis=1)
    assert counts.sum() == 30_000
    assert abs(chi_square(counts, np.full(3, 1 / 3))) < 5


def test_swapping_the_seats_swaps_everything(played):
    game, actions, (states, after) = played
    flat = tf.nest.map_structure(lambda x: tf.reshape(x[:-1], [-1]), states)
    joint = [tf.reshape(actions[:, i], [-1]) for i in range(2)]
    swapped = CoinState(flat.players[::-1], flat.coins[::-1])
    ours = game.step(flat, tuple(joint), SEED)
    # A coin of each is placed by a draw of its own: two coins swap only in
    # distribution.
    theirs = game.step(swapped, tuple(joint[::-1]), SEED)
    for i in range(2):
        np.testing.assert_array_equal(
            ours[1].rewards[i], theirs[1].rewards[1 - i]
        )
        np.testing.assert_array_equal(
            ours[0].players[i], theirs[0].players[1 - i]
        )
        if game.num_coins == 1:
            for mine, other in (
                (ours[0].coins[i], theirs[0].coins[1 - i]),
                (ours[1].observations[i], theirs[1].observations[1 - i]),
            ):
                np.testing.assert_array_equal(mine, other)
    # The picture of the one is that of the other with its channels swapped.
    axis = 2 if game.data_format == "channels_first" else -1
    first, second = (np.moveaxis(x, axis, 0) for x in after.observations)
    np.testing.assert_array_equal(first, second[[1, 0, 3, 2]])


def chi_square(counts, chances):
    """Returns the statistic in standard deviations from its mean."""
    expected = counts.sum() * np.asarray(chances)
    statistic = np.sum((counts - expected) ** 2 / expected)
    freedom = counts.size - 1
    return (statistic - freedom) / np.sqrt(2 * freedom)


@pytest.mark.parametrize("num_coins", [1, 2])
def test_starts_are_uniform_and_the_same_from_both_seats(num_coins):
    game = CoinGame(num_coins=num_coins)
    state, _ = as_numpy(game.reset(SEED, 100_000))
    first, other = state.players
    counts = np.bincount(9 * first + other, minlength=81)
    assert abs(chi_square(counts, np.full(81, 1 / 81))) < 5
    for i, cells in enumerate(state.coins):
        there = cells >= 0
        # An owner's coin lies first in half the episodes, or always.
        share, error = there.mean(), 0.5 / np.sqrt(len(cells))
        assert abs(share - num_coins / 2) < 5 * error
        # Seen from its owner: on any of the cells that are free.
        apart = there & (first != other)
        assert not np.any((cells == first) & there)
        offset = (cells - state.players[i]) % 9
        assert not np.any((cells == other) & there)
        counts = np.bincount(offset[apart], minlength=9)[1:]
        assert abs(chi_square(counts, np.full(8, 1 / 8))) < 5


def test_coins_appear_on_every_free_cell_alike():
    game = CoinGame()
    size = 70_000
    # Both step on player 0's coin, from two sides, or one of them does.
    cells = [np.full(size, cell, np.int32) for cell in (3, 5, 4)]
    state = CoinState((cells[0], cells[1]), (cells[2], np.full(size, -1)))
    state = tf.nest.map_structure(lambda x: tf.constant(x, tf.int32), state)
    for second_action, players in ((1, (4, 4)), (2, (4, 8))):
        actions = tf.zeros([size], tf.int32), tf.fill([size], second_action)
        after, _ = game.step(state, actions, SEED)
        assert [int(cell[0]) for cell in after.players] == list(players)
        counts = np.bincount(after.coins[1], minlength=9)
        free = np.setdiff1d(np.arange(9), players)
        assert counts[free].sum() == size
        uniform = np.full(len(free), 1 / len(free))
        assert abs(chi_square(counts[free], uniform)) < 5


def test_two_coins_taken_at_once_reappear_independently():
    game = CoinGame(num_coins=2)
    size = 98_000
    state = tf.nest.map_structure(
        lambda cell: tf.fill([size], cell), CoinState((0, 1), (1, 2))
    )
    actions = (tf.zeros([size], tf.int32),) * 2
    after, step = game.step(state, actions, SEED)
    np.testing.assert_array_equal(step.rewards, np.ones([2, size]))
    first, second = (cells.numpy() for cells in after.coins)
    free = np.array([0, 3, 4, 5, 6, 7, 8])
    counts = np.bincount(9 * first + second, minlength=81)
    joint = counts.reshape(9, 9)[np.ix_(free, free)]
    assert joint.sum() == size
    assert abs(chi_square(joint, np.full([7, 7], 1 / 49))) < 5


@pytest.mark.parametrize("num_coins", [1, 2])
def test_it_is_the_same_eagerly_in_graphs_and_under_xla(num_coins):
    game = CoinGame(num_coins=num_coins)
    (actions,) = random_actions(game, 1, 300)

    def reset_and_step(seed):
        reset_seed, step_seed = split_seed(seed, 2)
        state, first = game.reset(reset_seed, 300)
        return first, game.step(state, tuple(actions), step_seed)

    expected = reset_and_step(SEED)
    assert np.any(expected[1][1].rewards[0])
    for jit_compile in (False, True):
        run = tf.function(reset_and_step, jit_compile=jit_compile)
        tf.nest.map_structure(
            np.testing.assert_array_equal, run(SEED), expected
        )
    seeds = tf.constant([[3, 4], [1, 2]])
    mapped = tf.function(tf.vectorized_map)(reset_and_step, seeds)
    tf.nest.map_structure(
        lambda x, y: np.testing.assert_array_equal(x[1], y), mapped, expected
    )


@pytest.mark.parametrize(("num_players", "num_coins"), [(2, 1), (2, 2), (3, 3)])
def test_statistics_count_what_was_picked_up(num_players, num_coins):
    game = CoinGame(num_players=num_players, num_coins=num_coins)
    actions = random_actions(game, 30, 20)
    states, after = as_numpy(play(game, SEED, actions))
    measured = game.statistics(
        types.SimpleNamespace(
            observations=[tf.constant(x[:-1]) for x in after.observations],
            actions=[tf.constant(actions[:, i]) for i in range(num_players)],
        )
    )
    for i in range(num_players):
        places = states.players[i][1:]
        own_count = np.sum(places == states.coins[i][:-1])
        foreign = sum(
            np.sum(places == coins[:-1])
            for owner, coins in enumerate(states.coins)
            if owner != i
        )
        assert own_count > 0 and foreign > 0
        np.testing.assert_allclose(
            measured.own_coin_share[i],
            own_count / (own_count + foreign),
            rtol=1e-6,
        )
        np.testing.assert_allclose(
            measured.pick_ups_per_step[i],
            (own_count + foreign) / places.size,
            rtol=1e-6,
        )


def test_the_trainer_trains_in_it():
    game = CoinGame(episode_length=4)
    policies = [
        dice_tf.policies.mlp(game, i, hidden_units=[4]) for i in range(2)
    ]
    objective = dice_tf.objectives.DiCEObjective(game, policies, 0.96, 3, None)
    learner = dice_tf.learners.Naive()
    trainer = dice_tf.Trainer(objective, [learner, learner])
    trainer.compile("sgd", run_eagerly=True)
    before = [variable.numpy() for variable in policies[0].trainable_variables]
    trainer.fit(steps_per_epoch=2, verbose=0)
    assert np.all(np.isfinite(trainer.curves))
    after = [variable.numpy() for variable in policies[0].trainable_variables]
    assert not np.array_equal(before[0], after[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"episode_length": 0}, "`episode_length` must be at least 1"),
        ({"grid_size": 1}, "`grid_size` must be at least 2"),
        ({"num_coins": 3}, "`num_coins` must be one of 1, 2"),
        (
            {"num_coins": 2, "num_players": 3},
            "`num_coins` must be one of 1, 3",
        ),
        ({"num_players": 1}, "`num_players` must be at least 2"),
        ({"num_players": 9}, "`num_players` must be at most 8"),
        ({"data_format": "nchw"}, "`data_format` must be one of 'channels_f"),
    ],
)
def test_arguments_out_of_their_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        CoinGame(**arguments)
