"""Layers with memory, over whole sequences and step by step."""

import functools
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.layers import (
    MemoryLayer,
    MemoryNetwork,
    MinGRU,
    StackedObservations,
)
from dice_tf.models.recurrent_models import RecurrentSeatModel, seat_model
from tests import recurrent
from tests.kernels.programs import (
    WAYS,
    assert_orders_agree,
    compute,
    derivatives,
)
from tests.toys import random_params

pytestmark = pytest.mark.own_process

LENGTH, BATCH_SIZE = 7, 3
GAME = recurrent.small_game(LENGTH)


def of_layers(layers, observation_shape=(5,), dtype="float64"):
    """A policy of layers in a row."""
    network = MemoryNetwork(layers, dtype=dtype)
    observation = keras.Input(observation_shape, dtype=dtype)
    states = [keras.Input((n,), dtype=dtype) for n in network.state_size]
    outputs, following = network(observation, states)
    return keras.Model([observation, *states], [outputs, *following])


def two_units():
    return of_layers(
        [
            MinGRU(3, dtype="float64"),
            keras.layers.Dense(4, activation="tanh", dtype="float64"),
            MinGRU(2, dtype="float64"),
            keras.layers.Dense(1, dtype="float64"),
        ]
    )


BUILDERS = {
    "min_gru": lambda: dice_tf.policies.min_gru(GAME, 0, units=3),
    "stacked": lambda: dice_tf.policies.stacked(
        GAME, 0, num_observations=3, hidden_units=(4,)
    ),
    "two units": two_units,
}


def random_model(policy, seed=1):
    """In a seat, with random weights, biases too."""
    (params,) = random_params([policy], seed)
    policy.set_weights(params)
    return seat_model("policies[0]", policy, (5,), tf.float64)


def normal(*shape):
    return tf.constant(np.random.default_rng(2).normal(size=shape))


def steps_of(model, weights, observations):
    """Outputs by a loop in Python."""
    state, outputs = model.initial_state(observations.shape[1]), []
    for seen in tf.unstack(observations):
        output, state = model.step(weights, seen, state)
        outputs.append(output)
    return tf.stack(outputs)


def of_flat_params(model, evaluate):
    """Outputs over a sequence as a function of all parameters in a vector."""
    weights, seen = model.weights(), normal(LENGTH, BATCH_SIZE, 5)
    shapes = [param.shape for param in weights.params]

    def function(flat):
        parts = tf.split(flat, [shape.num_elements() for shape in shapes])
        params = [
            tf.reshape(part, shape)
            for part, shape in zip(parts, shapes, strict=True)
        ]
        return evaluate(weights._replace(params=params), seen)

    return function


def flat_runs(model, count):
    size = sum(param.shape.num_elements() for param in model.weights().params)
    return np.random.default_rng(3).normal(size=(count, size)) / 2.0


@functools.cache
def of_a_python_loop(kind):
    """Values and derivatives to the third order, of two runs."""
    model = random_model(BUILDERS[kind]())
    outputs = of_flat_params(
        model, lambda weights, seen: steps_of(model, weights, seen)
    )
    return compute("eager", derivatives(outputs), flat_runs(model, 2))


@pytest.mark.parametrize(
    ("kind", "way"),
    [
        *itertools.product(("min_gru", "stacked"), ("eager", *WAYS)),
        ("two units", "graph"),
    ],
)
def test_sequences_have_the_derivatives_of_a_python_loop(kind, way):
    """To the third order, in all parameters."""
    model = random_model(BUILDERS[kind]())
    outputs = of_flat_params(model, model)
    found = compute(way, derivatives(outputs), flat_runs(model, 2))
    assert_orders_agree(found, of_a_python_loop(kind), rtol=1e-10)


def test_a_minimal_unit_is_that_of_an_oracle():
    policy = dice_tf.policies.min_gru(GAME, 0, units=3)
    model = random_model(policy)
    seen = normal(LENGTH, BATCH_SIZE, 5)
    params = [param.numpy() for param in model.weights().params]
    expected = [
        recurrent.min_gru_log_odds(params, seen.numpy()[:, b])
        for b in range(BATCH_SIZE)
    ]
    outputs = model(model.weights(), seen)[..., 0]
    np.testing.assert_allclose(outputs, np.transpose(expected), rtol=1e-12)


def test_the_last_observations_are_windows_with_zeros_before_the_start():
    layer = StackedObservations(3, (2, 2))
    seen = np.random.default_rng(0).normal(size=(5, 4, 2, 2))
    found = layer.over_time(tf.constant(seen))
    padded = np.concatenate([np.zeros((2, 4, 2, 2)), seen])
    expected = [np.stack(padded[t : t + 3], axis=1) for t in range(5)]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("length", [1, 2])
