"""Whether functions of modules were replaced is seen."""

import sys
import types

import keras
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.kernels import philox
from dice_tf.training.loaded_code import LoadedCode


@pytest.fixture
def code():
    code = LoadedCode()
    assert not code.has_changed()
    return code


def replacement(*arguments, **options):
    return arguments, options


@pytest.mark.parametrize(
    ("owner", "name", "value"),
    [
        (dice_tf.learners.LOLADiCE, "step", replacement),
        (dice_tf.learners.Naive, "new", replacement),
        (dice_tf.learners.lola_dice, "unroll", replacement),
        (dice_tf.kernels.draws, "_MANY_NUMBERS", 7),
        (dice_tf.objectives.DiCEObjective, "return_scale", 2.0),
        (dice_tf.training.iteration, "global_norm", replacement),
        (keras.layers.Dense, "call", replacement),
        (keras.optimizers.Adam, "update_step", replacement),
        (keras.src.activations.activations, "tanh", replacement),
        (tf.math, "exp", replacement),
        (dice_tf.learners.unrolling.unroll, "__kwdefaults__", {}),
        (dice_tf.kernels.philox.count_blocks, "__code__", replacement.__code__),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_what_is_replaced_is_seen_once_and_when_it_is_put_back(
    code, monkeypatch, owner, name, value
):
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, value, raising=False)
        assert code.has_changed()
        assert not code.has_changed()
    assert code.has_changed()
    assert not code.has_changed()


def test_entries_of_a_list_are_seen(code):
    multipliers = philox._MULTIPLIERS
    before = list(multipliers)
    try:
        multipliers.reverse()
        assert code.has_changed()
    finally:
        multipliers[:] = before


def test_training_and_importing_change_nothing(code, monkeypatch):
    keras.backend.clear_session()
    assert not code.has_changed()
    module = types.ModuleType("dice_tf.made_for_a_test")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(dice_tf, "made_for_a_test", module, raising=False)
    assert not code.has_changed()
    module.function = replacement
    assert code.has_changed()
