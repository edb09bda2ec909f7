"""What a policy carries beside its layers, in copies of it, too.

An attached head and the mask of a seat are Python objects, no part of Keras'
configuration of a model, from which `copy`, `pickle` and
`keras.models.clone_model` make their copies. But all of these keep the class:
so a policy that carries something is given a subclass of its class, with the
same name, that holds it. A `.keras` file names the class, and brings back a
model that carries nothing; so does `clone_model` for a model class that is
registered with Keras, as it looks for the class by its registered name.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras

_ATTACHED = "_dice_tf_attached"
_OF_SEQUENTIAL = "_dice_tf_attached_to_sequential"
_PLAIN = "_dice_tf_plain_class"


class Attachments(NamedTuple):
    """What a policy carries.

    Attributes:
      head: from outputs to a tfp distribution, or `None`.
      mask: from observations to which actions are legal, or `None`.
    """

    head: Callable | None = None
    mask: Callable | None = None


def attached(policy: keras.Model) -> Attachments:
    """Returns what a policy carries; as a copy, what the original did."""
    found = getattr(policy, _ATTACHED, None)
    if found is None and _is_sequential(policy):
        found = getattr(policy.layers[-1], _OF_SEQUENTIAL, None)
    return found or Attachments()


def attach(policy: keras.Model, **changes: Any) -> None:
    """Lets a policy carry something else.

    Args:
      policy: a `keras.Model`.
      **changes: of its `Attachments`.
    """
    carried = attached(policy)._replace(**changes)
    _hold(policy, {_ATTACHED: carried, "__reduce__": _reduce})
    if _is_sequential(policy):
        # `clone_model` keeps the classes of a model's layers, and not its own.
        _hold(policy.layers[-1], {_OF_SEQUENTIAL: carried})


def plain_class(part: keras.Operation) -> type:
    """Returns the class that a model or layer has but for what it holds."""
    kind = type(part)
    return vars(kind).get(_PLAIN, kind)


def _is_sequential(policy: keras.Model) -> bool:
    return isinstance(policy, keras.Sequential) and bool(policy.layers)


def _hold(part: keras.layers.Layer, attributes: dict[str, Any]) -> None:
    """Gives a model or layer a class of its own, which holds attributes."""
    kind = type(part)
    if _PLAIN in vars(kind):
        names = (_ATTACHED, _OF_SEQUENTIAL, "__reduce__")
        held = {name: vars(kind).get(name) for name in names}
        attributes = {k: v for k, v in held.items() if v} | attributes
        kind = plain_class(part)
    subclass = type(kind)(
        kind.__name__,
        (kind,),
        {
            "__doc__": kind.__doc__,
            "__module__": _public_module(kind),
            "__qualname__": kind.__qualname__,
            _PLAIN: kind,
            **attributes,
        },
    )
    registered = keras.saving.get_registered_name(kind)
    if ">" in registered:
        # Register both: files name them alike, and bring back the plain class.
        for named in (subclass, kind):
            keras.saving.register_keras_serializable(*registered.split(">", 1))(
                named
            )
    # Keras would track what is assigned as a part of the model.
    object.__setattr__(part, "__class__", subclass)


def _public_module(kind: type) -> str:
    """Returns the module by which Keras' files name a class."""
    for module in (keras, keras.layers):
        if getattr(module, kind.__name__, None) is kind:
            return module.__name__
    return kind.__module__


def _reduce(policy: keras.Model) -> tuple:
    """Returns what `copy` and `pickle` make a copy of, see `__reduce__`."""
    kind = type(policy)
    # The subclass has no name by which pickle could import it.
    object.__setattr__(policy, "__class__", plain_class(policy))
    try:
        made = policy.__reduce__()
    finally:
        object.__setattr__(policy, "__class__", kind)
    return _restored, (made, attached(policy))


def _restored(made: tuple, carried: Attachments) -> keras.Model:
    make, arguments = made
    policy = make(*arguments)
    attach(policy, **carried._asdict())
    return policy
