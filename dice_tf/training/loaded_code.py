"""Whether the code that a trainer runs is still what was loaded."""

import sys
import threading
import types
from collections.abc import Iterator
from typing import Any

# The packages whose code runs when a step is traced. Of TensorFlow, which has
# a hundred thousand functions, it is what the public API names.
_WATCHED = ("dice_tf", "keras", "tensorflow._api")
# To a class that is documented or copied.
_ADDED_BY_PYTHON = ("__annotations__", "__slotnames__")
_FUNCTION_PARTS = ("__code__", "__defaults__", "__kwdefaults__")


class LoadedCode:
    """Remembers functions, classes, methods and constants of modules.

    It tells whether one of them was replaced, as tests do to watch a function,
    and users to change it. What was imported since is added.
    """

    def __init__(self):
        self._seen: dict[str, list[Any]] = {}

    def has_changed(self) -> bool:
        """Returns whether something was replaced since the last call."""
        now = {
            name: list(_contents(module))
            for name, module in list(sys.modules.items())
            if _is_watched(name) and isinstance(module, types.ModuleType)
        }
        changed = any(
            not _are_same(self._seen[name], contents)
            for name, contents in now.items()
            if name in self._seen
        )
        self._seen = now
        return changed


def _is_watched(name: str) -> bool:
    return any(
        name == package or name.startswith(f"{package}.")
        for package in _WATCHED
    )


def _contents(module: types.ModuleType) -> Iterator[Any]:
    """Yields all names of a module, and what they stand for."""
    for name, value in list(vars(module).items()):
        # Importing a module adds its name to its package, a warning adds a
        # register, and `keras.backend.clear_session` replaces what Keras keeps
        # for each thread.
        is_kept = isinstance(value, (types.ModuleType, threading.local))
        if is_kept or name.startswith("__"):
            continue
        yield name
        yield from _parts(value)
        if isinstance(value, type) and value.__module__ == module.__name__:
            for attribute, held in list(vars(value).items()):
                if attribute not in _ADDED_BY_PYTHON:
                    yield attribute
                    yield from _parts(held)


def _parts(value: Any) -> Iterator[Any]:
    """Yields a value, and what else could be replaced inside of it."""
    yield value
    if isinstance(value, types.FunctionType):
        for name in _FUNCTION_PARTS:
            yield getattr(value, name)
    elif type(value) is list:
        yield from value
    elif type(value) is dict:
        yield from value.values()


def _are_same(before: list[Any], after: list[Any]) -> bool:
    """Returns whether two lists hold the same objects."""
    return len(before) == len(after) and all(
        one is another for one, another in zip(before, after, strict=True)
    )
