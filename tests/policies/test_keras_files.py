"""Policies come back from `.keras` files, without custom objects."""

import copy
import json
import shutil

import keras
import numpy as np
import pytest

import dice_tf
from dice_tf.policies.saved_models import SavedPolicy
from tests.hostile_files import hostile_policy

GAME = dice_tf.games.iterated_prisoners_dilemma(3)
POLICIES = {
    "tabular": dice_tf.policies.tabular,
    "mlp": dice_tf.policies.mlp,
    "tit_for_tat": dice_tf.policies.tit_for_tat,
    "random": dice_tf.policies.random,
}


@pytest.mark.parametrize("kind", POLICIES)
def test_a_policy_comes_back_as_it_was(kind, tmp_path):
    policy = POLICIES[kind](GAME, 1)
    policy.save(tmp_path / "policy.keras")
    loaded = keras.saving.load_model(tmp_path / "policy.keras")
    assert loaded.name == policy.name
    assert len(loaded.trainable_variables) == len(policy.trainable_variables)
    np.testing.assert_array_equal(loaded(np.eye(5)), policy(np.eye(5)))


def test_an_exported_policy_comes_back_where_its_folder_is(tmp_path):
    folder, path = tmp_path / "exported", tmp_path / "policy.keras"
    dice_tf.export.export_policy(dice_tf.policies.tabular(GAME, 0), folder)
    policy = dice_tf.policies.from_saved_model(folder)
    policy.save(path)
    loaded = keras.saving.load_model(path, safe_mode=False)
    np.testing.assert_array_equal(loaded(np.eye(5)), policy(np.eye(5)))
    shutil.rmtree(folder)
    with pytest.raises(Exception, match="where there is nothing"):
        keras.saving.load_model(path, safe_mode=False)


REFUSED = r"names the SavedModel '.*hostile', which is a program.*safe_mode=F"


def test_a_file_does_not_name_a_program_in_safe_mode(tmp_path):
    policy, mark = hostile_policy(tmp_path)
    policy.save(tmp_path / "policy.keras")
    policy.save(tmp_path / "policy.h5")
    layer = policy.get_layer("logits")
    config = json.loads(json.dumps(layer.get_config()))
    serialized = json.loads(
        json.dumps(keras.saving.serialize_keras_object(layer))
    )
    for load in (
        lambda: keras.saving.load_model(tmp_path / "policy.keras"),
        lambda: keras.saving.load_model(
            tmp_path / "policy.keras", safe_mode=True
        ),
        lambda: keras.saving.load_model(tmp_path / "policy.h5"),
        lambda: keras.models.model_from_json(policy.to_json()),
        lambda: keras.saving.deserialize_keras_object(serialized),
        lambda: SavedPolicy.from_config(config),
    ):
        with pytest.raises(ValueError, match=REFUSED):
            load()
    assert not mark.exists()
    keras.saving.load_model(tmp_path / "policy.keras", safe_mode=False)
    assert mark.exists()


def test_copies_in_the_process_do_not_load_it_again(tmp_path):
    folder = tmp_path / "exported"
    dice_tf.export.export_policy(dice_tf.policies.tabular(GAME, 0), folder)
    policy = dice_tf.policies.from_saved_model(folder)
    shutil.rmtree(folder)
    layer = policy.get_layer("logits")
    for clone in (
        keras.models.clone_model(policy),
        keras.Model.from_config(policy.get_config()),
        type(policy).from_config(copy.deepcopy(policy.get_config())),
    ):
        np.testing.assert_array_equal(clone(np.eye(5)), policy(np.eye(5)))
        assert clone.get_layer("logits") is not layer
