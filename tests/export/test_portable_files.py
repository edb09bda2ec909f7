"""TFLite and ONNX files act like the live policy."""

import os

import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

import dice_tf
from dice_tf.export import export_onnx, export_tflite
from dice_tf.policies.sampling import sample_actions
from tests import toys

GAME = dice_tf.games.iterated_prisoners_dilemma(3)
SIGNATURES = {
    "act": {"noise", "observation"},
    "act_greedy": {"observation"},
    "log_prob": {"action", "observation"},
    "probabilities": {"observation"},
}


def make_policy(kind):
    keras.utils.set_random_seed(3)
    if kind == "bernoulli":
        return dice_tf.policies.mlp(GAME, 0, hidden_units=[4])
    x = inputs = keras.Input((5,))
    x = keras.layers.Dense(6, activation="swish")(x)
    x = dice_tf.layers.SafeLayerNormalization()(x)
    return keras.Model(inputs, keras.layers.Dense(3)(x))


def probabilities(policy, observations):
    logits = policy(observations)
    if logits.shape[-1] == 1:
        logits = tf.concat([logits, tf.zeros_like(logits)], axis=-1)
    return tf.nn.softmax(logits).numpy()


def tflite_runners(policy, folder):
    path = folder / "policy.tflite"
    export_tflite(policy, path)
    interpreter = Interpreter(model_path=str(path))
    found = interpreter.get_signature_list()
    assert {name: set(found[name]["inputs"]) for name in found} == SIGNATURES
    return {name: interpreter.get_signature_runner(name) for name in found}


def onnx_runners(policy, folder):
    def runner(name):
        path = folder / f"{name}.onnx"
        export_onnx(policy, path, signature=name)
        session = onnxruntime.InferenceSession(path)
        assert {spec.name for spec in session.get_inputs()} == SIGNATURES[name]
        names = [spec.name for spec in session.get_outputs()]
        return lambda **inputs: dict(
            zip(names, session.run(names, inputs), strict=True)
        )

    return {name: runner(name) for name in SIGNATURES}


@pytest.fixture(
    scope="module",
    params=[
        (kind, runners)
        for kind in ("bernoulli", "categorical")
        for runners in (tflite_runners, onnx_runners)
    ],
    ids=lambda param: f"{param[0]}-{param[1].__name__}",
)
def pair(request, tmp_path_factory):
    """A live policy, and functions of what it was exported to."""
    kind, runners = request.param
    policy = make_policy(kind)
    return policy, runners(policy, tmp_path_factory.mktemp("files"))


def observations_of(batch_size):
    rng = np.random.default_rng(0)
    return rng.normal(size=[batch_size, 5]).astype(np.float32)


@pytest.mark.parametrize("batch_size", [1, 7])
def test_probabilities_are_those_of_the_live_policy(pair, batch_size):
    policy, runners = pair
    observations = observations_of(batch_size)
    expected = probabilities(policy, observations)
    found = runners["probabilities"](observation=observations)
    np.testing.assert_allclose(found["probabilities"], expected, atol=1e-5)
    greedy = runners["act_greedy"](observation=observations)["action"]
    np.testing.assert_array_equal(greedy, np.argmax(expected, axis=1))


def test_noise_chooses_the_action_that_it_does_live(pair):
    policy, runners = pair
    observations = observations_of(500)
    noise = np.random.default_rng(1).uniform(size=500).astype(np.float32)
    table = probabilities(policy, observations)
    found = runners["act"](observation=observations, noise=noise)
    expected = sample_actions(tf.math.log(table), noise)
    np.testing.assert_array_equal(found["action"], expected)
    assert len(set(found["action"])) == table.shape[1]
    chosen = np.take_along_axis(table, found["action"][:, None], 1)[:, 0]
    np.testing.assert_allclose(np.exp(found["log_prob"]), chosen, atol=1e-5)
    again = runners["log_prob"](
        observation=observations, action=found["action"]
    )
    np.testing.assert_allclose(again["log_prob"], found["log_prob"], atol=1e-5)


EXPORTS = {".tflite": export_tflite, ".onnx": export_onnx}


@pytest.mark.parametrize("suffix", EXPORTS)
def test_an_earlier_file_is_replaced_only_on_demand(tmp_path, suffix):
    path = tmp_path / "deep" / f"policy{suffix}"
    path.parent.mkdir()
    path.write_bytes(b"precious")
    policy = dice_tf.policies.tit_for_tat(GAME, 0)
    with pytest.raises(ValueError, match="`path` must be new. .*is there. Pa"):
        EXPORTS[suffix](policy, path)
    assert path.read_bytes() == b"precious"
    EXPORTS[suffix](policy, path, overwrite=True)
    assert len(path.read_bytes()) > 100
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("suffix", EXPORTS)
def test_what_does_not_fit_is_refused(tmp_path, suffix):
    export = EXPORTS[suffix]
    policy = dice_tf.policies.tit_for_tat(GAME, 0)
    with pytest.raises(ValueError, match=rf"file named \*{suffix}. .*policy.b"):
        export(policy, tmp_path / "policy.bin")
    (tmp_path / f"folder{suffix}").mkdir()
    with pytest.raises(ValueError, match="which is a folder"):
        export(policy, tmp_path / f"folder{suffix}")
    with pytest.raises(TypeError, match="path of a file to write.*type int"):
        export(policy, 3)
    with pytest.raises(ValueError, match="needs a policy with a finite set"):
        export(toys.normal_policy(), tmp_path / f"policy{suffix}")
    assert os.listdir(tmp_path) == [f"folder{suffix}"]


class Bessel(keras.layers.Layer):
    """Does what neither format knows."""

    def call(self, x):
        return tf.math.bessel_i0e(x)


@pytest.mark.parametrize("suffix", EXPORTS)
def test_what_a_format_does_not_know_is_refused(tmp_path, suffix):
    inputs = keras.Input((5,))
    policy = keras.Model(
        inputs, keras.layers.Dense(2)(Bessel()(inputs)), name="odd"
    )
    with pytest.raises(ValueError, match="'odd' cannot be converted to"):
        EXPORTS[suffix](policy, tmp_path / f"policy{suffix}")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["step", "", 0, np.zeros(2)])
def test_an_onnx_file_holds_one_of_the_signatures(tmp_path, name):
    policy = dice_tf.policies.tit_for_tat(GAME, 0)
    with pytest.raises(ValueError, match="`signature` must be one of 'act', "):
        export_onnx(policy, tmp_path / "policy.onnx", signature=name)


def test_no_shape_is_computed_in_a_tflite_file(tmp_path, capfd):
    # Behind such a shape TensorFlow Lite runs a network by slow kernels.
    export_tflite(make_policy("swish"), tmp_path / "policy.tflite")
    tf.lite.experimental.Analyzer.analyze(
        model_path=str(tmp_path / "policy.tflite")
    )
    listed = capfd.readouterr().out
    assert listed.count("FULLY_CONNECTED(") >= 2 * len(SIGNATURES)
    assert " SHAPE(" not in listed
