"""A policy as we export it, and as Keras does, for `benchmarks.latency`.

What is compared gives the same answers, but for what only ours promises: an
answer of no action in rows that make no sense, a seed for each row, and the
same bits in every batch.
"""

import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import onnxruntime
import tensorflow as tf
import tf2onnx
from ai_edge_litert.interpreter import Interpreter

import dice_tf

# By name, what is answered.
Answer = dict[str, Any]
# By the name of a signature, what answers one request over and over.
Calls = dict[str, Callable[[], Answer]]

# From a request to the calls of ours and of the plain export.
Rows = dict[str, np.ndarray]
MakeCalls = Callable[[Rows], tuple[Calls, Calls]]

PLAIN, DRAWN = "probabilities", "act"
SIGNATURES = (PLAIN, DRAWN)
_SEED = [3, 4]


def make_policy(hidden_units: list[int]) -> keras.Model:
    """Returns a network that plays the Coin Game, of four actions."""
    game = dice_tf.games.CoinGame()
    return dice_tf.policies.mlp(game, 0, hidden_units=hidden_units)


def request(policy: keras.Model, num_rows: int) -> Rows:
    """Returns observations, seeds and noise of some rows."""
    rng = np.random.default_rng(0)
    shape = [num_rows, *policy.inputs[0].shape[1:]]
    return {
        "observation": rng.normal(size=shape).astype(np.float32),
        "seed": rng.integers(2**31, size=[num_rows, 2]).astype(np.int32),
        "noise": rng.uniform(size=num_rows).astype(np.float32),
    }


def _endpoints(
    policy: keras.Model, noise_shape: list[int | None], dtype: tf.DType
) -> dict[str, tuple[Callable, list[tf.TensorSpec]]]:
    """Returns by signature what one writes without us, and its inputs."""
    shape = [None, *policy.inputs[0].shape[1:]]
    observation = tf.TensorSpec(shape, tf.float32, "observation")

    def draw(observation: tf.Tensor, drawn_with: tf.Tensor) -> Answer:
        logits = policy(observation)
        log_probs = tf.nn.log_softmax(logits)
        if dtype == tf.int32:
            # TensorFlow draws all rows from one seed. It has no operation that
            # takes a seed for each row.
            action = tf.random.stateless_categorical(
                logits, 1, drawn_with, dtype=tf.int32
            )[:, 0]
        else:
            passed = drawn_with[:, tf.newaxis] >= tf.cumsum(
                tf.exp(log_probs), axis=-1
            )
            action = tf.reduce_sum(tf.cast(passed, tf.int32), axis=-1)
            action = tf.minimum(action, logits.shape[-1] - 1)
        chosen = tf.gather(log_probs, action, batch_dims=1)
        return {"action": action, "log_prob": chosen}

    drawn_with = tf.TensorSpec(noise_shape, dtype, "drawn_with")

    def probabilities(observation: tf.Tensor) -> Answer:
        return {PLAIN: tf.nn.softmax(policy(observation))}

    return {
        PLAIN: (probabilities, [observation]),
        DRAWN: (draw, [observation, drawn_with]),
    }


def _archive(policy: keras.Model, endpoints: dict, folder: pathlib.Path) -> str:
    """Writes what `policy.export` does, with a second endpoint."""
    archive = keras.export.ExportArchive()
    archive.track(policy)
    for name, (function, inputs) in endpoints.items():
        archive.add_endpoint(name, function, input_signature=inputs)
    archive.write_out(str(folder), verbose=False)
    return str(folder)


def saved_models(policy: keras.Model, folder: pathlib.Path) -> MakeCalls:
    """Exports SavedModels; returns what makes calls of ours and of the plain.

    Each row of a request has a seed in ours; the plain draw has one for all.
    """
    dice_tf.export.export_policy(policy, folder / "ours")
    ours = tf.saved_model.load(folder / "ours").signatures
    endpoints = _endpoints(policy, [2], tf.int32)
    path = _archive(policy, endpoints, folder / "plain")
    plain = tf.saved_model.load(path).signatures

    def calls(rows: Rows) -> tuple[Calls, Calls]:
        observation = tf.constant(rows["observation"])
        seeds, seed = tf.constant(rows["seed"]), tf.constant(_SEED)
        return {
            PLAIN: lambda: ours[PLAIN](observation=observation),
            DRAWN: lambda: ours[DRAWN](observation=observation, seed=seeds),
        }, {
            PLAIN: lambda: plain[PLAIN](observation=observation),
            DRAWN: lambda: plain[DRAWN](
                observation=observation, drawn_with=seed
            ),
        }

    return calls


def tflite_files(policy: keras.Model, folder: pathlib.Path) -> MakeCalls:
    """Exports TFLite files, as `saved_models`."""
    dice_tf.export.export_tflite(policy, folder / "ours.tflite")
    endpoints = _endpoints(policy, [None], tf.float32)
    converter = tf.lite.TFLiteConverter.from_saved_model(
        _archive(policy, endpoints, folder / "to_convert"),
        signature_keys=list(endpoints),
    )
    (folder / "plain.tflite").write_bytes(converter.convert())

    def calls_of(name: str, rows: Rows, noise: str) -> Calls:
        # An interpreter of its own keeps its buffers for its signature.
        plain, drawn = [
            Interpreter(str(folder / name)).get_signature_runner(signature)
            for signature in SIGNATURES
        ]
        observation = rows["observation"]
        inputs = {"observation": observation, noise: rows["noise"]}
        return {
            PLAIN: lambda: plain(observation=observation),
            DRAWN: lambda: drawn(**inputs),
        }

    return lambda rows: (
        calls_of("ours.tflite", rows, "noise"),
        calls_of("plain.tflite", rows, "drawn_with"),
    )


def _session(model: pathlib.Path | bytes) -> onnxruntime.InferenceSession:
    """Returns what computes on one thread, as TensorFlow Lite does.

    Threads of several sessions wait by spinning, and take the cores from each
    other.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options)


def onnx_files(policy: keras.Model, folder: pathlib.Path) -> MakeCalls:
    """Exports ONNX files, as `saved_models`."""
    ours, plain = {}, {}
    endpoints = _endpoints(policy, [None], tf.float32)
    for name, (function, inputs) in endpoints.items():
        path = folder / f"{name}.onnx"
        dice_tf.export.export_onnx(policy, path, signature=name)
        ours[name] = _session(path)
        model, _ = tf2onnx.convert.from_function(
            tf.function(function), input_signature=inputs
        )
        plain[name] = _session(model.SerializeToString())

    def calls_of(sessions: dict, rows: Rows, noise: str) -> Calls:
        def call(name: str) -> Callable[[], Answer]:
            session = sessions[name]
            inputs = {"observation": rows["observation"]}
            if name == DRAWN:
                inputs[noise] = rows["noise"]
            names = [spec.name for spec in session.get_outputs()]
            return lambda: dict(
                zip(names, session.run(names, inputs), strict=True)
            )

        return {name: call(name) for name in SIGNATURES}

    return lambda rows: (
        calls_of(ours, rows, "noise"),
        calls_of(plain, rows, "drawn_with"),
    )


FORMATS = {
    "SavedModel": saved_models,
    "TFLite": tflite_files,
    "ONNX": onnx_files,
}
