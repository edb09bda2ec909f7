"""Exports to other file systems than local ones: to TensorFlow's in memory."""

import uuid

import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

import dice_tf
from dice_tf.export import (
    Card,
    export_onnx,
    export_policy,
    export_tflite,
    read_card,
)

GAME = dice_tf.games.iterated_prisoners_dilemma(3)
CARD = Card(GAME, 0, learner="none")


@pytest.fixture
def policy():
    return dice_tf.policies.tit_for_tat(GAME, 0)


@pytest.fixture
def root():
    # The file system lasts as long as the process.
    return f"ram://{uuid.uuid4()}"


def content_of(path):
    with tf.io.gfile.GFile(path, "rb") as file:
        return file.read()


def test_a_saved_model_acts_and_is_an_opponent(policy, root, tmp_path):
    path = f"{root}/models/tit_for_tat/1"
    export_policy(policy, path, card=CARD)
    export_policy(policy, tmp_path / "local", card=CARD)
    assert read_card(path) == read_card(tmp_path / "local")
    warm_up = "assets.extra/tf_serving_warmup_requests"
    assert content_of(f"{path}/{warm_up}") == content_of(
        tmp_path / "local" / warm_up
    )
    loaded = tf.saved_model.load(path).signatures["act_greedy"]
    action = loaded(observation=tf.eye(5))["action"]
    np.testing.assert_array_equal(action, [0, 1, 0, 1, 0])
    opponent = dice_tf.policies.from_saved_model(path)
    assert tf.argmax(opponent(tf.eye(5)), axis=1).numpy().tolist() == [
        *action.numpy()
    ]


def test_files_act(policy, root):
    export_tflite(policy, f"{root}/of/policy.tflite", card=CARD)
    export_onnx(
        policy, f"{root}/of/policy.onnx", signature="act_greedy", card=CARD
    )
    assert sorted(tf.io.gfile.listdir(f"{root}/of")) == [
        "policy.onnx",
        "policy.tflite",
    ]
    seen = np.eye(5, dtype=np.float32)
    content = content_of(f"{root}/of/policy.tflite")
    runner = Interpreter(model_content=content).get_signature_runner(
        "act_greedy"
    )
    session = onnxruntime.InferenceSession(content_of(f"{root}/of/policy.onnx"))
    (action,) = session.run(["action"], {"observation": seen})
    assert action.tolist() == [0, 1, 0, 1, 0]
    assert runner(observation=seen)["action"].tolist() == action.tolist()
    cards = [read_card(f"{root}/of/policy.{end}") for end in ("onnx", "tflite")]
    assert cards[0] == cards[1] and cards[0]["learner"] == "none"


def test_what_is_there_is_replaced_only_on_request(policy, root):
    cooperative = dice_tf.policies.always_cooperate(GAME, 0)
    places = {
        export_policy: f"{root}/policy",
        export_tflite: f"{root}/policy.tflite",
        export_onnx: f"{root}/policy.onnx",
    }
    for export, path in places.items():
        export(policy, path)
        with pytest.raises(ValueError, match="`path` must be new"):
            export(cooperative, path)
        assert read_card(path)["policy"] == policy.name
        export(cooperative, path, overwrite=True)
        assert read_card(path)["policy"] == cooperative.name


def test_other_folders_are_not_replaced(policy, root):
    with tf.io.gfile.GFile(f"{root}/folder/notes", "w") as file:
        file.write("mine")
    with pytest.raises(ValueError, match="replaces only a SavedModel, but"):
        export_policy(policy, f"{root}/folder", overwrite=True)
    with pytest.raises(ValueError, match="a folder to write.*which is a file"):
        export_policy(policy, f"{root}/folder/notes")
    assert content_of(f"{root}/folder/notes") == b"mine"


def test_an_interrupted_export_leaves_nothing(policy, root, monkeypatch):
    copy = tf.io.gfile.copy

    def failing(source, target, overwrite=False):
        if target.endswith("saved_model.pb"):
            # All else is there, and no SavedModel.
            assert tf.io.gfile.exists(f"{root}/policy/assets/card.json")
            raise tf.errors.ResourceExhaustedError(None, None, "full")
        copy(source, target, overwrite)

    monkeypatch.setattr(tf.io.gfile, "copy", failing)
    with pytest.raises(tf.errors.ResourceExhaustedError):
        export_policy(policy, f"{root}/policy")
    assert not tf.io.gfile.exists(f"{root}/policy")


@pytest.mark.parametrize("end", ["", ".tflite", ".onnx"])
def test_file_systems_that_nobody_knows_are_refused(policy, end):
    export = {"": export_policy, ".tflite": export_tflite}.get(end, export_onnx)
    with pytest.raises(
        ValueError, match=f"knows. Received: path='no://x{end}'"
    ):
        export(policy, f"no://x{end}")
