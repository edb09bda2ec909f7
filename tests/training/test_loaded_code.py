"""Whether functions of modules were replaced is seen."""

import functools
import sys
import types
from unittest import mock

import keras
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import dice_tf
from dice_tf.kernels import philox
from dice_tf.training import programs
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
        (tf, "stack", replacement),
        (tf.Tensor, "__mul__", replacement),
        (tf.Variable, "assign", replacement),
        (tfp.distributions.Categorical, "_log_prob", replacement),
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


class Wrapping:
    """What has functions inside."""

    @property
    def of_property(self):
        return 1

    @functools.cached_property
    def of_cached_property(self):
        return 1

    @staticmethod
    def of_static_method():
        return 1

    @classmethod
    def of_class_method(cls):
        return 1

    class Inner:
        def method(self):
            return 1


@pytest.mark.parametrize(
    "function",
    [
        Wrapping.of_property.fget,
        vars(Wrapping)["of_cached_property"].func,
        Wrapping.of_static_method,
        Wrapping.of_class_method.__func__,
        Wrapping.Inner.method,
    ],
    ids=lambda function: function.__qualname__,
)
def test_code_inside_of_wrappers_and_classes_is_seen(monkeypatch, function):
    module = types.ModuleType("dice_tf.made_for_a_test")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(Wrapping, "__module__", module.__name__)
    module.Wrapping = Wrapping
    code = LoadedCode()
    assert not code.has_changed()
    monkeypatch.setattr(function, "__code__", replacement.__code__)
    assert code.has_changed()


@pytest.mark.parametrize(
    "value",
    [
        replacement,
        lambda self: None,
        functools.partial(replacement),
        functools.wraps(dice_tf.learners.Naive.step)(lambda *x: x),
        mock.MagicMock(),
        property(replacement),
        dice_tf.learners.LOLADiCE().step,
        Wrapping,
    ],
    ids=lambda value: type(value).__name__,
)
def test_code_of_a_user_is_foreign_until_it_is_put_back(
    code, monkeypatch, value
):
    for owner, name in [
        (dice_tf.learners.Naive, "step"),
        (dice_tf.learners.Naive, "added"),
        (tf, "stack"),
        (tfp.distributions.Categorical, "_log_prob"),
    ]:
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, value, raising=False)
            for _ in range(2):
                code.has_changed()
                assert code.is_foreign
        code.has_changed()
        assert not code.is_foreign


@pytest.mark.parametrize(
    ("owner", "name", "value"),
    [
        (
            dice_tf.learners.Naive,
            "step",
            dice_tf.learners.LOLADiCE.step,
        ),
        (keras.activations, "tanh", keras.activations.relu),
        (dice_tf.kernels.draws, "_MANY_NUMBERS", 7),
    ],
    ids=["method", "function", "number"],
)
def test_code_of_the_library_is_not_foreign(
    code, monkeypatch, owner, name, value
):
    monkeypatch.setattr(owner, name, value)
    assert code.has_changed()
    assert not code.is_foreign


def test_classes_that_are_registered_with_keras_are_not_foreign(
    code, monkeypatch
):
    registered = keras.saving.get_custom_objects()
    monkeypatch.setitem(registered, "Wrapping", Wrapping)
    code.has_changed()
    assert not code.is_foreign


def test_importing_this_library_makes_nothing_foreign():
    """What is imported, or defined, after the first look."""
    programs.PROGRAMS._code.has_changed()
    assert not programs.PROGRAMS._code.is_foreign


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
