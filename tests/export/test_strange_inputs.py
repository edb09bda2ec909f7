"""Requests that make no sense have one answer in all files."""

import re
import threading

import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from ai_edge_litert.interpreter import Interpreter
from onnxruntime.capi import onnxruntime_pybind11_state as onnxruntime_errors

import dice_tf
from dice_tf import export
from dice_tf.policies.sampling import FEW_ACTIONS
from tests import toys


class OwnCategorical(tfp.distributions.Categorical):
    """A distribution of which nothing is known."""


GAME = dice_tf.games.iterated_prisoners_dilemma(3)
SEEDS = np.arange(20, dtype=np.int32).reshape(10, 2)
NAMES = ("act", "act_greedy", "probabilities", "log_prob")
# By kind of policy. Files draw otherwise among many actions than among few.
NUM_ACTIONS = {"tabular": 2, "relu": 3, "many": FEW_ACTIONS + 1}


def saved_model_runner(policy, folder):
    export.export_policy(policy, folder / "policy")
    loaded = tf.saved_model.load(folder / "policy")

    def run(name, noise=None, **inputs):
        if name == "act":
            inputs["seed"] = SEEDS[: len(inputs["observation"])]
        tensors = {key: tf.constant(value) for key, value in inputs.items()}
        found = loaded.signatures[name](**tensors)
        return {key: value.numpy() for key, value in found.items()}

    return run


def tflite_runner(policy, folder):
    path = str(folder / "policy.tflite")
    export.export_tflite(policy, path)

    def run(name, **inputs):
        runner = Interpreter(path).get_signature_runner(name)
        return runner(**inputs)

    return run


def onnx_runner(policy, folder):
    sessions = {}
    for name in NAMES:
        export.export_onnx(policy, folder / f"{name}.onnx", signature=name)
        sessions[name] = onnxruntime.InferenceSession(folder / f"{name}.onnx")

    def run(name, **inputs):
        session = sessions[name]
        names = [spec.name for spec in session.get_outputs()]
        return dict(zip(names, session.run(names, inputs), strict=True))

    return run


def make_policy(kind):
    keras.utils.set_random_seed(3)
    if kind == "tabular":
        return dice_tf.policies.tabular(GAME, 0)
    # A maximum with 0 may lose a NaN.
    inputs = keras.Input((5,))
    x = keras.layers.Dense(6, activation="relu")(inputs)
    return keras.Model(inputs, keras.layers.Dense(NUM_ACTIONS[kind])(x))


RUNNERS = [saved_model_runner, tflite_runner, onnx_runner]


@pytest.fixture(
    scope="module",
    params=[(kind, runner) for kind in NUM_ACTIONS for runner in RUNNERS],
    ids=lambda param: f"{param[0]}-{param[1].__name__}",
)
def pair(request, tmp_path_factory):
    """The number of actions, and what runs a signature of the exported file."""
    kind, runner = request.param
    policy = make_policy(kind)
    run = runner(policy, tmp_path_factory.mktemp("policies"))
    return NUM_ACTIONS[kind], run


def observations(batch_size=5):
    return np.eye(5, dtype=np.float32)[np.arange(batch_size) % 5]


def noise(batch_size=5):
    return np.linspace(0.01, 0.99, batch_size, dtype=np.float32)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_gives_no_action_to_its_own_row(pair, bad):
    _, run = pair
    plain, strange = observations(), observations()
    strange[1, 3] = bad
    strange[4] = bad
    is_strange = np.array([False, True, False, False, True])
    for name in NAMES:
        inputs = {"act": {"noise": noise()}}.get(name, {})
        if name == "log_prob":
            inputs = {"action": np.zeros(5, np.int32)}
        expected = run(name, observation=plain, **inputs)
        found = run(name, observation=strange, **inputs)
        for key, value in found.items():
            np.testing.assert_array_equal(
                value[~is_strange], expected[key][~is_strange]
            )
            rows = value[is_strange]
            assert np.all(rows == -1 if key == "action" else np.isnan(rows))


