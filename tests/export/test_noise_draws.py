"""Draws by given noise, beside a slow reference, and their operations."""

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter, OpResolverType

import dice_tf
from dice_tf.export import noise_draws, onnx_file
from dice_tf.export.noise_draws import ONNX, TFLITE
from dice_tf.policies.sampling import FEW_ACTIONS, rounding_slack

FORMATS = [TFLITE, ONNX]
NUM_ROWS = 2000


def logits_of(num_actions, rng):
    """Policies of all kinds: mixed, sharp, with impossible actions."""
    logits = rng.normal(size=[NUM_ROWS, num_actions]) * rng.choice(
        [0.1, 1.0, 10.0], size=[NUM_ROWS, 1]
    )
    impossible = rng.uniform(size=logits.shape) < 0.3
    impossible[:, num_actions // 2] = False
    logits[impossible] = -np.inf
    # What an action mask makes of them.
    logits[::2] = np.maximum(logits[::2], -1e9)
    return logits.astype(np.float32)


def reference(logits, noise):
    """Draws by a loop, in double precision, and how close it is to another."""
    logits = logits.astype(np.float64)
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    actions, distances = [], []
    for row, x in zip(p, noise, strict=True):
        ends = np.cumsum(row)
        possible = np.flatnonzero(row > 0.0)
        action = next((a for a in possible if x < ends[a]), possible[-1])
        actions.append(action)
        distances.append(np.abs(ends[:-1] - x).min(initial=1.0))
    chosen = np.take_along_axis(p, np.array(actions)[:, None], axis=1)
    return np.array(actions), np.log(chosen[:, 0]), np.array(distances)


def drawn(file_format, logits, noise, observation=None):
    if observation is None:
        observation = np.zeros([len(logits), 2], np.float32)
    draw = tf.function(noise_draws.draw_in_file, autograph=False)
    observation = tf.constant(observation)
    found = draw(file_format, observation, tf.constant(logits), noise)
    return found["action"].numpy(), found["log_prob"].numpy()


@pytest.mark.parametrize("num_actions", [2, 3, FEW_ACTIONS, FEW_ACTIONS + 1])
@pytest.mark.parametrize("file_format", FORMATS)
def test_draws_are_those_of_the_reference(file_format, num_actions):
    rng = np.random.default_rng(num_actions)
    logits = logits_of(num_actions, rng)
    noise = rng.uniform(size=NUM_ROWS).astype(np.float32)
    action, log_prob = drawn(file_format, logits, noise)
    expected, log_probs, distances = reference(logits, noise)
    is_clear = distances > 3 * rounding_slack(FEW_ACTIONS)
    assert is_clear.mean() > 0.9
    np.testing.assert_array_equal(action[is_clear], expected[is_clear])
    assert action.dtype == np.int32 and len(set(action)) == num_actions
    np.testing.assert_allclose(
        log_prob[is_clear], log_probs[is_clear], atol=1e-5
    )


@pytest.mark.parametrize("noise", [0.0, 1.0 - 2.0**-24, 1.0])
@pytest.mark.parametrize("num_actions", [2, 5, FEW_ACTIONS, FEW_ACTIONS + 1])
@pytest.mark.parametrize("file_format", FORMATS)
def test_no_noise_draws_what_is_impossible(file_format, num_actions, noise):
    rng = np.random.default_rng(num_actions)
    # Impossible actions last, where the sum of all others may be below noise,
    # and first, where it may be equal to noise.
    logits = np.sort(logits_of(num_actions, rng), axis=1)
    if noise:
        logits = logits[:, ::-1].copy()
    noise = np.full([NUM_ROWS], noise, np.float32)
    action, log_prob = drawn(file_format, logits, noise)
    chosen = np.take_along_axis(logits, action[:, None], axis=1)
    assert np.all(chosen > -1e8) and np.all(np.isfinite(log_prob))


RESOLVERS = [
    OpResolverType.AUTO,
    OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    OpResolverType.BUILTIN_REF,
]


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    """Files of a policy of 12 actions, which observes its own logits."""
    folder = tmp_path_factory.mktemp("identity")
    inputs = keras.Input((12,))
    policy = keras.Model(inputs, keras.layers.Identity()(inputs))
    dice_tf.export.export_tflite(policy, folder / "policy.tflite")
    dice_tf.export.export_onnx(policy, folder / "policy.onnx")
    return folder


@pytest.mark.parametrize("kernels", [*RESOLVERS, ONNX], ids=str)
def test_no_kernel_draws_what_is_impossible_at_a_threshold(identity, kernels):
    rng = np.random.default_rng(1)
    logits = logits_of(12, rng)
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    ends = np.cumsum(p / p.sum(axis=1, keepdims=True), axis=1)
    picked = ends[np.arange(NUM_ROWS), rng.integers(11, size=NUM_ROWS)]
    # Runtimes add up in different orders, which matters at thresholds.
    noise = picked + rng.integers(-3, 4, size=NUM_ROWS) * 2.0**-24
    noise = np.clip(noise, 0.0, 1.0 - 2.0**-24).astype(np.float32)
    inputs = {"observation": np.maximum(logits, -1e9), "noise": noise}
    if kernels == ONNX:
        session = onnxruntime.InferenceSession(identity / "policy.onnx")
        action, log_prob = session.run(["action", "log_prob"], inputs)
    else:
        act = Interpreter(
            str(identity / "policy.tflite"),
            experimental_op_resolver_type=kernels,
        ).get_signature_runner("act")
        found = act(**inputs)
        action, log_prob = found["action"], found["log_prob"]
    assert action.min() >= 0 and np.all(np.isfinite(log_prob))
    chosen = np.take_along_axis(logits, action[:, None], axis=1)
    assert np.all(chosen > -1e8)


@pytest.mark.parametrize("num_actions", [3, FEW_ACTIONS + 1])
@pytest.mark.parametrize("file_format", FORMATS)
def test_noise_out_of_range_draws_nothing(file_format, num_actions):
    above = [1.00001, 1.5, 1e30, np.inf]
    below = [-1e-5, -0.1, -1e30, -np.inf]
    noise = np.array([*above, *below, np.nan, 0.0, 1.0], np.float32)
    logits = np.zeros([len(noise), num_actions], np.float32)
    # Of an action of nearly all probability, and of one of nearly none.
    logits[:, [0, -1]] = [-5.0, 8.0]
    action, log_prob = drawn(file_format, logits, noise)
    is_none = np.arange(len(noise)) < len(noise) - 2
    np.testing.assert_array_equal(action == -1, is_none)
    np.testing.assert_array_equal(np.isnan(log_prob), is_none)
    assert list(action[~is_none]) == [0, num_actions - 1]


@pytest.mark.parametrize("file_format", FORMATS)
def test_many_actions_are_drawn_without_slack(file_format):
    # By the slack for so many, noise would be below the last threshold.
    probabilities = np.full([1, FEW_ACTIONS + 1], 1e-30)
    probabilities[0, 0], probabilities[0, -1] = 1.0 - 2e-6, 2e-6
    logits = np.log(probabilities).astype(np.float32)
    action, _ = drawn(file_format, logits, np.float32([1.0 - 5e-7]))
    assert action == FEW_ACTIONS


def test_onnx_keeps_the_digits_of_double_precision(tmp_path):
    inputs = keras.Input((3,), dtype="float64")
    outputs = keras.layers.Identity(dtype="float64")(inputs)
    path = tmp_path / "policy.onnx"
    dice_tf.export.export_onnx(keras.Model(inputs, outputs), path)
    logits = np.random.default_rng(5).normal(size=[20, 3])
    noise = np.linspace(0.0, 1.0, 20, dtype=np.float32)
    action, log_prob = onnxruntime.InferenceSession(path).run(
        ["action", "log_prob"], {"observation": logits, "noise": noise}
    )
    expected, log_probs, _ = reference(logits, noise)
    np.testing.assert_array_equal(action, expected)
    np.testing.assert_allclose(log_prob, log_probs, rtol=1e-13)


@pytest.mark.parametrize("noise", [1.0 + 2.0**-23, 1.0 + 2.0**-20])
@pytest.mark.parametrize("file_format", FORMATS)
def test_noise_that_rounds_above_one_draws_what_is_possible(file_format, noise):
    logits = np.array([[0.0, 0.0, -1e9]], np.float32)
    action, log_prob = drawn(file_format, logits, np.float32([noise]))
    assert (action, np.isnan(log_prob)) in [(1, False), (-1, True)]


@pytest.mark.parametrize("exponential", [0.0, np.nan])
def test_whatever_a_runtime_makes_of_nan_draws_nothing(
    monkeypatch, exponential
):
    monkeypatch.setattr(
        tf, "exp", lambda x: tf.where(x <= 0.0, tf.math.exp(x), exponential)
    )
    logits = np.array([[0.0, 0.0, 0.0], [0.0, np.nan, 0.0]], np.float32)
    for noise in (0.0, 0.4, 1.0):
        found = noise_draws.draw_in_file(
            TFLITE, tf.zeros([2, 1]), logits, np.float32([noise] * 2)
        )
        np.testing.assert_array_equal(found["action"] == -1, [False, True])
        np.testing.assert_array_equal(
            np.isnan(found["log_prob"]), [False, True]
        )


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32"])
@pytest.mark.parametrize("shape", [[], [3], [2, 2]])
@pytest.mark.parametrize("file_format", FORMATS)
def test_rows_that_are_not_finite_are_marked(file_format, shape, dtype):
    observation = np.full([5, *shape], 7, dtype)
    is_bad = np.zeros(5, bool)
    if dtype.startswith("float"):
        flat = observation.reshape(5, -1)
        flat[1, -1], flat[3, 0] = np.nan, -np.inf
        # Large but finite.
        flat[0] = np.finfo(dtype).max
        is_bad[[1, 3]] = True
    logits = np.zeros([5, 3], np.float32)
    shown = noise_draws.probabilities_in_file(
        file_format, tf.constant(observation), tf.constant(logits)
    )["probabilities"]
    np.testing.assert_allclose(
        shown, np.where(is_bad[:, None], np.nan, np.full([5, 3], 1 / 3))
    )
    noise = np.full([5], 0.5, np.float32)
    action, _ = drawn(file_format, logits, noise, observation)
    np.testing.assert_array_equal(action, np.where(is_bad, -1, 1))


@pytest.mark.parametrize("file_format", FORMATS)
def test_rows_of_unknown_size_are_marked(file_format):
    spec = tf.TensorSpec([None, None], tf.float32)
    show = tf.function(
        lambda observation: noise_draws.probabilities_in_file(
            file_format, observation, tf.zeros([2, 3])
        )["probabilities"],
        input_signature=[spec],
    )
    for size in (1, 4):
        observation = np.ones([2, size], np.float32)
        observation[1, -1] = np.nan
        shown = show(observation).numpy()
        np.testing.assert_array_equal(np.isnan(shown[:, 0]), [False, True])


@pytest.mark.parametrize("signature", ["probabilities", "act"])
def test_onnx_marks_rows_by_one_operation(signature, tmp_path):
    game = dice_tf.games.CoinGame()
    keras.utils.set_random_seed(1)
    policy = dice_tf.policies.mlp(game, 0, hidden_units=[4])
    path = tmp_path / "policy.onnx"
    dice_tf.export.export_onnx(policy, path, signature=signature)
    nodes = onnx.load(path).graph.node
    (marks,) = [node for node in nodes if node.name == noise_draws.MARKS]
    assert marks.op_type == "Gemm" and len(marks.input) == 3
    assert not [node for node in nodes if node.op_type == "Sub"]


@pytest.mark.parametrize("reader", ["Add", "Sub"])
def test_only_an_addition_becomes_part_of_the_product(reader):
    helper = onnx.helper
    nodes = [
        helper.make_node("MatMul", ["x", "zeros"], ["y"], noise_draws.MARKS),
        helper.make_node(reader, ["logits", "y"], ["z"]),
    ]
    model = helper.make_model(helper.make_graph(nodes, "graph", [], []))
    onnx_file._fuse_marks(model, onnx)
    found = [(node.op_type, [*node.input]) for node in model.graph.node]
    if reader == "Add":
        assert found == [("Gemm", ["x", "zeros", "logits"])]
    else:
        assert [name for name, _ in found] == ["MatMul", "Sub"]
