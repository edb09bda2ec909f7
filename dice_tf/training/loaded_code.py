"""Whether the code that a trainer runs is still what was loaded."""

import functools
import sys
import threading
import types
from collections.abc import Iterator
from typing import Any, NamedTuple, get_origin

import tensorflow as tf

from dice_tf.training.fingerprints import (
    NotComparableError,
    class_name,
    held_by_function,
)

# The packages whose code runs when a step is traced. Of TensorFlow, which has
# a hundred thousand functions, it is what the public API names.
_WATCHED = ("dice_tf", "keras", "tensorflow._api", "tensorflow_probability")
_CLASSES = (tf.Tensor, tf.Variable)
# To a class that is documented or copied.
_ADDED_BY_PYTHON = ("__annotations__", "__slotnames__")
# What else could be replaced inside of a value.
_INSIDE = {
    types.FunctionType: ("__code__", "__defaults__", "__kwdefaults__"),
    property: ("fget",),
    staticmethod: ("__func__",),
    classmethod: ("__func__",),
    functools.cached_property: ("func",),
}


class _Contents(NamedTuple):
    """What a module or class holds.

    Attributes:
      parts: all names, and what they stand for.
      entries: entries of those parts that are lists or dictionaries.
    """

    parts: list[Any]
    entries: list[Any]


class LoadedCode:
    """Remembers functions, classes, methods and constants of modules.

    It tells whether one of them was replaced, as tests do to watch a function,
    and users to change it. What was imported since is added.

    It does not see what was replaced before it looked at a module for the first
    time, private functions of TensorFlow, cells of closures, attributes of
    objects that modules hold, and what is inside of nested containers. Code
    that is set as the `__code__` of a function counts as that of its module.

    Attributes:
      is_foreign: whether code that was there at the first look had been
        replaced, at the last look, by code that is not of these packages. That
        code can read whatever it likes, so that nothing shows what it does.
    """

    def __init__(self) -> None:
        self.is_foreign = False
        self._first: dict[str, _Contents] = {}
        self._last: dict[str, _Contents] = {}

    def has_changed(self) -> bool:
        """Returns whether something was replaced since the last call."""
        changed = False
        self.is_foreign = False
        for name, parts in _watched():
            now = _Contents(parts, list(_entries(parts)))
            first = self._first.setdefault(name, now)
            if _are_same(first, now):
                now = first
            elif _has_foreign_parts(first, now):
                self.is_foreign = True
            changed |= not _are_same(self._last.get(name, now), now)
            self._last[name] = now
        return changed


def _watched() -> Iterator[tuple[str, list[Any]]]:
    """Yields the names of modules and classes, and the parts of each."""
    for name, module in list(sys.modules.items()):
        is_watched = name == "tensorflow" or any(
            name == package or name.startswith(f"{package}.")
            for package in _WATCHED
        )
        if is_watched and isinstance(module, types.ModuleType):
            yield name, list(_parts_of_module(module))
    for kind in _CLASSES:
        yield f"class {kind.__name__}", list(_parts_of_class(kind))


def _parts_of_module(module: types.ModuleType) -> Iterator[Any]:
    for name, value in list(vars(module).items()):
        # Importing a module adds its name to its package, a warning adds a
        # register, and `keras.backend.clear_session` replaces what Keras keeps
        # for each thread.
        is_kept = isinstance(value, (types.ModuleType, threading.local))
        if is_kept or name.startswith("__"):
            continue
        yield name
        yield from _parts_of(value)
        if isinstance(value, type) and value.__module__ == module.__name__:
            yield from _parts_of_class(value)


def _parts_of_class(kind: type) -> Iterator[Any]:
    for name, value in list(vars(kind).items()):
        if name in _ADDED_BY_PYTHON:
            continue
        yield name
        yield from _parts_of(value)
        is_class = isinstance(value, type)
        if is_class and value.__qualname__ == f"{kind.__qualname__}.{name}":
            yield from _parts_of_class(value)


def _parts_of(value: Any) -> Iterator[Any]:
    """Yields a value, and what else could be replaced inside of it."""
    yield value
    for name in _INSIDE.get(type(value), ()):
        yield from _parts_of(getattr(value, name))


def _entries(parts: list[Any]) -> Iterator[Any]:
    for part in parts:
        if type(part) is list:
            yield from part
        elif type(part) is dict:
            yield from part.values()


def _are_same(before: _Contents, after: _Contents) -> bool:
    """Returns whether the same objects stand in the same places."""
    return before is after or all(
        len(ones) == len(others)
        and all(
            one is another for one, another in zip(ones, others, strict=True)
        )
        for ones, others in zip(before, after, strict=True)
    )


def _has_foreign_parts(first: _Contents, now: _Contents) -> bool:
    # Entries do not count: users register their classes with Keras.
    seen = set(map(id, first.parts))
    return any(_is_foreign(part) for part in now.parts if id(part) not in seen)


def _is_foreign(part: Any) -> bool:
    """Returns whether a part is code that is not of a known package."""
    reached = [part]
    try:
        # The list grows while it is read.
        for thing in reached:
            if isinstance(thing, types.FunctionType):
                seen = set(map(id, reached))
                held = held_by_function(thing)
                reached += [x for x in held if id(x) not in seen]
            elif isinstance(thing, type):
                class_name(thing)
            elif _may_be_code(thing):
                return True
    except NotComparableError:
        return True
    return False


def _may_be_code(thing: Any) -> bool:
    # The functions inside of wrappers are parts of their own.
    is_wrapper = type(thing) in _INSIDE
    is_annotation = get_origin(thing) is not None
    is_code = callable(thing) or hasattr(type(thing), "__get__")
    return is_code and not is_wrapper and not is_annotation
