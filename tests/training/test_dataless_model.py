"""What Keras offers for data, losses and files: refused, with what to do."""

import copy
import functools
import os
import pickle

import keras
import numpy as np
import pytest

import dice_tf
from dice_tf.learners import Naive
from tests.toys import ASYMMETRIC, tabular_policies

DATA = np.ones([4, 5], np.float32)
FILES = "cannot be rebuilt from a file or a configuration: .*`save_weights`"
POLICIES = r"has one policy per player.*objective\.policies\[player_id\]"
VALUES = "ascend the values of their objective"


@functools.cache
def trainer():
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3)
    objective = dice_tf.objectives.ExactObjective(
        game, tabular_policies(game), 0.9
    )
    trainer = dice_tf.Trainer(objective, [Naive(), None])
    trainer.compile("sgd", jit_compile=False)
    return trainer


METHODS = {
    "call": (lambda x: x(DATA), POLICIES),
    "stateless_call": (lambda x: x.stateless_call([], [], DATA), POLICIES),
    "predict": (lambda x: x.predict(DATA), POLICIES),
    "predict_on_batch": (lambda x: x.predict_on_batch(DATA), POLICIES),
    "predict_step": (lambda x: x.predict_step(DATA), POLICIES),
    "train_on_batch": (
        lambda x: x.train_on_batch(DATA, DATA),
        r"`trainer\.fit",
    ),
    "test_on_batch": (lambda x: x.test_on_batch(DATA), r"evaluate\(opponents"),
    "test_step": (lambda x: x.test_step(DATA), r"evaluate\(opponents\)"),
    "compute_loss": (lambda x: x.compute_loss(DATA, DATA, DATA), VALUES),
    "stateless_compute_loss": (
        lambda x: x.stateless_compute_loss([], [], [], x=DATA),
        VALUES,
    ),
    "compute_metrics": (
        lambda x: x.compute_metrics(DATA, DATA, DATA),
        "logs its own metrics",
    ),
    "add_loss": (lambda x: x.add_loss(1.0), VALUES),
    "to_json": (lambda x: x.to_json(), FILES),
    "get_config": (lambda x: x.get_config(), FILES),
    "from_config": (lambda x: type(x).from_config({}), FILES),
    "get_compile_config": (lambda x: x.get_compile_config(), FILES),
    "compile_from_config": (lambda x: x.compile_from_config({}), FILES),
    "clone": (keras.models.clone_model, FILES),
    "pickle": (pickle.dumps, FILES),
    "copy": (copy.copy, FILES),
    "deepcopy": (copy.deepcopy, FILES),
    "quantize": (lambda x: x.quantize("int8"), "must stay floating"),
    "get_state_tree": (lambda x: x.get_state_tree(), "`trainer.take_snapshot"),
    "set_state_tree": (lambda x: x.set_state_tree({}), "`trainer.put_back"),
}


@pytest.mark.parametrize("name", METHODS)
def test_methods_without_a_meaning_say_what_to_do(name):
    call, message = METHODS[name]
    with pytest.raises(NotImplementedError, match=f"(?s){message}"):
        call(trainer())


@pytest.mark.parametrize("name", ["a.keras", "a.h5", "a"])
def test_nothing_is_left_of_a_file_that_cannot_be(name, tmp_path):
    for save in (trainer().save, trainer().export):
        with pytest.raises(
            NotImplementedError, match=r"dice_tf\.export\.export_policy"
        ):
            save(tmp_path / name)
    assert os.listdir(tmp_path) == []


def test_functions_of_keras_that_save_say_what_to_do(tmp_path):
    with pytest.raises(NotImplementedError, match=f"(?s){FILES}"):
        keras.saving.save_model(trainer(), tmp_path / "a.keras")


