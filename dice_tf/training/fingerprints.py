"""Fingerprints: all that code can read of an object, compared by value.

Two objects with equal fingerprints are indistinguishable to functions of this
library, of Keras and of TensorFlow, apart from names and from the values of
variables. What cannot be compared with certainty has no fingerprint.
"""

import abc
import collections
import functools
import hashlib
import sys
import types
from collections.abc import Iterable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from dice_tf.play.actors import Actor
from dice_tf.policies.attachments import plain_class

# Only functions and classes of these packages are compared by their name. Code
# of any other module may read what no attribute shows.
_KNOWN = (
    "builtins",
    "collections",
    "dice_tf",
    "keras",
    "numpy",
    "tensorflow",
    "tensorflow_probability",
)
_CONTAINERS = (list, dict, set, frozenset)
# What no computation reads: names, back references, and notes on how an object
# came about.
_NAMES = ("name", "_name", "_path", "_parent_path")
_UNREAD = (
    (Actor, ("_checked",)),
    (
        keras.Operation,
        (
            *_NAMES,
            "_call_signature",
            "_inbound_nodes",
            "_lock",
            "_nodes",
            "_outbound_nodes",
            "_tracker",
            "output_names",
        ),
    ),
    (keras.KerasTensor, _NAMES),
    (keras.random.SeedGenerator, _NAMES),
    (keras.Variable, (*_NAMES, "_initializer")),
    (keras.metrics.Metric, (*_NAMES, "_tracker")),
    (
        keras.optimizers.Optimizer,
        (
            *_NAMES,
            "_distribution_strategy",
            # Filled in training, see `_check_no_exclusions`.
            "_exclude_from_weight_decay_cache",
            "_tracker",
            # The numbers of `_trainable_variables`, by their names.
            "_trainable_variables_indices",
        ),
    ),
)
# Attributes that TensorFlow gives to what it saves.
_OF_CHECKPOINTS = "_self_"
# Bit of `type.__flags__`: the class was made by Python code.
_IS_HEAP_TYPE = 1 << 9


class Fingerprint(NamedTuple):
    """What an object is, apart from the values of its variables.

    Attributes:
      key: equal for two objects if nothing but names and the values of
        variables tells them apart. It can be hashed, and holds no variable.
      variables: all variables that can be reached from the object. Those of
        two objects with equal keys correspond to each other in this order.
    """

    key: tuple[Any, ...]
    variables: list[tf.Variable]


class NotComparableError(Exception):
    """An object holds something that is not known by its value."""


def fingerprint(thing: Any) -> Fingerprint:
    """Returns the fingerprint of an object, with all that it refers to.

    The key lists every object once, in the order in which they are reached,
    as its class and its attributes or entries. References are numbers of
    objects in this list, so that shared objects differ from equal ones.

    - Numbers, strings, arrays and constant tensors count by value and dtype;
      the key holds a digest of each array, not its entries.
    - Variables count by shape, dtype and device.
    - Functions and classes of this library, of Keras, TensorFlow,
      TensorFlow Probability and NumPy count by name, closures by what they
      hold. Whether these modules are as they were is up to the caller.
    - Other objects count by all their attributes, private ones included, but
      for names and some that no computation reads.

    Args:
      thing: any object.

    Raises:
      NotComparableError: if a function or class of another module is reached,
        such as a game or layer of a user, or an object of unknown content.
    """
    walk = _Walk()
    walk.reference(thing)
    contents = []
    # The list grows while it is read.
    for found in walk.found:
        contents.append(walk.content(found))
    return Fingerprint(tuple(contents), walk.variables)


