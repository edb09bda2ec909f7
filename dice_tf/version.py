"""The version of dice_tf, and earlier names that a later version removes.

What a deprecation promises is in `docs/compatibility.md`. Warnings are
`FutureWarning`s. Python hides a `DeprecationWarning` unless code of `__main__`
causes it, so that a user whose learners stand in a module would never see it.
"""

import functools
import importlib
import inspect
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

__version__ = "0.1.0"

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def renamed_arguments(
    new_names: Mapping[str, str], removed_in: str
) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """Decorates a function that still takes arguments by their earlier names.

    It is for functions, methods and `__init__`. An earlier name passes its
    value on and warns. Help and the reference show it as deprecated, and the
    signature does not show it.

    Args:
      new_names: the new name by each earlier one.
      removed_in: the version that no longer takes the earlier names.

    Raises:
      ValueError: if that version has come, or if the function does not take
        the new names only.

    Example:
      >>> import warnings
      >>> from dice_tf.version import renamed_arguments
      >>> @renamed_arguments({"steps": "num_steps"}, removed_in="99.0.0")
      ... def walk(num_steps):
      ...     return num_steps
      >>> with warnings.catch_warnings():
      ...     warnings.simplefilter("ignore", FutureWarning)
      ...     walk(steps=3)
      3
    """
    _check_is_to_come(removed_in)

    def decorate(
        function: Callable[Parameters, Result],
    ) -> Callable[Parameters, Result]:
        signature = inspect.signature(function)
        _check_takes(function, signature, new_names)

        @functools.wraps(function)
        def renaming(
            *args: Parameters.args, **kwargs: Parameters.kwargs
        ) -> Result:
            given = [name for name in new_names if name in kwargs]
            # By position: an argument that is given twice is found below.
            taken = signature.bind_partial(*args).arguments if given else {}
            for name in given:
                new_name = new_names[name]
                if new_name in taken or new_name in kwargs:
                    raise TypeError(
                        f"{function.__qualname__} takes `{new_name}` or its "
                        f"earlier name, `{name}`. Received both."
                    )
                kwargs[new_name] = kwargs.pop(name)
                place = f"`{name}` of {function.__qualname__}"
                _warn(place, new_name, removed_in)
            return function(*args, **kwargs)

        # Keras asks for the arguments of layers without following `wraps`.
        vars(renaming)["__signature__"] = signature
        notes = [
            f"Deprecated: `{name}` is the earlier name of `{new_name}`, and "
            f"goes in version {removed_in}."
            for name, new_name in new_names.items()
        ]
        text = inspect.getdoc(function) or ""
        renaming.__doc__ = "\n\n".join(filter(None, [text, *notes]))
        return renaming

    return decorate


def renamed_objects(
    module: str, addresses: Mapping[str, str], removed_in: str
) -> Callable[[str], Any]:
    """Returns the `__getattr__` of a module that keeps earlier names.

    What is imported by an earlier name, with a warning, is the object itself:
    classes keep their instances and subclasses. `__all__` holds the new names
    only.

    Args:
      module: `__name__` of the module.
      addresses: by each earlier name of a function or class, where it is now,
        such as `"dice_tf.games.CoinGame"`.
      removed_in: the version that no longer has the earlier names.

    Raises:
      ValueError: if that version has come.

    Example:
      >>> from dice_tf.version import renamed_objects
      >>> __getattr__ = renamed_objects(
      ...     "dice_tf.games", {"Coins": "dice_tf.games.CoinGame"}, "99.0.0"
      ... )
    """
    _check_is_to_come(removed_in)

    def find(name: str) -> Any:
        if name not in addresses:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        home, _, new_name = addresses[name].rpartition(".")
        _warn(f"`{module}.{name}`", addresses[name], removed_in)
        return getattr(importlib.import_module(home), new_name)

    return find


def _warn(what: str, new_name: str, removed_in: str) -> None:
    """Warns at the line that calls what calls this."""
    warnings.warn(
        f"{what} is deprecated and goes in dice_tf {removed_in}. Use "
        f"`{new_name}`.",
        FutureWarning,
        stacklevel=3,
    )


def _check_is_to_come(removed_in: str) -> None:
    """Raises if a deprecated name has outlived its time."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", removed_in):
        raise ValueError(
            "`removed_in` must be a version, such as '1.0.0'. Received: "
            f"removed_in={removed_in!r}."
        )
    if _numbers(removed_in) <= _numbers(__version__):
        raise ValueError(
            f"This is version {__version__}: remove what goes in {removed_in}."
        )


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)[:3]]


def _check_takes(
    function: Callable[..., Any],
    signature: inspect.Signature,
    new_names: Mapping[str, str],
) -> None:
    """Raises if a function does not take the new names only."""
    for name, new_name in new_names.items():
        taken = signature.parameters.keys()
        if new_name not in taken or name in taken:
            raise ValueError(
                f"{function.__qualname__} must take `{new_name}`, and not "
                f"`{name}`. It takes {signature}."
            )
