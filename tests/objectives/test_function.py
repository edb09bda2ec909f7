"""Any differentiable game."""

import numpy as np
import pytest
import tensorflow as tf

from dice_tf.objectives import FunctionObjective


def test_each_player_has_the_value_of_its_function():
    objective = FunctionObjective(
        [
            lambda params: params[0][0] * params[1][0] + params[2][1],
            lambda params: tf.reduce_sum(params[2][0]),
            lambda params: params[0][0] ** 2,
        ]
    )
    params = [
        [tf.constant(2.0)],
        [tf.constant(3.0)],
        [tf.constant([1.0, 5.0]), tf.constant(-1.0)],
    ]
    assert objective.num_players == 3
    for seed in (None, [0, 1]):
        values = objective(params, seed)
        np.testing.assert_array_equal(values, [5.0, 6.0, 4.0])


def test_values_may_be_plain_numbers():
    objective = FunctionObjective([lambda params: 3.0])
    assert float(objective([[tf.constant(1.0)]])[0]) == 3.0


@pytest.mark.parametrize("functions", [lambda params: 0.0, [1.0], "ab"])
def test_what_is_no_list_of_functions_is_refused(functions):
    with pytest.raises(TypeError, match="`value_functions` must be a list of"):
        FunctionObjective(functions)


def test_a_game_without_players_is_refused():
    with pytest.raises(ValueError, match="`value_functions` must not be empty"):
        FunctionObjective([])


def test_a_value_that_is_no_scalar_is_refused():
    objective = FunctionObjective(
        [lambda params: params[0][0][0], lambda params: params[0][0]]
    )
    with pytest.raises(ValueError, match=r"`value_functions\[1\]` must return"):
        objective([[tf.constant([1.0, 2.0])], [tf.constant(1.0)]])


def test_parameters_must_be_those_of_all_players():
    objective = FunctionObjective([lambda params: 0.0, lambda params: 0.0])
    with pytest.raises(ValueError, match="`params` must have one entry for ea"):
        objective([[tf.constant(1.0)]])


@pytest.mark.parametrize("value", [None, object(), [1.0, [2.0, 3.0]]])
def test_a_value_that_is_no_number_is_refused(value):
    objective = FunctionObjective([lambda params: 0.0, lambda params: value])
    with pytest.raises(TypeError, match=r"`value_functions\[1\]` must return"):
        objective([[tf.constant(1.0)], [tf.constant(1.0)]])