class _Walk:
    """Numbers all objects that can be reached, in a fixed order.

    Attributes:
      found: the objects. They live as long as the walk, so that no two of
        them have the same id.
      variables: those of them that are variables.
    """

    def __init__(self) -> None:
        self.found: list[Any] = []
        self.variables: list[tf.Variable] = []
        self._numbers: dict[int, int] = {}

    def reference(self, thing: Any) -> tuple[Any, ...]:
        """Returns what stands for a value or an object inside of another."""
        kind = type(thing)
        if thing is None or thing is Ellipsis or kind is bool:
            return ("constant", repr(thing))
        if kind in (int, str, bytes):
            return (kind.__name__, thing)
        if kind in (float, complex):
            # Tells zeros of both signs apart, and NaN is like NaN.
            return (kind.__name__, repr(thing))
        if isinstance(thing, type):
            return class_name(thing)
        if isinstance(thing, (tf.DType, np.dtype)):
            return (kind.__name__, thing.name)
        if kind in (tf.TensorShape, tf.TensorSpec):
            return (kind.__name__, repr(thing))
        if isinstance(thing, types.ModuleType):
            return ("module", thing.__name__)
        if id(thing) not in self._numbers:
            self._numbers[id(thing)] = len(self.found)
            self.found.append(thing)
        return ("object", self._numbers[id(thing)])

    def content(self, thing: Any) -> tuple[Any, ...]:
        """Returns the class of an object, and all that it holds."""
        if isinstance(thing, keras.initializers.Initializer):
            # The variables have been made.
            return ("initializer",)
        if isinstance(thing, keras.Variable):
            return self._instance(thing)
        if isinstance(thing, (np.ndarray, np.generic, tf.Tensor, tf.Variable)):
            return self._numeric(thing)
        if isinstance(thing, tuple):
            return (class_name(type(thing)), *self._references(thing))
        if isinstance(thing, _CONTAINERS):
            return self._container(thing)
        if isinstance(thing, functools.partial):
            parts = (thing.func, thing.args, thing.keywords, vars(thing))
            return ("partial", *self._references(parts))
        if isinstance(thing, types.MethodType):
            parts = (thing.__func__, thing.__self__)
            return ("method", *self._references(parts))
        if isinstance(thing, types.FunctionType):
            return self._function(thing)
        if isinstance(thing, types.BuiltinFunctionType):
            bound_to = thing.__self__
            if bound_to is None or isinstance(bound_to, types.ModuleType):
                return ("builtin", thing.__module__, thing.__qualname__)
            raise _unknown(thing)
        return self._instance(thing)

    def _references(self, things: Iterable[Any]) -> list[tuple[Any, ...]]:
        return [self.reference(thing) for thing in things]

    def _container(self, container: Any) -> tuple[Any, ...]:
        kind = class_name(type(container))
        if isinstance(container, (set, frozenset)):
            # The order of other entries differs from run to run.
            if not all(type(entry) in (int, str) for entry in container):
                raise _unknown(container)
            return (kind, *sorted(map(repr, container)))
        if isinstance(container, dict):
            default = None
            if isinstance(container, collections.defaultdict):
                default = container.default_factory
            entries = [x for pair in container.items() for x in pair]
            return (kind, *self._references([default, *entries]))
        return (kind, *self._references(container))

    def _numeric(self, array: Any) -> tuple[Any, ...]:
        if isinstance(array, tf.Variable):
            is_plain = isinstance(array.handle, tf.Tensor)
            if not is_plain or not hasattr(array.handle, "numpy"):
                raise _unknown(array)
            self.variables.append(array)
            shape = repr(array.shape)
            notes = (array.trainable, array.aggregation, array.synchronization)
            return ("variable", array.dtype.name, shape, array.device, *notes)
        place = ""
        if isinstance(array, tf.Tensor):
            if not hasattr(array, "numpy") or array.dtype.size == 0:
                raise _unknown(array)
            array, place = array.numpy(), array.device
        if not isinstance(array, (np.ndarray, np.generic)):
            raise _unknown(array)
        if array.dtype.hasobject:
            raise _unknown(array)
        kind = class_name(type(array))
        # Tables of a game may take many megabytes, and keys are kept.
        digest = hashlib.sha256(array.tobytes()).digest()
        return (kind, place, array.dtype.str, array.shape, digest)

    def _function(self, function: Any) -> tuple[Any, ...]:
        name = function.__globals__.get("__name__", "")
        parts = held_by_function(function)
        return ("function", name, function.__code__, *self._references(parts))

    def _instance(self, thing: Any) -> tuple[Any, ...]:
        kind = type(thing)
        held = []
        if isinstance(thing, keras.Operation) and plain_class(thing) != kind:
            # The class is only there to hold something, see `attachments`.
            held = _held_by_class(kind)
            kind = plain_class(thing)
        name = class_name(kind)
        if not all(map(_shows_attributes, kind.__mro__[:-1])):
            raise _unknown(thing)
        if not hasattr(thing, "__dict__"):
            raise _unknown(thing)
        unread = {
            attribute
            for owner, attributes in _UNREAD
            if isinstance(thing, owner)
            for attribute in attributes
        }
        attributes = [
            (attribute, value)
            for attribute, value in sorted(vars(thing).items())
            if attribute not in unread
            and not attribute.startswith(_OF_CHECKPOINTS)
        ]
        if isinstance(thing, keras.optimizers.Optimizer):
            _check_no_exclusions(thing)
        return (
            name,
            *[(key, self.reference(x)) for key, x in [*held, *attributes]],
        )


