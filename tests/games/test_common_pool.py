"""The common pool, against slow NumPy, and what kind of dilemma it is."""

import fractions
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.games import CommonPool

SETTINGS = {
    "default": {},
    "three_players": {"num_players": 3, "capacity": 11, "max_harvest": 2},
    "alone": {"num_players": 1, "capacity": 5, "growth_factor": 1.5},
    "slow": {"capacity": 10, "max_harvest": 5, "growth_factor": 1.1},
    "no_growth": {"capacity": 3, "growth_factor": 1.0},
}


def harvest(game, stock, actions):
    """Rewards and the next stock, counted unit by unit."""
    taken = []
    for action in actions:
        units = 0
        while (
            units < action
            and units < game.max_harvest
            and (units + 1) * len(actions) <= stock
        ):
            units += 1
        taken.append(units)
    left = stock - sum(taken)
    grown = 0
    factor = fractions.Fraction(game.growth_factor).limit_denominator(60)
    while grown + 1 <= left * factor:
        grown += 1
    return taken, min(grown, game.capacity)


@pytest.mark.parametrize("jit_compile", [True, False])
@pytest.mark.parametrize("name", SETTINGS)
def test_random_play_follows_the_rules(name, jit_compile):
    """Of 60 episodes of 40 steps, a third of the actions illegal ones too."""
    game = CommonPool(40, **SETTINGS[name])
    rng = np.random.default_rng(0)
    step = tf.function(game.step, jit_compile=jit_compile)
    state, seen = game.reset([0, 1], 60)
    np.testing.assert_array_equal(state, [game.capacity] * 60)
    for _ in range(40):
        stocks = state.numpy()
        limits = np.minimum(stocks // game.num_players, game.max_harvest)
        limits[::3] = game.max_harvest
        actions = rng.integers(limits + 1, size=(game.num_players, 60))
        np.testing.assert_array_equal(
            seen.observations[-1], np.eye(game.capacity + 1)[stocks]
        )
        state, seen = step(
            state, tuple(tf.constant(actions, tf.int32)), tf.constant([0, 1])
        )
        found = zip(np.transpose(seen.rewards), state.numpy(), strict=True)
        for b, (rewards, following) in enumerate(found):
            expected = harvest(game, int(stocks[b]), actions[:, b].tolist())
            assert (rewards.tolist(), following) == expected


@pytest.mark.parametrize("name", SETTINGS)
def test_its_tables_say_what_its_steps_do(name):
    game = CommonPool(3, **SETTINGS[name], dtype="float64")
    shape = (game.capacity + 1, *game.num_actions)
    state, *actions = (
        tf.constant(action.ravel(), tf.int32) for action in np.indices(shape)
    )
    following, step = game.step(state, tuple(actions), [0, 1])
    for table, rewards in zip(game.rewards, step.rewards, strict=True):
        np.testing.assert_array_equal(table.ravel(), rewards)
    chances = game.transitions.reshape(-1, game.capacity + 1)
    np.testing.assert_array_equal(chances, np.eye(len(chances[0]))[following])


@pytest.mark.parametrize("name", SETTINGS)
def test_an_equal_share_is_legal_and_more_is_not(name):
    game = CommonPool(3, **SETTINGS[name])
    for stock, seat in itertools.product(
        range(game.capacity + 1), range(game.num_players)
    ):
        seen = tf.one_hot([[stock]], game.capacity + 1)
        legal = game.legal_actions(seen, seat)[0, 0]
        assert [
            action * game.num_players <= stock
            for action in range(game.max_harvest + 1)
        ] == legal.numpy().tolist()


def test_swapping_the_seats_swaps_the_harvests():
    game = CommonPool(3)
    rng = np.random.default_rng(1)
    state = tf.constant(rng.integers(13, size=200), tf.int32)
    actions = tuple(tf.constant(rng.integers(5, size=(2, 200)), tf.int32))
    following, step = game.step(state, actions, [0, 1])
    swapped, other = game.step(state, actions[::-1], [0, 1])
    np.testing.assert_array_equal(following, swapped)
    np.testing.assert_array_equal(step.rewards, other.rewards[::-1])
    np.testing.assert_array_equal(step.observations[0], step.observations[1])


# --- The dilemma ------------------------------------------------------------


def policy_of(game, player_id, harvests):
    """Takes so many units at each stock."""
    table = np.eye(game.num_actions[player_id])[harvests]
    return dice_tf.policies.fixed_policy(game, player_id, table)


GREEDY = [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 4, 4, 4]
RESTRAINED = [0] * 12 + [1]


def value(game, *harvests):
    policies = [
        policy_of(game, i, harvest) for i, harvest in enumerate(harvests)
    ]
    match = dice_tf.evaluation.exact_match(
        game, policies, discount=0.96, episode_length=None
    )
    return match.mean


def test_restraint_pays_if_all_show_it_and_greed_ruins_the_pool():
    game = CommonPool(dtype="float64")
    np.testing.assert_allclose(value(game, RESTRAINED, RESTRAINED), 1.0)
    # 4 at once, then 2 of the 5 units to which the 4 that are left have grown.
    np.testing.assert_allclose(
        value(game, GREEDY, GREEDY), 0.04 * (4 + 0.96 * 2)
    )
    restrained, greedy = value(game, RESTRAINED, GREEDY)
    assert restrained < greedy


def test_two_units_a_step_are_the_most_that_lasts():
    """By dynamic programming over how much is taken together."""
    game, values = CommonPool(dtype="float64"), np.zeros(13)
    for _ in range(500):
        values = np.array(
            [
                max(
                    units + 0.96 * values[game.growth[stock - units]]
                    for units in range(2 * GREEDY[stock] + 1)
                )
                for stock in range(13)
            ]
        )
    # At once what lets 8 units grow to 10, then 2 a step.
    best = value(game, *[[0] * 10 + [1, 1, 2]] * 2)
    np.testing.assert_allclose(best, 0.04 * 2 + 0.96 * 1)
    np.testing.assert_allclose(0.04 * values[12], best.sum())


def test_against_a_greedy_player_greed_is_a_best_response():
    game = CommonPool(dtype="float64")
    greedy = [policy_of(game, i, GREEDY) for i in range(2)]
    gains = dice_tf.evaluation.exploitability(
        game, greedy, discount=0.96, episode_length=None
    )
    np.testing.assert_allclose(gains.gains, 0.0, atol=1e-12)
    response = dice_tf.evaluation.best_response(
        game, greedy, 0, discount=0.96, episode_length=None
    )
    np.testing.assert_array_equal(response.actions, GREEDY)


def test_naive_learners_ruin_the_pool():
    """On exact values, to a quarter of what restraint gets."""
    game = CommonPool(dtype="float64")
    policies = [dice_tf.policies.tabular(game, i) for i in range(2)]
    objective = dice_tf.objectives.ExactObjective(game, policies, 0.96, None)
    learner = dice_tf.learners.Naive()
    trainer = dice_tf.Trainer(
        objective, [learner, learner], initial_params="random"
    )
    trainer.compile(keras.optimizers.SGD(1.0), jit_compile=False)
    trainer.fit(epochs=1, steps_per_epoch=100, verbose=0)
    assert np.all(trainer.curves[-1] < trainer.curves[0])
    assert np.all(trainer.curves[-1] < 0.26)


@pytest.mark.parametrize(
    "changes, error, message",
    [
        ({"num_players": 0}, ValueError, "`num_players` must be at least 1"),
        ({"num_players": 2.0}, TypeError, "`num_players` must be a whole num"),
        (
            {"capacity": 1},
            ValueError,
            "`capacity` must be at least num_players",
        ),
        ({"max_harvest": 0}, ValueError, "`max_harvest` must be at least 1"),
        ({"growth_factor": 0.9}, ValueError, "`growth_factor` must be finite"),
        ({"episode_length": 0}, ValueError, "`episode_length` must be at lea"),
    ],
)
def test_arguments_out_of_their_range_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        CommonPool(**changes)


@pytest.mark.parametrize(
    "sizes",
    [
        {"capacity": 10_000},
        {"max_harvest": 10_000},
        {"num_players": 9, "capacity": 20},
    ],
)
def test_too_large_pools_are_refused_with_the_size(sizes):
    with pytest.raises(ValueError, match="pool of .* at least .* GiB .*bytes"):
        CommonPool(**sizes)


def test_pools_of_numbers_that_no_tensor_holds_are_refused():
    with pytest.raises(ValueError, match="`capacity` must be at most 2147"):
        CommonPool(num_players=10**9, capacity=10**400)
