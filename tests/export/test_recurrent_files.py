"""TFLite and ONNX files of policies with memory act like the SavedModel."""

import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

import dice_tf
from dice_tf.export import export_onnx, export_policy, export_tflite
from dice_tf.policies.sampling import sample_actions

GAME = dice_tf.games.iterated_prisoners_dilemma(8)
NAMES = ("step", "step_greedy", "step_probabilities", "initial_state")


class TwoStates(keras.layers.Layer):
    """A cell with two states of different sizes."""

    state_size = (2, 3)

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(5, activation="tanh")

    def call(self, inputs, states):
        x = self.dense(keras.ops.concatenate([inputs, *states], axis=-1))
        return x, [x[:, :2], x[:, 2:] + 0.5 * states[1]]


def of_ones_own():
    observation = keras.Input((5,))
    states = [keras.Input((size,)) for size in TwoStates.state_size]
    features, following = TwoStates()(observation, states)
    outputs = keras.layers.Dense(3)(features)
    return keras.Model([observation, *states], [outputs, *following])


BUILDERS = {
    "gru": lambda: dice_tf.policies.gru(GAME, 0, units=4),
    "lstm": lambda: dice_tf.policies.lstm(GAME, 0, units=3),
    "min_gru": lambda: dice_tf.policies.min_gru(GAME, 0, units=4),
    "stacked": lambda: dice_tf.policies.stacked(
        GAME, 0, num_observations=3, activation="relu"
    ),
    "of ones own": of_ones_own,
}


def make_policy(kind):
    policy = BUILDERS[kind]()
    rng = np.random.default_rng(1)
    for variable in policy.trainable_variables:
        # With larger weights a cell is chaotic: rounding would grow.
        variable.assign(rng.normal(scale=0.5, size=variable.shape))
    return policy


def saved_model_runner(policy, folder):
    export_policy(policy, folder / "policy")
    signatures = tf.saved_model.load(folder / "policy").signatures

    def run(name, **inputs):
        tensors = {key: tf.constant(value) for key, value in inputs.items()}
        found = signatures[name](**tensors)
        return {key: value.numpy() for key, value in found.items()}

    return run


def tflite_runner(policy, folder):
    path = str(folder / "policy.tflite")
    export_tflite(policy, path)
    interpreter = Interpreter(path)
    assert set(interpreter.get_signature_list()) == set(NAMES)
    runners = {name: interpreter.get_signature_runner(name) for name in NAMES}
    return lambda name, **inputs: runners[name](**inputs)


def onnx_runner(policy, folder):
    sessions = {}
    for name in NAMES:
        path = folder / f"{name}.onnx"
        export_onnx(policy, path, signature=name)
        sessions[name] = onnxruntime.InferenceSession(path)

    def run(name, **inputs):
        session = sessions[name]
        names = [spec.name for spec in session.get_outputs()]
        found = dict(zip(names, session.run(names, inputs), strict=True))
        if "next_state" in found:
            found["state"] = found.pop("next_state")
        return found

    return run


@pytest.fixture(scope="module", params=BUILDERS)
def runners(request, tmp_path_factory):
    """Functions of a SavedModel, a TFLite file and ONNX files."""
    folder = tmp_path_factory.mktemp("files")
    policy = make_policy(request.param)
    return [
        make(policy, folder)
        for make in (saved_model_runner, tflite_runner, onnx_runner)
    ]


def observed(rng, batch_size):
    return np.eye(5, dtype=np.float32)[rng.integers(5, size=batch_size)]


@pytest.mark.parametrize("batch_size", [1, 3])
def test_1000_steps_are_those_of_the_saved_model(runners, batch_size):
    rng, count = np.random.default_rng(0), np.zeros(batch_size, np.int32)
    states = [
        run("initial_state", batch_size=count)["state"] for run in runners
    ]
    for state in states:
        np.testing.assert_array_equal(state, np.zeros_like(states[0]))
    for _ in range(1000 if batch_size == 3 else 10):
        seen = observed(rng, batch_size)
        expected, *found = (
            run("step_probabilities", observation=seen, state=state)
            for run, state in zip(runners, states, strict=True)
        )
        for one in found:
            for name, values in expected.items():
                np.testing.assert_allclose(one[name], values, atol=1e-5)
        states = [one["state"] for one in (expected, *found)]
    assert np.abs(states[0]).max() > 1e-3


def test_noise_and_greed_choose_actions_of_their_probabilities(runners):
    rng = np.random.default_rng(2)
    seen = observed(rng, 200)
    shape = runners[0]("initial_state", batch_size=np.zeros(200, np.int32))
    state = rng.normal(size=shape["state"].shape).astype(np.float32)
    noise = rng.random(200, dtype=np.float32)
    inputs = {"observation": seen, "state": state}
    shown = runners[0]("step_probabilities", **inputs)
    table = shown["probabilities"]
    chosen = sample_actions(tf.math.log(table), noise).numpy()
    assert len(set(chosen)) == table.shape[1]
    for run in runners[1:]:
        found = run("step", **inputs, noise=noise)
        assert np.mean(found["action"] == chosen) > 0.98
        expected = np.log(
            np.take_along_axis(table, found["action"][:, np.newaxis], axis=1)
        )
        np.testing.assert_allclose(found["log_prob"], expected[:, 0], atol=1e-4)
        np.testing.assert_allclose(found["state"], shown["state"], atol=1e-5)
        greedy = run("step_greedy", **inputs)
        np.testing.assert_array_equal(
            greedy["action"], np.argmax(table, axis=1)
        )


@pytest.mark.parametrize("bad", [np.nan, -np.inf])
@pytest.mark.parametrize("what", ["observation", "state"])
def test_what_is_not_finite_gives_no_action_in_any_file(runners, what, bad):
    seen = np.eye(5, dtype=np.float32)
    count = np.zeros(5, np.int32)
    inputs = {
        "observation": seen,
        "state": runners[0]("initial_state", batch_size=count)["state"],
    }
    inputs[what][2, 1] = bad
    expected = np.arange(5) == 2
    for run in runners:
        found = run("step_greedy", **inputs)
        np.testing.assert_array_equal(found["action"] == -1, expected)
        found = run("step_probabilities", **inputs)["probabilities"]
        np.testing.assert_array_equal(np.isnan(found[:, 0]), expected)
    noise = np.full(5, 0.5, np.float32)
    for run in runners[1:]:
        found = run("step", **inputs, noise=noise)
        np.testing.assert_array_equal(found["action"] == -1, expected)
        np.testing.assert_array_equal(np.isnan(found["log_prob"]), expected)


def test_one_state_does_not_stand_for_all(runners):
    count = np.zeros(1, np.int32)
    state = runners[0]("initial_state", batch_size=count)["state"]
    for run in runners:
        with pytest.raises(Exception, match=r"(?i)shape|dimension|dims"):
            run(
                "step_greedy",
                observation=np.eye(5, dtype=np.float32),
                state=state,
            )


def test_an_onnx_file_holds_a_step_by_default(tmp_path):
    policy = make_policy("min_gru")
    export_onnx(policy, tmp_path / "policy.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "policy.onnx")
    names = [spec.name for spec in session.get_inputs()]
    assert names == ["observation", "state", "noise"]
    names = {spec.name for spec in session.get_outputs()}
    assert names == {"action", "log_prob", "next_state"}
    with pytest.raises(ValueError, match="`signature` must be one of 'step', "):
        export_onnx(policy, tmp_path / "policy2.onnx", signature="act")