def held_by_function(function: types.FunctionType) -> list[Any]:
    """Returns the defaults of a function, and what its closure holds.

    Raises:
      NotComparableError: if it reads the names of another module than those of
        the packages that are known, or a cell of its closure is empty.
    """
    # What its `__module__` says may be copied from another function.
    name = function.__globals__.get("__name__", "")
    module = sys.modules.get(name)
    if (
        not _is_known(name)
        or module is None
        or vars(module) is not function.__globals__
    ):
        raise _unknown(function)
    try:
        cells = [cell.cell_contents for cell in function.__closure__ or ()]
    except ValueError:
        # A variable of the function around it has no value.
        raise _unknown(function) from None
    return [function.__defaults__, function.__kwdefaults__, *cells]


def _is_known(module: str) -> bool:
    return module.partition(".")[0] in _KNOWN


def class_name(kind: type) -> tuple[str, str, str]:
    """Returns where a class can be imported from.

    Raises:
      NotComparableError: if that is not a package that is known.
    """
    found = sys.modules.get(kind.__module__)
    for part in kind.__qualname__.split("."):
        found = getattr(found, part, None)
    if found is not kind or not _is_known(kind.__module__):
        raise _unknown(kind)
    return ("class", kind.__module__, kind.__qualname__)


def _shows_attributes(kind: type) -> bool:
    """Returns whether all that an object holds is in its `__dict__`."""
    return (
        bool(kind.__flags__ & _IS_HEAP_TYPE)
        # That of pybind11 makes classes that hold an object of C++.
        and (_is_known(type(kind).__module__) or type(kind) is abc.ABCMeta)
        and not vars(kind).get("__slots__")
    )


def _held_by_class(kind: type) -> list[tuple[str, Any]]:
    made_by_python = ("__dict__", "__weakref__", "__doc__", "__module__")
    return [
        (attribute, value)
        for attribute, value in sorted(vars(kind).items())
        if attribute not in made_by_python
    ]


def _check_no_exclusions(optimizer: keras.optimizers.Optimizer) -> None:
    """Raises if variables are excluded from weight decay, by their names."""
    attributes = dict(vars(optimizer))
    # Keras notes here of each variable whether its weight decays.
    decays = attributes.pop("_exclude_from_weight_decay_cache", {})
    excluded = not all(decays.values()) or any(
        value
        for attribute, value in attributes.items()
        if attribute.lstrip("_").startswith("exclude")
    )
    if excluded:
        raise _unknown(optimizer)


def _unknown(thing: Any) -> NotComparableError:
    # The `repr` of an object of a user may take long, or fail.
    kind = thing if isinstance(thing, type) else type(thing)
    return NotComparableError(
        f"{kind.__module__}.{kind.__qualname__} is not known by its value"
    )
