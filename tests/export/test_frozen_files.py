"""What earlier versions wrote loads and answers, or names who wrote it."""

import json
import pathlib
import shutil
import warnings
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.training.checkpoints import sealed
from tests.export import frozen_files

VERSIONS = sorted((pathlib.Path(__file__).parent / "fixtures").iterdir())
NAMES = ("tabular", "min_gru")

pytestmark = pytest.mark.parametrize(
    "folder", VERSIONS, ids=[folder.name for folder in VERSIONS]
)


@pytest.fixture
def answers(folder):
    text = (folder / frozen_files.ANSWERS).read_text(encoding="utf-8")
    return json.loads(text)


def unpacked(folder, name, tmp_path):
    shutil.unpack_archive(folder / f"{name}.zip", tmp_path / name)
    return tmp_path / name


def assert_same(found, expected):
    """Actions are equal, and numbers nearly so: processors round otherwise."""
    assert found.keys() == expected.keys()
    np.testing.assert_array_equal(found["action"], expected["action"])
    np.testing.assert_allclose(
        found["log_prob"], expected["log_prob"], rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_model_answers(folder, answers, tmp_path, name):
    path = unpacked(folder, name, tmp_path)
    signatures = tf.saved_model.load(path).signatures
    found = frozen_files.answers_of_signatures(signatures)
    assert_same(found, answers[name])
    card = dice_tf.export.read_card(path)
    assert card["versions"] == answers["versions"]


def test_a_saved_model_is_an_opponent(folder, answers, tmp_path):
    path = unpacked(folder, "tabular", tmp_path)
    logits = dice_tf.policies.from_saved_model(path)(tf.eye(5))
    log_odds = tf.constant(answers["tabular.keras"])
    expected = tf.math.log_sigmoid(tf.concat([log_odds, -log_odds], axis=1))
    np.testing.assert_allclose(logits, expected, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_keras_policy_answers(folder, answers, name):
    policy = keras.saving.load_model(folder / f"{name}.keras")
    found = frozen_files.answers_of_model(policy)
    np.testing.assert_allclose(found, answers[f"{name}.keras"], rtol=1e-5)


def restored(path):
    trainer = frozen_files.trainer()
    checkpoint = dice_tf.callbacks.Checkpoint(path, keep=True)
    with warnings.catch_warnings():
        # Another version of TensorFlow continues with a warning.
        warnings.filterwarnings("ignore", message=".*was written by")
        assert checkpoint.restore(trainer) == 2
    return trainer


def test_a_training_continues(folder, answers):
    trainer = restored(folder / frozen_files.CHECKPOINT)
    np.testing.assert_allclose(trainer.curves, answers["curves"], rtol=1e-6)
    trainer.fit(initial_epoch=2, epochs=3, steps_per_epoch=2, verbose=0)
    expected = answers["continued curves"]
    np.testing.assert_allclose(trainer.curves, expected, rtol=1e-4)


# Files that are as if a later version had written them in another form.


def test_a_checkpoint_of_another_form_names_its_writer(folder, tmp_path):
    with zipfile.ZipFile(folder / frozen_files.CHECKPOINT) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    metadata = json.loads(members["metadata.json"])
    metadata["version"] = 99
    metadata["versions"]["dice_tf"] = "9.8.7"
    members["metadata.json"] = json.dumps(metadata).encode()
    (tmp_path / "later").write_bytes(sealed(members))
    with pytest.raises(ValueError, match=r"format 99.*written by.*9\.8\.7"):
        restored(tmp_path / "later")


def test_a_saved_model_of_another_form_names_its_writer(folder, tmp_path):
    path = unpacked(folder, "tabular", tmp_path)
    card = json.loads((path / "assets/card.json").read_text(encoding="utf-8"))
    card["card_version"], card["versions"]["dice_tf"] = 99, "9.8.7"
    (path / "assets/card.json").write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(ValueError, match=r"later version: it was.*'9\.8\.7'"):
        dice_tf.export.read_card(path)
    (path / "saved_model.pb").write_bytes(b"of another form")
    with pytest.raises(ValueError, match=r"be loaded: .*written by.*9\.8\.7"):
        dice_tf.policies.from_saved_model(path)
    (path / "assets/card.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ValueError, match="be loaded") as error:
        dice_tf.policies.from_saved_model(path)
    assert "written by" not in str(error.value)


def test_a_recurrent_saved_model_names_its_writer(folder, answers, tmp_path):
    path = unpacked(folder, "min_gru", tmp_path)
    version = answers["versions"]["dice_tf"]
    with pytest.raises(
        ValueError, match=f"must hold an.*written by.*{version}"
    ):
        dice_tf.policies.from_saved_model(path)
