"""Policies come back from `.keras` files, without custom objects."""

import shutil

import keras
import numpy as np
import pytest

import dice_tf

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
    loaded = keras.saving.load_model(path)
    np.testing.assert_array_equal(loaded(np.eye(5)), policy(np.eye(5)))
    shutil.rmtree(folder)
    with pytest.raises(Exception, match="where there is nothing"):
        keras.saving.load_model(path)
