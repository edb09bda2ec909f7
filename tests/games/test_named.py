"""The games known by name, against their payoffs in the literature."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from dice_tf import games

# For each joint action (0, 0), (0, 1), (1, 0), (1, 1): what each player gets.
PAYOFFS = {
    "iterated_prisoners_dilemma": [(-1, -1), (-3, 0), (0, -3), (-2, -2)],
    "iterated_matching_pennies": [(1, -1), (-1, 1), (-1, 1), (1, -1)],
    "iterated_stag_hunt": [(4, 4), (1, 3), (3, 1), (2, 2)],
    "iterated_chicken": [(0, 0), (-1, 1), (1, -1), (-10, -10)],
    "iterated_battle_of_the_sexes": [(3, 2), (0, 0), (0, 0), (2, 3)],
}


@pytest.mark.parametrize("name", PAYOFFS)
def test_payoffs_are_those_of_the_literature(name):
    game = getattr(games, name)(episode_length=2)
    actions = (tf.constant([0, 0, 1, 1]), tf.constant([0, 1, 0, 1]))
    state, _ = game.reset([0, 1], 4)
    _, step = game.step(state, actions, [0, 2])
    np.testing.assert_array_equal(np.transpose(step.rewards), PAYOFFS[name])


@pytest.mark.parametrize("name", [*PAYOFFS, "iterated_public_goods"])
def test_150_steps_in_float32_unless_said_otherwise(name):
    build = getattr(games, name)
    assert build().episode_length == 150 and build().dtype == tf.float32
    game = build(7, dtype="float64")
    assert game.episode_length == 7 and game.dtype == tf.float64


def test_the_prisoners_dilemma_is_one():
    (reward, sucker), (temptation, punishment) = np.array(
        PAYOFFS["iterated_prisoners_dilemma"]
    )[:, 0].reshape(2, 2)
    assert temptation > reward > punishment > sucker
    assert 2 * reward > temptation + sucker


@pytest.mark.parametrize(("num_players", "multiplier"), [(3, 1.5), (4, 2.5)])
def test_the_pot_is_multiplied_and_shared(num_players, multiplier):
    game = games.iterated_public_goods(
        2, num_players=num_players, multiplier=multiplier, dtype="float64"
    )
    for actions in itertools.product(range(2), repeat=num_players):
        given = 1.0 - np.asarray(actions)
        expected = multiplier * given.mean() - given
        reward = game.rewards[(slice(None), 0, *actions)]
        np.testing.assert_allclose(reward, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"num_players": 1}, "`num_players` must be at least 2"),
        ({"multiplier": -1.0}, "`multiplier` must be finite and at least 0"),
    ],
)
def test_public_goods_without_a_public_are_refused(argument, message):
    with pytest.raises(ValueError, match=message):
        games.iterated_public_goods(**argument)


@pytest.mark.parametrize("num_players", [16, 10**9])
def test_too_many_players_are_refused(num_players):
    with pytest.raises(ValueError, match="`num_players` must be at most 12"):
        games.iterated_public_goods(num_players=num_players)
