"""Acts with exports in every format whose packages are installed.

  python -m tests.export.round_trip

Unlike the tests it does without the packages of a format, since not all exist
for every version of Python and TensorFlow: it names the formats that it leaves
out. Ends with an error if an export does not act like the policy.
"""

import importlib.util
import pathlib
import sys
import tempfile
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

import dice_tf
from dice_tf import export

GAME = dice_tf.games.iterated_prisoners_dilemma(3)
NUM_ROWS = 500
# By format, what must be importable.
PACKAGES = {
    "SavedModel": (),
    "TFLite": ("ai_edge_litert",),
    "ONNX": ("onnxruntime", "tf2onnx"),
}

# From the name of a signature and its inputs to its outputs.
Run = Callable[..., dict[str, np.ndarray]]


def saved_model_runner(policy: keras.Model, folder: pathlib.Path) -> Run:
    export.export_policy(policy, folder / "policy")
    signatures = tf.saved_model.load(folder / "policy").signatures

    def run(name: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        if "noise" in inputs:
            rows = np.arange(len(inputs.pop("noise")), dtype=np.int32)
            inputs["seed"] = np.stack([rows, rows], axis=1)
        tensors = {key: tf.constant(value) for key, value in inputs.items()}
        found = signatures[name](**tensors)
        return {key: value.numpy() for key, value in found.items()}

    return run


def tflite_runner(policy: keras.Model, folder: pathlib.Path) -> Run:
    from ai_edge_litert.interpreter import Interpreter

    path = str(folder / "policy.tflite")
    export.export_tflite(policy, path)
    interpreter = Interpreter(path)
    return lambda name, **inputs: interpreter.get_signature_runner(name)(
        **inputs
    )


def onnx_runner(policy: keras.Model, folder: pathlib.Path) -> Run:
    import onnxruntime

    def run(name: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        path = folder / f"{name}.onnx"
        export.export_onnx(policy, path, signature=name)
        session = onnxruntime.InferenceSession(path)
        names = [spec.name for spec in session.get_outputs()]
        return dict(zip(names, session.run(names, inputs), strict=True))

    return run


RUNNERS = dict(
    zip(PACKAGES, (saved_model_runner, tflite_runner, onnx_runner), strict=True)
)


def policies() -> dict[str, keras.Model]:
    """Returns policies of two and of three actions, and one with memory."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((5,))
    x = keras.layers.Dense(6, activation="swish")(inputs)
    x = dice_tf.layers.SafeLayerNormalization()(x)
    return {
        "mlp": dice_tf.policies.mlp(GAME, 0, hidden_units=[4]),
        "three_actions": keras.Model(inputs, keras.layers.Dense(3)(x)),
        "gru": dice_tf.policies.gru(GAME, 0, units=3),
    }


def live_probabilities(
    policy: keras.Model, inputs: list[np.ndarray]
) -> np.ndarray:
    outputs = policy(inputs if len(inputs) > 1 else inputs[0])
    logits = tf.nest.flatten(outputs)[0]
    if logits.shape[-1] == 1:
        logits = tf.concat([logits, tf.zeros_like(logits)], axis=-1)
    return tf.nn.softmax(logits).numpy()


def check(policy: keras.Model, run: Run) -> None:
    """Raises if what a file does is not what the policy does."""
    rng = np.random.default_rng(0)
    shapes = [tensor.shape[1:] for tensor in policy.inputs]
    inputs = [
        rng.normal(size=[NUM_ROWS, *shape]).astype(np.float32)
        for shape in shapes
    ]
    named = dict(zip(("observation", "state"), inputs, strict=False))
    act, probabilities = "act", "probabilities"
    if len(inputs) > 1:
        act, probabilities = "step", "step_probabilities"
    expected = live_probabilities(policy, inputs)
    found = run(probabilities, **named)["probabilities"]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    noise = rng.uniform(size=NUM_ROWS).astype(np.float32)
    acted = run(act, **named, noise=noise)
    chosen = np.take_along_axis(expected, acted["action"][:, None], axis=1)
    np.testing.assert_allclose(
        np.exp(acted["log_prob"]), chosen[:, 0], atol=1e-5
    )
    shares = np.bincount(acted["action"]) / NUM_ROWS
    np.testing.assert_allclose(shares, expected.mean(axis=0), atol=0.1)


def main() -> None:
    failed = []
    for name, packages in PACKAGES.items():
        missing = [x for x in packages if importlib.util.find_spec(x) is None]
        if missing:
            print(f"{name}: left out, without {' and '.join(missing)}")
            continue
        for kind, policy in policies().items():
            try:
                with tempfile.TemporaryDirectory() as folder:
                    check(policy, RUNNERS[name](policy, pathlib.Path(folder)))
            except Exception as error:
                print(f"{name}, {kind}: {type(error).__name__}: {error}")
                failed.append(f"{name}, {kind}")
            else:
                print(f"{name}, {kind}: acts like the policy")
    if failed:
        sys.exit(f"Failed: {'; '.join(failed)}.")


if __name__ == "__main__":
    main()
