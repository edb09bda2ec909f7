"""Every public function of the library, with arguments that it takes."""

import functools
import inspect
import types
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatch
from typing import Any, NamedTuple

import dice_tf
from benchmarks.public_names import public_names
from benchmarks.valid_arguments import INSTANCES, SPECIAL, VALID

# Public methods that only the library or Keras calls, and why they are left
# out. Patterns of names.
NOT_CALLED = {
    "Trainer.load_own_variables": "Keras calls it",
    "Trainer.load_weights": "as of Keras",
    "Trainer.make_train_function": "Keras calls it",
    "Trainer.save_own_variables": "Keras calls it",
    "Trainer.save_weights": "as of Keras",
    "Trainer.set_weights": "as of Keras",
    "Trainer.summary": "as of Keras",
    "Trainer.train_step": "Keras calls it, and it reads nothing",
    "callbacks.*.on_*": "Keras calls them",
    "layers.*.build": "Keras calls it",
    "layers.*.call": "Keras calls it",
    "layers.*.from_config": "Keras calls it",
    "layers.*.over_time": "called by a model in a seat, as `call` is",
    "learners.*.combine": "called by `step`, which checks",
    "learners.*.credit": "called by `step`, which checks",
    "learners.*.direction": "called by `step`, which checks",
    "learners.*.move": "called by `step`, which checks",
    "learners.*.terms_of": "called by `step`, which checks",
    "learners.*.with_entropy": "called by a trainer, which checks",
    "partners.*.advanced": "called by `AgainstPartners.step`, which checks",
    "partners.*.drawn": "called by `AgainstPartners.step`, which checks",
    "partners.*.params_of": "called by `AgainstPartners.step`, which checks",
    "partners.*.seated": "called by `AgainstPartners.step`, which checks",
}


class PublicCall(NamedTuple):
    """A public function, constructor or method.

    Attributes:
      name: dotted, below `dice_tf`.
      function: makes what is called, with an object of its own for a method.
      parameters: the names of its arguments.
      arguments: makes valid arguments by name: all that have no default.
    """

    name: str
    function: Callable[[], Callable]
    parameters: tuple[str, ...]
    arguments: Callable[[], dict[str, Any]]


@functools.cache
def public_calls() -> Mapping[str, PublicCall]:
    """Returns all that is public and takes arguments, by name."""
    found = {}
    for name, value in _public_objects():
        if not hasattr(value, "_fields") and not inspect.isabstract(value):
            found[name] = _call(name, value, lambda value=value: value)
        if inspect.isclass(value):
            found |= {call.name: call for call in _methods(name, value)}
    calls = {
        name: call
        for name, call in sorted(found.items())
        if call.parameters
        and not any(fnmatch(name, pattern) for pattern in NOT_CALLED)
    }
    return types.MappingProxyType(calls)


def all_names() -> list[str]:
    """Returns the names of all public functions, constructors and methods."""
    names = []
    for name, value in _public_objects():
        names.append(name)
        if inspect.isclass(value):
            names += [call.name for call in _methods(name, value)]
    return names


def _public_objects() -> Iterator[tuple[str, Any]]:
    """Yields what is called, once each, with its shortest dotted name."""
    seen: set[int] = set()
    for name, value in public_names():
        if isinstance(value, types.ModuleType | types.UnionType):
            continue
        if callable(value) and id(value) not in seen:
            seen.add(id(value))
            yield name.removeprefix("dice_tf."), value


def _methods(name: str, value: type) -> Iterator[PublicCall]:
    """Yields the methods that a class itself defines."""
    fields = getattr(value, "_fields", ())
    for key, member in vars(value).items():
        is_public = key == "__call__" or not key.startswith("_")
        if not is_public or key in fields or not inspect.isroutine(member):
            continue
        method = getattr(value, key)
        if getattr(method, "__isabstractmethod__", False):
            continue

        def bound(name: str = name, key: str = key) -> Callable:
            return getattr(_instance(name, key), key)

        takes_self = inspect.isfunction(member)
        yield _call(f"{name}.{key}", method, bound, int(takes_self))


def _call(
    name: str, function: Callable, made: Callable, num_skipped: int = 0
) -> PublicCall:
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = list(inspect.signature(function).parameters.values())
    named = [
        parameter
        for parameter in parameters[num_skipped:]
        if parameter.kind not in kinds
    ]
    keys = {parameter.name for parameter in named}
    takes_more = any(
        parameter.kind is inspect.Parameter.VAR_KEYWORD
        for parameter in parameters
    )
    given = {
        key: make
        for pattern, special in SPECIAL.items()
        if fnmatch(name, pattern)
        for key, make in special.items()
        if key in keys or takes_more
    }

    def arguments() -> dict[str, Any]:
        made = {key: make() for key, make in given.items()}
        for parameter in named:
            if parameter.default is inspect.Parameter.empty:
                key = parameter.name
                made[key] = made[key] if key in made else VALID[key]()
        return made

    order = dict.fromkeys([*(parameter.name for parameter in named), *given])
    return PublicCall(name, made, tuple(order), arguments)


def _instance(name: str, method: str) -> Any:
    """Returns an object of a public class, to call a method of."""
    for key in (f"{name}.{method}", name):
        if key in INSTANCES:
            return INSTANCES[key]()
    value = functools.reduce(getattr, name.split("."), dice_tf)
    return value(**_call(name, value, lambda: value).arguments())
