"""Critics: state values as Keras models."""

import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.critics import mlp_critic, tabular_critic
from tests.toys import THREE_PLAYERS

GAME = dice_tf.games.iterated_matrix_game(THREE_PLAYERS, 4, dtype="float64")


def test_a_table_of_values_starts_at_0_and_holds_one_per_observation():
    critic = tabular_critic(GAME, 1)
    (values,) = critic.trainable_variables
    assert values.shape == (13, 1) and values.dtype == "float64"
    np.testing.assert_array_equal(values, np.zeros((13, 1)))
    values.assign(np.random.default_rng(0).normal(size=(13, 1)))
    np.testing.assert_array_equal(critic(tf.eye(13, dtype="float64")), values)


def test_a_perceptron_gives_one_value_per_observation():
    critic = mlp_critic(GAME, 1, hidden_units=(4,), activation="relu")
    shapes = [tuple(v.shape) for v in critic.trainable_variables]
    assert shapes == [(13, 4), (4,), (4, 1), (1,)]
    assert critic(tf.eye(13, dtype="float64")).shape == (13, 1)


@pytest.mark.parametrize("build", [tabular_critic, mlp_critic])
def test_critics_are_named_by_their_seat_unless_told(build):
    assert build(GAME, 2).name == f"{build.__name__}_2"
    assert build(GAME, 2, name="judge").name == "judge"


@pytest.mark.parametrize("build", [tabular_critic, mlp_critic])
def test_a_seat_that_does_not_exist_is_refused(build):
    with pytest.raises(ValueError, match="`player_id` must be below the numb"):
        build(GAME, 3)
