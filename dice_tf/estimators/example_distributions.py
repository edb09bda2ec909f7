"""Building a distribution from examples of its parameters.

The values of parameters may not be known while a graph is traced. Derivatives
are therefore measured at examples, which depend on the kind of a distribution
only, see `kind_of`.
"""

import numbers
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from dice_tf.distributions import ParameterProperties, Softplus, tfd

# Parameters such as upper bounds have no declared range. Examples of the k-th
# of them, of which the first that the distribution accepts is taken.
BOUNDS = (lambda k: 2.0 + k, lambda k: 3.0 / (1.0 + k), lambda k: 0.3)

Path = tuple[str, ...]


class UnmeasurableError(Exception):
    """The distribution cannot be built from examples of its parameters."""


class Parameter(NamedTuple):
    """A number or an array that a distribution is made of.

    Attributes:
      path: names of arguments, from the outermost distribution to it.
      varies: whether it may be differentiated: Python's and NumPy's numbers
        are constants.
      shape: of an example before it is constrained, without the axis of
        estimates.
      constrain: function into the declared range; `None` if there is none.
    """

    path: Path
    varies: bool
    shape: tuple[int, ...]
    constrain: Callable[[tf.Tensor], tf.Tensor] | None

    def example(self, offset: tf.Tensor, bound: float) -> tf.Tensor:
        """Returns examples near each other, smooth in the offsets.

        Args:
          offset: `[M]`, from those of the first example.
          bound: the value of a number without a declared range.
        """
        numbers_of_entries = np.arange(np.prod(self.shape, dtype=int))
        start = 0.5 * np.cos(2.0 * numbers_of_entries).reshape(self.shape)
        step = 1.0 + 0.3 * np.sin(3.0 * numbers_of_entries).reshape(self.shape)
        offset = tf.reshape(offset, [-1, *[1] * len(self.shape)])
        if self.constrain is not None:
            return self.constrain(start + offset * step)
        if self.shape:
            return tf.math.l2_normalize(start + offset * step, axis=-1)
        return bound + offset * step


def _is_array(value: Any) -> bool:
    if isinstance(value, (bool, tf.linalg.LinearOperator)):
        return False
    return isinstance(value, numbers.Real) or (
        hasattr(value, "shape") and hasattr(value, "dtype")
    )


def kind_of(distribution: tfd.Distribution) -> tuple:
    """Returns what distributions that are judged alike have in common."""
    properties = _properties(distribution)
    arguments = []
    for name, value in sorted(distribution.parameters.items()):
        if isinstance(value, tfd.Distribution):
            value = (kind_of(value), _inner_shape(value, properties, name))
        elif _is_array(value):
            value = _event_shape(value, properties, name)
        elif not isinstance(value, (bool, type(None))):
            value = type(value)
        arguments.append((name, value))
    return type(distribution), tuple(arguments)


def _properties(distribution: tfd.Distribution) -> dict[str, Any]:
    try:
        return type(distribution).parameter_properties(tf.float64)
    except NotImplementedError:
        # What users write seldom has them. With events that are numbers,
        # parameters are taken for numbers.
        if distribution.event_shape.rank != 0:
            return {}
        return {
            name: ParameterProperties(default_constraining_bijector_fn=Softplus)
            for name, value in distribution.parameters.items()
            if _is_array(value)
        }


def _rank(properties: dict[str, Any], name: str) -> int:
    rank = properties[name].event_ndims if name in properties else None
    return rank if isinstance(rank, int) else 0


def _event_shape(
    value: Any, properties: dict[str, Any], name: str
) -> tuple[int, ...]:
    rank, shape = _rank(properties, name), np.shape(value)
    if not isinstance(value, (numbers.Real, np.ndarray)):
        shape = tf.TensorShape(value.shape).as_list()
    return tuple(shape[len(shape) - rank :]) if rank else ()


def _inner_shape(
    value: tfd.Distribution, properties: dict[str, Any], name: str
) -> tuple[int, ...]:
    rank, shape = _rank(properties, name), value.batch_shape
    return tuple(shape[len(shape) - rank :]) if rank else ()


def parameters_of(
    distribution: tfd.Distribution,
    path: Path = (),
    inner: tuple[int, ...] = (),
) -> Iterator[Parameter]:
    """Yields all numbers and arrays.

    Args:
      distribution: whose.
      path: of the distribution, within another.
      inner: batch axes that belong to one event of another.
    """
    properties = _properties(distribution)
    for name, value in distribution.parameters.items():
        if isinstance(value, tfd.Distribution):
            shape = _inner_shape(value, properties, name)
            yield from parameters_of(value, (*path, name), (*inner, *shape))
        elif _is_array(value) and name in properties:
            shape = _event_shape(value, properties, name)
            if None in shape:
                raise UnmeasurableError
            constrain = None
            try:
                bijector = properties[name].default_constraining_bijector_fn()
                shape = bijector.inverse_event_shape(shape)
                constrain = bijector.forward
            except (NotImplementedError, TypeError):
                pass
            yield Parameter(
                (*path, name),
                not isinstance(value, (numbers.Real, np.ndarray, np.generic)),
                (*inner, *shape),
                constrain,
            )
        elif value is not None and (name in properties or _is_array(value)):
            raise UnmeasurableError


def build_from(
    distribution: tfd.Distribution,
    values: dict[Path, tf.Tensor],
    validate_args: bool,
    path: Path = (),
) -> tfd.Distribution:
    """Returns a copy made of other numbers and arrays."""
    changed = {}
    for name, value in distribution.parameters.items():
        if isinstance(value, tfd.Distribution):
            changed[name] = build_from(
                value, values, validate_args, (*path, name)
            )
        elif (*path, name) in values:
            changed[name] = values[*path, name]
    if "validate_args" in distribution.parameters:
        changed["validate_args"] = validate_args
    return distribution.copy(**changed)