def test_short_sequences_are_their_steps(length):
    for build in BUILDERS.values():
        model, seen = random_model(build()), normal(length, 2, 5)
        expected = steps_of(model, model.weights(), seen)
        found = model(model.weights(), seen)
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        one = model(model.weights(), seen[0])
        np.testing.assert_allclose(one, expected[0], rtol=1e-12)


def test_no_loop_is_in_the_graph_unless_the_length_is_unknown():
    model = random_model(BUILDERS["two units"]())

    def operations(length):
        spec = tf.TensorSpec([length, None, 5], tf.float64)
        evaluate = tf.function(lambda seen: model(model.weights(), seen))
        graph = evaluate.get_concrete_function(spec).graph
        return evaluate, {op.type for op in graph.get_operations()}

    assert not {kind for kind in operations(7)[1] if "While" in kind}
    evaluate, kinds = operations(None)
    assert {kind for kind in kinds if "While" in kind}
    seen = normal(LENGTH, BATCH_SIZE, 5)
    np.testing.assert_allclose(
        evaluate(seen), model(model.weights(), seen), rtol=1e-12
    )


@pytest.mark.parametrize("kind", BUILDERS)
def test_files_and_clones_evaluate_sequences_at_once(kind, tmp_path):
    policy = BUILDERS[kind]()
    model, seen = random_model(policy), normal(4, 2, 5)
    expected = model(model.weights(), seen)
    policy.save(tmp_path / "policy.keras")
    loaded = keras.models.load_model(tmp_path / "policy.keras")
    clone = keras.models.clone_model(policy)
    clone.set_weights(policy.get_weights())
    for copied in (loaded, clone):
        copied = seat_model("policies[0]", copied, (5,), tf.float64)
        np.testing.assert_array_equal(
            copied._over_time(copied._memory, copied.weights(), seen),
            expected,
        )


def test_a_float64_seat_may_hold_a_float32_or_half_precision_model():
    for dtype in ("float32", "mixed_bfloat16"):
        policy = of_layers(
            [MinGRU(3, dtype=dtype), keras.layers.Dense(1, dtype=dtype)],
            dtype="float32",
        )
        model = seat_model("policies[0]", policy, (5,), tf.float64)
        seen = normal(4, 2, 5)
        found = model(model.weights(), seen)
        assert found.dtype == tf.float64
        expected = steps_of(model, model.weights(), seen)
        np.testing.assert_allclose(found, expected, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("kind", BUILDERS)
def test_they_may_be_differentiated_twice(kind):
    policy = BUILDERS[kind]()
    random_model(policy)
    assert 0.0 < dice_tf.check_policy(policy) < 1e-6


class Forgetful(MinGRU):
    """Starts its sequences from a state of its own."""

    def over_time(self, inputs):
        return super().over_time(inputs) + 1.0


def test_sequences_that_are_not_their_steps_are_refused():
    policy = of_layers([Forgetful(2, dtype="float64")])
    message = "put out over a sequence what it puts out step by step, but `over"
    with pytest.raises(ValueError, match=message):
        seat_model("policies[0]", policy, (5,), tf.float64)


def test_a_layer_between_others_is_evaluated_in_a_loop():
    """Only a model of one layer is known to pass on what it is given."""
    layer = MinGRU(1, dtype="float64")
    observation = keras.Input((5,), dtype="float64")
    state = keras.Input((1,), dtype="float64")
    outputs, following = layer(observation, [state])
    policy = keras.Model([observation, state], [2.0 * outputs, *following])
    model = seat_model("policies[0]", policy, (5,), tf.float64)
    assert isinstance(model, RecurrentSeatModel)
    seen = normal(4, 2, 5)
    expected = 2.0 * layer.over_time(seen)
    np.testing.assert_allclose(model(model.weights(), seen), expected)


def test_what_a_layer_must_define_is_said():
    with pytest.raises(NotImplementedError, match="must define `state_size`"):
        _ = MemoryLayer().state_size
    with pytest.raises(NotImplementedError, match="must define `over_time`"):
        MemoryLayer().over_time(tf.zeros([2, 1, 5]))


def test_networks_of_other_things_than_layers_are_refused():
    with pytest.raises(TypeError, match=r"`layers\[1\]` must be a keras.layer"):
        MemoryNetwork([MinGRU(2), "dense"])
    with pytest.raises(TypeError, match="`layers` must be a list of Keras la"):
        MemoryNetwork(MinGRU(2))
    with pytest.raises(ValueError, match="`num_observations` must be at least"):
        StackedObservations(1, (5,))
    with pytest.raises(TypeError, match="`units` must be a whole number"):
        MinGRU(2.5)
