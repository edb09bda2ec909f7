"""Servers may merge requests: rows of a batch do not depend on each other."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.export import export_policy
from dice_tf.seeds import uniform_of_each
from tests import toys
from tests.export.serving import Server

GAME = dice_tf.games.iterated_prisoners_dilemma(3)
KINDS = {
    "tabular": lambda: dice_tf.policies.tabular(GAME, 0),
    "mlp": lambda: dice_tf.policies.mlp(GAME, 0, hidden_units=[8]),
    "gru": lambda: dice_tf.policies.gru(GAME, 0, units=4),
    "numbers": toys.normal_policy,
    "numbers with memory": lambda: normal_memory(),
}


def normal_memory():
    observed, state = keras.Input((5,)), keras.Input((3,))
    features, following = keras.layers.GRUCell(3)(observed, [state])
    outputs = keras.layers.Dense(2)(features)
    return dice_tf.policies.with_head(
        keras.Model([observed, state], [outputs, *following]),
        toys.normal_head,
    )


@pytest.fixture(scope="module", params=KINDS)
def loaded(request, tmp_path_factory):
    keras.utils.set_random_seed(3)
    policy = KINDS[request.param]()
    rng = np.random.default_rng(5)
    for variable in policy.trainable_variables:
        variable.assign(rng.normal(scale=0.5, size=variable.shape))
    path = tmp_path_factory.mktemp("exports") / "policy"
    export_policy(policy, path)
    return request.param, tf.saved_model.load(path)


def columns(function, batch_size, seed=0):
    """Random inputs of a signature."""
    rng = np.random.default_rng(seed)
    drawn = {}
    for name, spec in function.structured_input_signature[1].items():
        shape = [batch_size, *spec.shape[1:]]
        if name == "seed":
            values = rng.integers(-(2**31), 2**31, size=shape)
        elif name == "observation" and shape[1:] == [5]:
            values = np.eye(5)[rng.integers(5, size=batch_size)]
        elif spec.dtype.is_floating:
            values = rng.normal(size=shape)
        else:
            values = rng.integers(2, size=shape)
        drawn[name] = values.astype(spec.dtype.as_numpy_dtype)
    return drawn


def as_numpy(found):
    return {name: tensor.numpy() for name, tensor in found.items()}


def call(function, inputs):
    tensors = {name: tf.constant(value) for name, value in inputs.items()}
    return as_numpy(function(**tensors))


def test_every_input_has_a_leading_batch_axis(loaded):
    for function in loaded[1].signatures.values():
        for spec in function.structured_input_signature[1].values():
            assert spec.shape.rank >= 1 and spec.shape[0] is None


@pytest.mark.parametrize("is_batching", [False, True])
def test_a_server_answers_every_signature(loaded, is_batching):
    _, policy = loaded
    for name, function in policy.signatures.items():
        server = Server(policy, is_batching)
        sizes, expected = (3, 1, 4), []
        for seed, size in enumerate(sizes):
            inputs = columns(function, size, seed)
            expected.append(call(function, inputs))
            server.post(name, inputs)
        answers = server.answers()
        assert len(server.executed) == (1 if is_batching else len(sizes))
        for size, found, alone in zip(sizes, answers, expected, strict=True):
            assert found.keys() == alone.keys()
            for key, values in found.items():
                assert len(values) == size
                np.testing.assert_allclose(values, alone[key], atol=1e-6)


def test_merged_and_separate_requests_are_equal(loaded):
    kind, policy = loaded
    name = "step" if "step" in policy.signatures else "act"
    function = policy.signatures[name]
    inputs = columns(function, 64)
    merged = call(function, inputs)
    is_exact = kind == "tabular"
    rng = np.random.default_rng(7)
    # Rows of numbers are drawn one after the other.
    for _ in range(20 if kind.startswith("numbers") else 200):
        num_cuts = rng.integers(1, 4)
        cuts = np.sort(rng.choice(np.arange(1, 64), num_cuts, replace=False))
        bounds = [0, *cuts, 64]
        for first, last in itertools.pairwise(bounds):
            part = {key: rows[first:last] for key, rows in inputs.items()}
            found = call(function, part)
            for key, values in found.items():
                expected = merged[key][first:last]
                if is_exact or values.dtype == np.int32:
                    np.testing.assert_array_equal(values, expected)
                else:
                    np.testing.assert_allclose(values, expected, atol=1e-6)


def test_steps_of_merged_and_separate_requests_stay_equal(loaded):
    _, policy = loaded
    if "step" not in policy.signatures:
        pytest.skip("has no memory")
    function = policy.signatures["step"]
    start = policy.signatures["initial_state"]
    whole = call(start, {"batch_size": np.zeros(6, np.int32)})["state"]
    states = [whole[:1], whole[1:4], whole[4:]]
    for t in range(20):
        inputs = {**columns(function, 6, t), "state": whole}
        merged = call(function, inputs)
        bounds = [(0, 1), (1, 4), (4, 6)]
        for i, (first, last) in enumerate(bounds):
            part = {key: x[first:last] for key, x in inputs.items()}
            found = call(function, {**part, "state": states[i]})
            for key, values in found.items():
                np.testing.assert_allclose(
                    values, merged[key][first:last], atol=1e-5
                )
            states[i] = found["state"]
        whole = merged["state"]


def test_actions_come_as_often_as_they_should(loaded):
    kind, policy = loaded
    if kind != "mlp":
        pytest.skip("has no table, or another policy does")
    num_rows = 40000
    seen = np.repeat(np.eye(5, dtype=np.float32)[:1], num_rows, axis=0)
    table = call(policy.signatures["probabilities"], {"observation": seen[:1]})
    p = table["probabilities"][0, 1]
    numbers = np.arange(num_rows, dtype=np.int32)
    zeros = np.zeros_like(numbers)
    for seeds in ([numbers, zeros], [zeros, numbers], [numbers, numbers]):
        inputs = {"observation": seen, "seed": np.stack(seeds, axis=1)}
        action = call(policy.signatures["act"], inputs)["action"]
        error = np.sqrt(p * (1 - p) / num_rows)
        assert abs(np.mean(action) - p) < 4 * error
        pairs = np.mean(action[1:] * action[:-1])
        assert abs(pairs - p**2) < 6 * error


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_number_of_each_seed_is_uniform_in_every_mode(dtype):
    counts = np.arange(60000)
    keys = np.stack([counts % 7, counts // 7], axis=1).astype(np.int32)
    drawn = uniform_of_each(keys, dtype).numpy()
    assert drawn.dtype == dtype and drawn.min() >= 0.0 and drawn.max() < 1.0
    # Kolmogorov and Smirnov: 1.95 is exceeded once in a thousand.
    steps = np.arange(1, len(drawn) + 1) / len(drawn)
    assert np.abs(np.sort(drawn) - steps).max() * np.sqrt(len(drawn)) < 1.95
    for lag in (1, 7):
        correlation = np.corrcoef(drawn[lag:], drawn[:-lag])[0, 1]
        assert abs(correlation) * np.sqrt(len(drawn)) < 4.0
    for jit_compile in (False, True):
        traced = tf.function(uniform_of_each, jit_compile=jit_compile)
        np.testing.assert_array_equal(traced(tf.constant(keys), dtype), drawn)
    np.testing.assert_array_equal(uniform_of_each(keys[5], dtype), drawn[5])


def test_a_number_of_each_seed_is_that_of_the_mix():
    keys = np.array([[0, 0], [1, 0], [0, 1], [-1, 7], [2**31 - 1, -5]])
    low, high = (keys.astype(np.int32).view(np.uint32).T).astype(np.uint64)
    with np.errstate(over="ignore"):
        x = (high << np.uint64(32) | low) + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ x >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ x >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        x = x ^ x >> np.uint64(31)
    for dtype, used in (("float32", 24), ("float64", 31)):
        found = uniform_of_each(keys.astype(np.int32), dtype).numpy()
        upper = (x >> np.uint64(64 - used)).astype(np.float64)
        np.testing.assert_array_equal(
            np.floor(found * 2.0**used), upper, err_msg=dtype
        )
    scaled = uniform_of_each(keys.astype(np.int32), "float64", scale=0.5)
    np.testing.assert_array_equal(scaled, found * 0.5)


@pytest.mark.parametrize("shape", [(2,), (10,), (5, 1), (5, 3), (4, 2), (1, 2)])
def test_seeds_of_another_shape_are_refused(loaded, shape):
    _, policy = loaded
    name = "step" if "step" in policy.signatures else "act"
    function = policy.signatures[name]
    inputs = {**columns(function, 5), "seed": np.ones(shape, np.int32)}
    message = r"(?i)shape|reshape"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        call(function, inputs)


def test_an_empty_batch_gets_an_empty_answer(loaded):
    for function in loaded[1].signatures.values():
        for values in call(function, columns(function, 0)).values():
            assert len(values) == 0


def test_a_number_is_not_the_length_of_an_axis_when_serving(loaded):
    _, policy = loaded
    if "step" not in policy.signatures:
        pytest.skip("has no memory")
    with pytest.raises(tf.errors.InvalidArgumentError, match="not compatible"):
        policy.signatures["initial_state"](batch_size=tf.constant(3))
    assert policy.initial_state(batch_size=3)["state"].shape[0] == 3


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_row_that_is_not_finite_concerns_no_other(loaded, bad):
    _, policy = loaded
    for function in policy.signatures.values():
        inputs = columns(function, 5)
        if "observation" not in inputs:
            continue
        expected = call(function, inputs)
        inputs["observation"][2, 1] = bad
        found = call(function, inputs)
        found.pop("state", None)
        for key, values in found.items():
            is_none = values[2] == -1 if values.dtype == np.int32 else None
            assert np.all(np.isnan(values[2]) if is_none is None else is_none)
            rest = np.arange(5) != 2
            np.testing.assert_array_equal(values[rest], expected[key][rest])


def test_with_one_seed_for_all_a_row_that_is_not_finite_is_an_error(loaded):
    _, policy = loaded
    name = "step" if "step" in policy.signatures else "act"
    inputs = columns(policy.signatures[name], 5)
    inputs["seed"] = np.array([3, 4], np.int32)
    function = getattr(policy, name)
    assert len(function(**inputs)["action"]) == 5
    inputs["observation"][2, 1] = np.nan
    message = r"must be finite. Received rows that are not:\] \[2\]"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        function(**inputs)
    inputs["observation"][2, 1] = 0.0
    assert len(function(**inputs)["action"]) == 5
