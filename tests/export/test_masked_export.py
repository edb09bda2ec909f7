"""Exported policies of games with illegal actions never pick one."""

import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

import dice_tf
from dice_tf import export
from dice_tf.play.actors import Actor

GAME = dice_tf.games.CommonPool(4)
LEGAL = GAME.action_masks[0]
STOCKS = np.repeat(np.arange(13), 300)
SEEN = np.eye(13, dtype=np.float32)[STOCKS]
# Rounded sums of probabilities may be as large.
NOISE = np.linspace(0.0, 1.0, 300, dtype=np.float32)
NOISE = np.tile(np.minimum(NOISE, np.float32(1 - 2**-24)), 13)


def seated(build):
    """A policy that likes to take the most, and what it does by state."""
    policy = build(GAME, 0)
    bias = policy.trainable_variables[-1]
    bias.assign(tf.broadcast_to([0.0, 0.5, 1.0, 1.5, 2.0], bias.shape))
    actor = Actor(GAME, policy, 0)
    if actor.has_memory:
        return policy, None
    return policy, np.exp(actor.log_prob_table(actor.model.weights()))


def assert_legal(actions):
    counts = np.zeros((13, 5), int)
    np.add.at(counts, (STOCKS, np.asarray(actions)), 1)
    assert np.all((counts > 0) == LEGAL)


def check(run, table, **noise):
    """Checks the four signatures, run by name."""
    np.testing.assert_array_equal(table[~LEGAL], 0.0)
    found = run("probabilities", observation=SEEN)["probabilities"]
    assert np.all((np.asarray(found) > 0.0) == LEGAL[STOCKS])
    np.testing.assert_allclose(found, table[STOCKS], atol=1e-6)
    acted = run("act", observation=SEEN, **noise)
    assert_legal(acted["action"])
    np.testing.assert_allclose(
        np.exp(acted["log_prob"]),
        table[STOCKS, np.asarray(acted["action"])],
        atol=1e-6,
    )
    greedy = run("act_greedy", observation=SEEN)["action"]
    np.testing.assert_array_equal(greedy, table.argmax(axis=1)[STOCKS])
    asked = np.tile(np.arange(5, dtype=np.int32), 780)
    answer = run("log_prob", observation=SEEN, action=asked)["log_prob"]
    is_legal = LEGAL[STOCKS, asked]
    assert np.all(np.isfinite(answer))
    assert np.all((np.exp(answer) > 0.0) == is_legal)


@pytest.mark.parametrize("name", ["tabular", "mlp"])
def test_a_saved_model_knows_what_is_legal(tmp_path, name):
    policy, table = seated(getattr(dice_tf.policies, name))
    export.export_policy(policy, tmp_path / "policy")
    loaded = tf.saved_model.load(tmp_path / "policy")
    seed = np.stack([np.arange(len(SEEN)), np.full(len(SEEN), 4)], axis=1)
    check(
        lambda name, **inputs: loaded.signatures[name](
            **{key: tf.constant(value) for key, value in inputs.items()}
        ),
        table,
        seed=seed.astype(np.int32),
    )
    again = dice_tf.policies.from_saved_model(tmp_path / "policy")
    actor = Actor(GAME, again, 0)
    found = np.exp(actor.log_prob_table(actor.model.weights()))
    np.testing.assert_allclose(found, table, atol=1e-6)
    assert np.all((found > 0.0) == LEGAL)


def test_a_tflite_file_knows_what_is_legal(tmp_path):
    policy, table = seated(dice_tf.policies.tabular)
    path = tmp_path / "policy.tflite"
    export.export_tflite(policy, path)
    interpreter = Interpreter(model_path=str(path))
    check(
        lambda name, **inputs: interpreter.get_signature_runner(name)(**inputs),
        table,
        noise=NOISE,
    )


def test_an_onnx_file_knows_what_is_legal(tmp_path):
    policy, table = seated(dice_tf.policies.tabular)

    def run(name, **inputs):
        path = tmp_path / f"{name}.onnx"
        export.export_onnx(policy, path, signature=name)
        session = onnxruntime.InferenceSession(path)
        names = [spec.name for spec in session.get_outputs()]
        return dict(zip(names, session.run(names, inputs), strict=True))

    check(run, table, noise=NOISE)


def test_steps_with_memory_know_what_is_legal(tmp_path):
    policy, _ = seated(dice_tf.policies.gru)
    export.export_policy(policy, tmp_path / "policy")
    loaded = tf.saved_model.load(tmp_path / "policy")
    state = loaded.initial_state(batch_size=len(SEEN))["state"]
    for t in range(2):
        found = loaded.step_probabilities(observation=SEEN, state=state)
        probabilities = found["probabilities"].numpy()
        assert np.all((probabilities > 0.0) == LEGAL[STOCKS])
        after = loaded.step(
            observation=SEEN, state=state, seed=tf.constant([t, 5])
        )
        assert_legal(after["action"])
        state = after["state"]


@pytest.mark.parametrize("is_ours", [True, False])
def test_a_policy_knows_it_once_it_has_a_seat(tmp_path, is_ours):
    """Those of ours are made for one; any model has one once it has played."""
    policy = dice_tf.policies.random(GAME, 0)
    if not is_ours:
        policy = keras.Sequential([keras.Input((13,)), keras.layers.Dense(5)])
        Actor(GAME, policy, 0)
    export.export_policy(policy, tmp_path / "policy")
    loaded = tf.saved_model.load(tmp_path / "policy")
    found = loaded.probabilities(observation=np.eye(13, dtype=np.float32))
    np.testing.assert_array_equal(found["probabilities"] > 0.0, LEGAL)
