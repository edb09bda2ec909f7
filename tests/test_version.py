"""Earlier names go on working, with a warning."""

import importlib
import inspect
import pathlib
import warnings

import keras
import numpy as np
import pytest

from dice_tf import version
from dice_tf.version import renamed_arguments, renamed_objects

LATER = "999.0.0"


@renamed_arguments(
    {"steps": "num_steps", "rate": "learning_rate"}, removed_in=LATER
)
def walk(num_steps: int, *, learning_rate: float = 0.5) -> float:
    """Returns how far a walk goes.

    Args:
      num_steps: number of steps.
      learning_rate: length of each.
    """
    return num_steps * learning_rate


class Walker:
    """Walks.

    Args:
      num_steps: number of steps.
    """

    @renamed_arguments({"steps": "num_steps"}, removed_in=LATER)
    def __init__(self, num_steps: int = 1) -> None:
        self.num_steps = num_steps


def test_new_names_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert walk(3) == walk(num_steps=3) == 1.5
        assert walk(3, learning_rate=2.0) == 6.0
        assert Walker(4).num_steps == 4


def test_an_earlier_name_passes_its_value_on_and_warns_where_it_stands():
    with pytest.warns(FutureWarning) as caught:
        assert walk(steps=3, rate=2.0) == 6.0
    assert [str(warning.message) for warning in caught] == [
        "`steps` of walk is deprecated and goes in dice_tf 999.0.0. Use "
        "`num_steps`.",
        "`rate` of walk is deprecated and goes in dice_tf 999.0.0. Use "
        "`learning_rate`.",
    ]
    assert {warning.filename for warning in caught} == {__file__}


def test_an_earlier_name_of_an_argument_of_a_class_works():
    with pytest.warns(FutureWarning, match="`steps` of Walker.__init__ is dep"):
        assert Walker(steps=4).num_steps == 4


def test_a_user_sees_the_warning_in_a_module_by_the_default_filters():
    code = compile("walk(steps=3)", "module_of_a_user.py", "exec")
    with warnings.catch_warnings(record=True) as caught:
        warnings.resetwarnings()
        # What Python does without flags, for the kinds that matter here.
        warnings.filterwarnings("default", module="__main__")
        warnings.simplefilter("ignore", DeprecationWarning, append=True)
        exec(code, {"walk": walk, "__name__": "module_of_a_user"})
    (warning,) = caught
    assert warning.filename == "module_of_a_user.py"


@pytest.mark.parametrize(
    ("args", "kwargs"), [((), {"num_steps": 3}), ((3,), {})]
)
def test_both_names_of_an_argument_are_refused(args, kwargs):
    expected = "walk takes `num_steps` or its earlier name, `steps`. Rec"
    with pytest.raises(TypeError, match=expected):
        walk(*args, **kwargs, steps=3)


def test_other_names_are_refused_as_by_python():
    with pytest.raises(TypeError, match="unexpected keyword argument 'stepz'"):
        walk(stepz=3)


def test_help_says_what_is_deprecated_and_the_signature_is_the_new_one():
    assert list(inspect.signature(walk).parameters) == [
        "num_steps",
        "learning_rate",
    ]
    first, *_, steps, rate = inspect.getdoc(walk).split("\n\n")
    assert first == "Returns how far a walk goes."
    assert steps == (
        "Deprecated: `steps` is the earlier name of `num_steps`, and goes in "
        "version 999.0.0."
    )
    assert "`rate` is the earlier name of `learning_rate`" in rate


def test_a_function_without_docstring_gets_one():
    @renamed_arguments({"a": "b"}, removed_in=LATER)
    def undocumented(b):
        return b

    assert undocumented.__doc__.startswith("Deprecated: `a` is the earlier")


def test_layers_read_configurations_with_earlier_names():
    class Scale(keras.layers.Layer):
        @renamed_arguments({"by": "factor"}, removed_in=LATER)
        def __init__(self, factor, **kwargs):
            super().__init__(**kwargs)
            self.factor = factor

        def call(self, inputs):
            return inputs * self.factor

        def get_config(self):
            return {**super().get_config(), "factor": self.factor}

    config = Scale(3.0).get_config()
    config["by"] = config.pop("factor")
    with pytest.warns(FutureWarning, match="`by` of .*Scale.__init__ is depr"):
        layer = Scale.from_config(config)
    np.testing.assert_array_equal(layer(np.ones([2])), [3.0, 3.0])


@pytest.mark.parametrize("names", [{"a": "c"}, {"b": "b"}, {"b": "a"}])
def test_names_that_a_function_does_not_take_are_refused(names):
    with pytest.raises(ValueError, match=r"must take `\w`, and not `\w`\. It"):

        @renamed_arguments(names, removed_in=LATER)
        def function(a, b):
            return a, b


@pytest.fixture
def package(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package that keeps an earlier name of a class and of a function."""
    folder = tmp_path / "package_of_toys"
    folder.mkdir()
    (folder / "parts.py").write_text(
        "class Top: ...\ndef spin(): return 'spins'\n"
    )
    (folder / "__init__.py").write_text(
        "from dice_tf.version import renamed_objects\n"
        "from package_of_toys.parts import Top, spin\n"
        "__all__ = ['Top', 'spin']\n"
        "__getattr__ = renamed_objects(\n"
        "    'package_of_toys',\n"
        "    {'Peg': 'package_of_toys.Top', 'turn': 'package_of_toys.spin'},\n"
        f"    removed_in={LATER!r},\n"
        ")\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return "package_of_toys"


def test_an_earlier_name_of_an_object_is_the_object(package):
    toys = importlib.import_module(package)
    with pytest.warns(
        FutureWarning,
        match=r"`package_of_toys\.Peg` is deprecated and goes in dice_tf "
        r"999\.0\.0\. Use `package_of_toys\.Top`\.",
    ) as caught:
        assert toys.Peg is toys.Top
    assert [warning.filename for warning in caught] == [__file__]
    with pytest.warns(FutureWarning, match=r"Use `package_of_toys\.spin`"):
        from package_of_toys import turn
    assert turn() == "spins"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        names = {}
        exec("from package_of_toys import *", names)
    assert {"Top", "spin"} <= names.keys() and "Peg" not in names


def test_a_name_that_never_was_is_missing(package):
    toys = importlib.import_module(package)
    with pytest.raises(AttributeError, match="'package_of_toys' has no attri"):
        _ = toys.Ball


def test_no_name_outlives_its_time(monkeypatch):
    monkeypatch.setattr(version, "__version__", "0.10.0rc1")
    renamed_objects("toys", {}, removed_in="0.11.0")
    for removed_in in ("0.10.0", "0.9.0"):
        expected = (
            f"This is version 0.10.0rc1: remove what goes in {removed_in}"
        )
        with pytest.raises(ValueError, match=expected):
            renamed_objects("toys", {}, removed_in=removed_in)
        with pytest.raises(ValueError, match=expected):
            renamed_arguments({}, removed_in=removed_in)


@pytest.mark.parametrize("removed_in", ["soon", "1", "1.0", "v1.0.0"])
def test_what_is_not_a_version_is_refused(removed_in):
    with pytest.raises(
        ValueError, match="`removed_in` must be a version, such"
    ):
        renamed_arguments({}, removed_in=removed_in)
