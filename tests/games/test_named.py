"""The games known by name, against their payoffs in the literature."""

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


@pytest.mark.parametrize("name", PAYOFFS)
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
