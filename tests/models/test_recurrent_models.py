"""Models with memory as functions of weights and states."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.models.recurrent_models import (
    RecurrentSeatModel,
    has_memory,
    seat_model,
)
from dice_tf.play.actors import Actor
from tests import recurrent
from tests.toys import random_params


def normal(*shape):
    return tf.constant(np.random.default_rng(2).normal(size=shape))


def lstm_model(length=4):
    policy = dice_tf.policies.lstm(recurrent.small_game(length), 0, units=3)
    (params,) = random_params([policy], 5)
    policy.set_weights([*params, *policy.get_weights()[len(params) :]])
    return seat_model("policies[0]", policy, (5,), tf.float64)


@pytest.mark.parametrize("length", [1, 2, 6])
def test_a_sequence_is_what_its_steps_are(length):
    model, seen = lstm_model(), normal(length, 3, 5)
    weights = model.weights()
    state, expected = model.initial_state(3), []
    for t in range(length):
        outputs, state = model.step(weights, seen[t], state)
        expected.append(outputs)
    np.testing.assert_allclose(model(weights, seen), expected, rtol=1e-12)
    graph = tf.function(lambda: model(weights, seen))()
    np.testing.assert_allclose(graph, expected, rtol=1e-12)
    np.testing.assert_allclose(model(weights, seen[0]), expected[0], rtol=1e-12)


def test_a_gru_is_that_of_an_oracle():
    game = recurrent.small_game()
    policy = recurrent.gru_policies(game, units=3)[0]
    model = seat_model("policies[0]", policy, (5,), tf.float64)
    seen = normal(5, 2, 5)
    params = [x.numpy() for x in model.weights().params]
    expected = [
        recurrent.gru_log_odds(params, seen.numpy()[:, b]) for b in range(2)
    ]
    outputs = model(model.weights(), seen)[..., 0]
    np.testing.assert_allclose(outputs, np.transpose(expected), rtol=1e-12)


def test_derivatives_through_the_graphs_loop_are_those_of_eager_steps():
    """Of second order, through two passes, as a look-ahead makes them."""
    model, seen = lstm_model(), normal(4, 3, 5)
    weights = model.weights()

    def products():
        with tf.GradientTape() as outer:
            outer.watch(weights.params)
            with tf.GradientTape() as inner:
                inner.watch(weights.params)
                value = tf.reduce_sum(tf.sin(model(weights, seen)))
            gradient = inner.gradient(value, weights.params)
            moved = [
                x + 0.1 * d
                for x, d in zip(weights.params, gradient, strict=True)
            ]
            after = tf.reduce_sum(
                model(weights._replace(params=moved), seen) ** 2
            )
        return outer.gradient(after, weights.params)

    for one, other in zip(products(), tf.function(products)(), strict=True):
        assert np.abs(one).max() > 1e-3
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def test_states_may_be_nested_and_of_any_rank():
    observed = keras.Input((5,), dtype="float64")
    states = [
        keras.Input((2, 3), dtype="float64"),
        keras.Input((4,), dtype="int32"),
    ]
    flat = keras.layers.Flatten(dtype="float64")(states[0])
    outputs = keras.layers.Dense(1, dtype="float64")(
        keras.layers.Concatenate(dtype="float64")([observed, flat])
    )
    policy = keras.Model(
        [observed, states], [outputs, [states[0] + 1.0, states[1]]]
    )
    model = seat_model("policies[0]", policy, (5,), tf.float64)
    shapes = [state.shape for state in model.initial_state(7)]
    assert shapes == [(7, 2, 3), (7, 4)]
    assert model(model.weights(), normal(3, 7, 5)).shape == (3, 7, 1)


def test_only_models_of_several_inputs_have_memory():
    game = recurrent.small_game()
    assert has_memory(dice_tf.policies.gru(game, 0))
    assert not has_memory(dice_tf.policies.tabular(game, 0))
    plain = seat_model("x", dice_tf.policies.tabular(game, 0), (5,), tf.float64)
    assert not isinstance(plain, RecurrentSeatModel)
    assert not plain.has_memory and plain.initial_state(3) == []


@pytest.mark.parametrize("kind", ["no state", "other shape", "free shape"])
def test_states_that_do_not_come_out_as_they_go_in_are_refused(kind):
    size = None if kind == "free shape" else 3
    observed, state = keras.Input((5,)), keras.Input((size,))
    outputs = keras.layers.Dense(1)(observed)
    returned = {
        "no state": outputs,
        "other shape": [outputs, keras.layers.Dense(4)(state)]
        if size
        else None,
        "free shape": [outputs, state],
    }[kind]
    model = keras.Model([observed, state], returned, name="ann")
    with pytest.raises(
        ValueError, match=r"\('ann'\) has several inputs.*outputs must be \[out"
    ):
        seat_model("policies[0]", model, (5,), tf.float32)


def test_observations_of_more_leading_axes_are_refused():
    model = lstm_model()
    with pytest.raises(
        ValueError, match=r"needs observations \[B, \.\.\.\] or"
    ):
        model(model.weights(), normal(2, 2, 2, 5))


class Biased(keras.layers.Layer):
    """Right to the first derivative in what it remembers, no further."""

    def call(self, state):
        return state * tf.stop_gradient(state)


def test_wrong_second_derivatives_of_what_is_remembered_are_refused():
    observed = keras.Input((5,), dtype="float64")
    state = keras.Input((2,), dtype="float64")
    remembered = Biased(dtype="float64")(state)
    features, following = keras.layers.GRUCell(2, dtype="float64")(
        observed, [remembered]
    )
    outputs = keras.layers.Dense(1, dtype="float64")(features)
    policy = keras.Model([observed, state], [outputs, *following])
    with pytest.raises(ValueError, match="cannot be differentiated twice"):
        dice_tf.check_policy(policy)
    with pytest.raises(ValueError, match="cannot be differentiated twice"):
        Actor(recurrent.small_game(), policy, 0)


@pytest.mark.parametrize("build", ["gru", "lstm"])
def test_recurrent_policies_may_be_differentiated_twice(build):
    policy = getattr(dice_tf.policies, build)(recurrent.small_game(), 0)
    assert dice_tf.check_policy(policy) < 1e-6


def test_there_is_no_table_of_a_policy_with_memory():
    game = recurrent.small_game()
    policies = recurrent.gru_policies(game)
    message = r"`policies\[0\]` \('gru_policy_0'\) has memory.*play_match"
    with pytest.raises(ValueError, match=message):
        dice_tf.objectives.ExactObjective(game, policies, 0.9)
    with pytest.raises(ValueError, match=message):
        dice_tf.evaluation.exact_match(game, policies, discount=0.9)