NO_DATA = "takes no data: its players play"
ARGUMENTS = [
    (lambda x: x.fit(DATA, DATA), "too many positional.*takes no data.*epochs"),
    (lambda x: x.fit(x=DATA, y=DATA), f"'x'. .*{NO_DATA}"),
    (lambda x: x.fit(batch_size=4), "'batch_size'.*`batch_size` of the object"),
    (lambda x: x.fit(shuffle=True), NO_DATA),
    (lambda x: x.fit(sample_weight=DATA), NO_DATA),
    (lambda x: x.fit(class_weight={}), NO_DATA),
    (lambda x: x.fit(validation_data=DATA), "Pass `validation_opponents`"),
    (lambda x: x.fit(validation_split=0.1), "Pass `validation_opponents`"),
    (lambda x: x.fit(validation_steps=1), "Pass `validation_batch_size`"),
    (lambda x: x.fit(epoch=3), "`fit`: got an unexpected .*'epoch'.*epochs="),
    (lambda x: x.compile(loss="mse"), f"'loss'. .*{VALUES}"),
    (lambda x: x.compile("sgd", "mse"), "everything else by keyword"),
    (lambda x: x.compile(metrics=["mse"]), "logs its own metrics"),
    (lambda x: x.compile(weighted_metrics=["mse"]), "logs its own metrics"),
    (lambda x: x.compile(loss_weights=[1.0]), VALUES),
    (lambda x: x.compile(auto_scale_loss=True), VALUES),
    (lambda x: x.evaluate(), "'opponents'.*tit_for_tat"),
    (lambda x: x.evaluate(DATA, DATA), "too many positional.*tit_for_tat"),
    (lambda x: x.evaluate(DATA), "must be a mapping.*tit_for_tat"),
    (lambda x: x.evaluate(x=DATA, y=DATA), NO_DATA),
    (lambda x: x.evaluate(None, sample_weight=DATA), NO_DATA),
    (lambda x: x.evaluate(None, verbose=0), "Nothing is printed"),
    (lambda x: x.evaluate(None, steps=3), "Pass `batch_size`"),
    (lambda x: x.evaluate(None, callbacks=[]), "Pass callbacks to `fit`"),
    (lambda x: x.evaluate(None, return_dict=True), "is always a dictionary"),
]


@pytest.mark.parametrize("call, message", ARGUMENTS)
def test_arguments_of_keras_without_a_meaning_say_what_to_do(call, message):
    with pytest.raises(TypeError, match=f"(?s){message}"):
        call(trainer())


def test_what_has_a_meaning_works_as_in_keras(tmp_path):
    model = trainer()
    made = model.iterations
    model.fit(verbose=0)
    assert model.iterations == made + 1
    model.save_weights(tmp_path / "a.weights.h5")
    model.fit(verbose=0)
    model.load_weights(tmp_path / "a.weights.h5")
    assert model.iterations == made + 1
    returns = model.evaluate({"tit_for_tat": dice_tf.policies.tit_for_tat})
    assert list(returns) == ["player_0/return_against_tit_for_tat"]
    assert [layer.name for layer in model.layers] == ["player_0", "player_1"]
    assert model.get_layer("player_1") is model.players[1]
    assert model.count_params() == sum(x.numpy().size for x in model.weights)


def test_a_trainer_that_is_not_compiled_says_so():
    fresh = dice_tf.Trainer(trainer().objective, [Naive(), None])
    with pytest.raises(ValueError, match=r"You must call `compile\(\)` before"):
        fresh.fit(verbose=0)
    fresh.compile("sgd", jit_compile=False)
    fresh.fit(verbose=0)


# --- Freezing ---------------------------------------------------------------


@pytest.mark.parametrize(
    "freeze",
    [
        lambda x: setattr(x, "trainable", False),
        lambda x: setattr(x.players[0], "trainable", False),
        lambda x: setattr(x.players[1], "trainable", True),
    ],
)
def test_players_are_frozen_when_the_trainer_is_made(freeze):
    model = trainer()
    before = model.get_weights()
    freeze(model)
    with pytest.raises(ValueError, match=r"`None` in the place of learners\["):
        model.fit(verbose=0)
    with pytest.raises(ValueError, match=r"`None` in the place of learners\["):
        model.compile("sgd", jit_compile=False)
    model.trainable = True
    for player, is_learning in zip(model.players, (True, False), strict=True):
        player.trainable = is_learning
    for value, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, expected)
    model.fit(verbose=0)


@pytest.mark.parametrize("player_id", [0, 1])
def test_policies_are_frozen_when_the_trainer_is_made(player_id):
    model = trainer()
    policy = model.objective.policies[player_id]
    policy.trainable = False
    try:
        with pytest.raises(
            ValueError, match=r"other trainable.*`None` as its learner"
        ):
            model.fit(verbose=0)
    finally:
        policy.trainable = True
    model.fit(verbose=0)