@pytest.mark.parametrize("num_actions", [3, FEW_ACTIONS + 1])
@pytest.mark.parametrize("head", ["logits", "own"])
@pytest.mark.parametrize("runner", RUNNERS, ids=lambda run: run.__name__)
def test_a_nan_that_the_policy_makes_is_not_lost(
    runner, head, num_actions, tmp_path
):
    inputs = keras.Input((5,))
    layer = keras.layers.Dense(num_actions, use_bias=False)
    policy = keras.Model(inputs, layer(inputs))
    weights = np.zeros([5, num_actions], np.float32)
    # Infinity minus infinity, of an observation that is finite.
    weights[0, 1], weights[1, 1], weights[2, 0] = 3e38, -3e38, 1.0
    layer.set_weights([weights])
    if head == "own":
        policy = dice_tf.policies.with_head(
            policy, lambda outputs: OwnCategorical(logits=outputs)
        )
    run = runner(policy, tmp_path)
    observed = observations()
    observed[3, :2] = 1e10
    for name in NAMES:
        given = {
            "act": {"noise": noise()},
            "log_prob": {"action": np.zeros(5, np.int32)},
        }.get(name, {})
        found = run(name, observation=observed, **given)
        for key, value in found.items():
            is_lost = value == -1 if key == "action" else np.isnan(value)
            if value.ndim == 2:
                is_lost = is_lost.all(axis=1)
            np.testing.assert_array_equal(is_lost, np.arange(5) == 3)


@pytest.mark.parametrize("action", [-1, 10**9, -(2**31), "num_actions"])
def test_an_action_that_does_not_exist_has_no_probability(pair, action):
    num_actions, run = pair
    action = num_actions if action == "num_actions" else action
    asked = np.array([0, action, 1, action, 0], np.int32)
    found = run("log_prob", observation=observations(), action=asked)
    expected = [False, True, False, True, False]
    np.testing.assert_array_equal(np.isnan(found["log_prob"]), expected)


@pytest.mark.parametrize("shape", [(5,), (10,), (2, 4), (2, 6), (1, 2, 5)])
@pytest.mark.parametrize("name", NAMES)
def test_observations_of_another_shape_are_refused(pair, name, shape):
    _, run = pair
    inputs = {
        "act": {"noise": noise(shape[0])},
        "log_prob": {"action": np.zeros(shape[0], np.int32)},
    }.get(name, {})
    with pytest.raises(Exception, match=r"(?i)shape|dimension|rank|axis"):
        run(name, observation=np.ones(shape, np.float32), **inputs)


@pytest.mark.parametrize("size", [1, 3, 0, 10])
def test_one_row_does_not_stand_for_all(pair, size):
    _, run = pair
    message = r"(?i)shape|dimension|elements|dims|broadcast"
    with pytest.raises(Exception, match=message):
        run(
            "log_prob",
            observation=observations(),
            action=np.zeros(size, np.int32),
        )
    if run.__qualname__.startswith("saved_model"):
        return
    with pytest.raises(Exception, match=message):
        run("act", observation=observations(), noise=noise(size))


@pytest.mark.parametrize("size", [0, 1, 2, 3])
@pytest.mark.parametrize("batch_size", [0, 1])
def test_small_batches_refuse_other_lengths_too(pair, batch_size, size):
    _, run = pair
    if run.__qualname__.startswith("saved_model") or size == batch_size:
        pytest.skip("draws its own, or is that length")
    try:
        found = run(
            "act", observation=observations(batch_size), noise=noise(size)
        )
    except (
        RuntimeError,
        ValueError,
        onnxruntime_errors.Fail,
        onnxruntime_errors.InvalidArgument,
    ) as error:
        assert re.search(r"(?i)shape|dim|elements|broadcast", str(error))
    else:
        # An empty batch has an empty answer.
        assert batch_size == len(found["action"]) == 0


def test_noise_that_is_none_gives_no_action(pair):
    _, run = pair
    if run.__qualname__.startswith("saved_model"):
        pytest.skip("draws its own")
    strange = np.array([0.3, np.nan, -0.1, 1.5, 1.0], np.float32)
    found = run("act", observation=observations(), noise=strange)
    expected = [False, True, True, True, False]
    np.testing.assert_array_equal(found["action"] == -1, expected)
    np.testing.assert_array_equal(np.isnan(found["log_prob"]), expected)


@pytest.mark.parametrize("batch_size", [0, 1, 7])
def test_batches_of_any_size_are_answered(pair, batch_size):
    num_actions, run = pair
    observed = observations(batch_size)
    action = np.zeros(batch_size, np.int32)
    acted = run("act", observation=observed, noise=noise(batch_size))
    action = acted["action"]
    assert acted["log_prob"].shape == action.shape == (batch_size,)
    found = run("probabilities", observation=observed)["probabilities"]
    assert found.shape == (batch_size, num_actions)
    greedy = run("act_greedy", observation=observed)["action"]
    np.testing.assert_array_equal(greedy, np.argmax(found, axis=1))
    log_probs = run("log_prob", observation=observed, action=action)
    assert log_probs["log_prob"].shape == (batch_size,)


def test_an_action_of_probability_zero_is_none_that_does_not_exist(tmp_path):
    policy = dice_tf.policies.with_head(
        dice_tf.policies.tabular(GAME, 0),
        lambda outputs: tfp.distributions.Bernoulli(
            probs=tf.zeros_like(outputs[..., 0])
        ),
    )
    run = saved_model_runner(policy, tmp_path)
    asked = np.array([0, 1, 2, -1, 1], np.int32)
    found = run("log_prob", observation=observations(), action=asked)
    np.testing.assert_array_equal(
        found["log_prob"], [0.0, -np.inf, np.nan, np.nan, -np.inf]
    )


def test_one_number_does_not_stand_for_all(tmp_path):
    export.export_policy(toys.normal_policy(), tmp_path / "policy")
    function = tf.saved_model.load(tmp_path / "policy").signatures["log_prob"]
    inputs = {"observation": tf.ones([4, 2], tf.float64)}
    found = function(**inputs, action=tf.zeros([4], tf.float64))["log_prob"]
    assert found.shape == (4,)
    with pytest.raises(tf.errors.InvalidArgumentError, match="reshape"):
        function(**inputs, action=tf.zeros([1], tf.float64))


@pytest.fixture(scope="module")
def stepped(tmp_path_factory):
    path = tmp_path_factory.mktemp("policies") / "gru"
    export.export_policy(dice_tf.policies.gru(GAME, 0, units=2), path)
    return tf.saved_model.load(path).signatures


def test_one_state_does_not_stand_for_all(stepped):
    observed, state = tf.eye(5), tf.zeros([1, 2])
    for name in ("step", "step_greedy", "step_probabilities"):
        seed = {"seed": tf.constant(SEEDS[:5])} if name == "step" else {}
        with pytest.raises(
            tf.errors.InvalidArgumentError, match="(?i)dimension"
        ):
            stepped[name](observation=observed, state=state, **seed)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("what", ["observation", "state"])
def test_what_is_not_finite_gives_no_action_with_memory(stepped, what, bad):
    inputs = {"observation": np.eye(5, dtype=np.float32)}
    inputs["state"] = np.zeros([5, 2], np.float32)
    inputs[what][2, 1] = bad
    tensors = {key: tf.constant(value) for key, value in inputs.items()}
    found = stepped["step"](**tensors, seed=tf.constant(SEEDS[:5]))
    expected = np.arange(5) == 2
    np.testing.assert_array_equal(found["action"] == -1, expected)
    np.testing.assert_array_equal(np.isnan(found["log_prob"]), expected)
    found = stepped["step_probabilities"](**tensors)["probabilities"]
    np.testing.assert_array_equal(np.isnan(found[:, 0]), expected)


def test_a_failed_call_of_a_signature_leaves_other_threads_alone(stepped):
    function, state = stepped["step_probabilities"], tf.zeros([5, 2])
    with pytest.raises((TypeError, ValueError, tf.errors.InvalidArgumentError)):
        function(observation=tf.ones([1, 4]), state=state)
    found = []
    thread = threading.Thread(
        target=lambda: found.append(
            function(observation=tf.eye(5), state=state)
        ),
        daemon=True,
    )
    thread.start()
    thread.join(timeout=30)
    assert found and found[0]["probabilities"].shape == (5, 2)
