"""Checks of arguments: clear errors, early.

Every message names the argument, what came and what was expected.
"""

import contextlib
import importlib.util
import inspect
import math
import numbers
import types
from collections.abc import (
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
    Set,
)
from typing import Any, TypeVar, overload

import keras
import numpy as np
import tensorflow as tf

Kind = TypeVar("Kind")

# TensorFlow counts entries, and we number them, in int32.
LARGEST_SIZE = 2**31 - 1
# Of one play: a number per episode then takes 1 GiB in float32.
MOST_EPISODES = 2**28
# Of a layer: the matrix between two of this size takes 16 GiB in float32.
MOST_UNITS = 2**16


def check_whole_number(
    name: str, value: Any, minimum: int, maximum: int | None = LARGEST_SIZE
) -> int:
    """Returns `value` as an int, or raises if it is not a whole number.

    Args:
      name: of the argument.
      value: what came.
      minimum: the least that is allowed.
      maximum: the most that is allowed; `None` for numbers that are not sizes.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(
            f"`{name}` must be a whole number. Received: {name}={value!r} "
            f"(of type {type(value).__name__})."
        )
    number = int(value)
    if number < minimum:
        raise ValueError(
            f"`{name}` must be at least {minimum}. Received: {name}={value}."
        )
    if maximum is not None and number > maximum:
        raise ValueError(
            f"`{name}` must be at most {maximum}. Received: {name}={value}."
        )
    return number


def check_sizes(
    name: str, values: Any, maximum: int = LARGEST_SIZE
) -> tuple[int, ...]:
    """Returns sizes of at least 1 as a tuple of ints, or raises.

    Args:
      name: of the argument.
      values: a list, or whatever has an order: not a text, mapping or set.
      maximum: the most that a size may be.
    """
    if isinstance(values, (str, bytes, Mapping, Set)) or not isinstance(
        values, Iterable
    ):
        raise TypeError(
            f"`{name}` must be a list of whole numbers. Received: "
            f"{name}={values!r} (of type {type(values).__name__})."
        )
    return tuple(check_whole_number(name, x, 1, maximum) for x in values)


def check_steps_per_epoch(steps: Any, steps_per_execution: int) -> int:
    """Returns `steps` as an int, or raises if no number of calls makes them."""
    steps = check_whole_number("steps_per_epoch", steps, 1)
    if steps % steps_per_execution:
        raise ValueError(
            "`steps_per_epoch` must be a multiple of steps_per_execution="
            f"{steps_per_execution}. Received: steps_per_epoch={steps}."
        )
    return steps


def check_number(
    name: str,
    value: Any,
    minimum: float = 0.0,
    maximum: float = math.inf,
) -> float:
    """Returns `value` as a float, or raises if it is not in the range.

    What overflows in float32 counts as infinite, whatever it is used for: most
    numbers meet tensors of that dtype.
    """
    if not _is_number(value):
        raise TypeError(
            f"`{name}` must be a number. Received: {name}={value!r} "
            f"(of type {type(value).__name__})."
        )
    if not (is_finite_in(value, np.float32) and minimum <= value <= maximum):
        expected = (
            f"at least {minimum:g}, and at most float32's largest number, "
            f"{np.finfo(np.float32).max:.3g}"
            if math.isinf(maximum)
            else f"in [{minimum:g}, {maximum:g}]"
        )
        raise ValueError(
            f"`{name}` must be finite and {expected}. Received: {name}={value}."
        )
    return float(value)


def _is_number(value: Any) -> bool:
    """Returns whether it is a real number, which True and False are not."""
    kinds = (numbers.Real, np.floating)
    return isinstance(value, kinds) and not isinstance(value, bool)


def check_flag(name: str, value: Any) -> bool:
    """Returns `value` as a bool, or raises if it is not True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(
            f"`{name}` must be True or False. Received: {name}={value!r} "
            f"(of type {type(value).__name__})."
        )
    return bool(value)


def is_finite_in(values: Any, dtype: Any) -> bool:
    """Returns whether all numbers are finite, also once cast to a dtype.

    Args:
      values: a number, or an array of numbers.
      dtype: of NumPy or TensorFlow, floating.
    """
    try:
        values = np.asarray(values, np.float64)
    except OverflowError:
        # A whole number of Python can be larger than any float.
        return False
    with np.errstate(over="ignore"):
        cast = values.astype(tf.as_dtype(dtype).as_numpy_dtype)
    return bool(np.all(np.isfinite(cast)))


def check_finite(name: str, values: np.ndarray, dtype: Any) -> None:
    """Raises if an array is not finite, or would not be in a dtype.

    Args:
      name: how the error names the array.
      values: floating, any shape.
      dtype: what it is cast to later.
    """
    if not np.all(np.isfinite(values)):
        raise ValueError(f"`{name}` must be finite. Received NaN or inf.")
    if not is_finite_in(values, dtype):
        largest = float(np.max(np.abs(values)))
        dtype = tf.as_dtype(dtype)
        raise ValueError(
            f"`{name}` must be finite in {dtype.name}, whose largest number is "
            f"{float(dtype.max):.3g}. Received a number of size {largest:.3g}. "
            "Give smaller numbers, or dtype='float64'."
        )


def check_float_dtype(name: str, value: Any) -> tf.DType:
    """Returns a dtype as a `tf.DType`, or raises if it has too few digits.

    Probabilities, returns and the noise that actions are drawn with need the
    digits of float32 at least.

    Args:
      name: of the argument.
      value: float32 or float64, as a string, a `tf.DType`, an `np.dtype` or a
        NumPy class such as `np.float32`.

    Raises:
      TypeError: if it is not a dtype: TensorFlow reads numbers as dtypes.
      ValueError: if it is another dtype.
    """
    expected = f"`{name}` must be 'float32' or 'float64'"
    is_numpy = isinstance(value, type) and issubclass(value, np.generic)
    if not (is_numpy or isinstance(value, (str, tf.DType, np.dtype))):
        raise TypeError(
            f"{expected}. Received: {name}={value!r} "
            f"(of type {type(value).__name__})."
        )
    try:
        dtype = tf.as_dtype(value)
    except TypeError as error:
        raise ValueError(
            f"{expected}. Received: {name}={value!r}, which TensorFlow does "
            "not know."
        ) from error
    if dtype not in (tf.float32, tf.float64):
        raise ValueError(f"{expected}. Received: {name}={dtype.name!r}.")
    return dtype


def check_choice(name: str, value: Any, choices: Collection) -> Any:
    """Returns `value`, or raises if it is not one of `choices`."""
    # Arrays compare entry by entry, and True is equal to 1.
    is_plain = value is None or isinstance(value, (str, int, np.integer))
    is_bool = isinstance(value, bool)
    if not is_plain or not any(
        value == choice and is_bool == isinstance(choice, bool)
        for choice in choices
    ):
        expected = ", ".join(repr(choice) for choice in choices)
        raise ValueError(
            f"`{name}` must be one of {expected}. Received: {name}={value!r}."
        )
    return value


def check_kind(
    name: str,
    value: Any,
    kind: type[Kind] | tuple[type[Kind], ...] | types.UnionType,
    expected: str,
) -> Kind:
    """Returns `value`, or raises if it is not of a type.

    Args:
      name: of the argument.
      value: what came.
      kind: the type, or several.
      expected: what the error says that it must be, with its article.
    """
    if not isinstance(value, kind):
        raise TypeError(
            f"`{name}` must be {expected}. Received: {name}={value!r} "
            f"(of type {type(value).__name__})."
        )
    return value


def check_function(
    name: str, value: Any, expected: str, num_arguments: int
) -> Any:
    """Returns `value`, or raises if it cannot be called so.

    Args:
      name: of the argument.
      value: what came.
      expected: what the error says that it must be, with its article.
      num_arguments: number of arguments of the calls, by position.
    """
    message = (
        f"`{name}` must be {expected}. Received: {name}={value!r} "
        f"(of type {type(value).__name__})"
    )
    if not callable(value):
        raise TypeError(f"{message}.")
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        # Python does not know what some of the functions written in C take.
        return value
    try:
        signature.bind(*[None] * num_arguments)
    except TypeError as error:
        raise TypeError(
            f"{message}, which is called with {num_arguments} arguments and "
            f"takes {signature}: {error}."
        ) from error
    return value


def check_installed(library: str, need: str, extra: str) -> None:
    """Raises if an optional library is not installed.

    Args:
      library: the name by which it is imported.
      need: the start of the error, such as "Pictures need Matplotlib".
      extra: of dice_tf, which installs it.

    Raises:
      ImportError: with the command that installs it.
    """
    if importlib.util.find_spec(library) is None:
        raise ImportError(f'{need}: pip install "dice_tf[{extra}]".')


def check_model(name: str, value: Any) -> keras.Model:
    """Returns `value`, or raises if it is not a `keras.Model`."""
    return check_kind(name, value, keras.Model, "a keras.Model")


def check_name(name: str, value: Any) -> str | None:
    """Returns the name of a model, or raises if it is not text or `None`."""
    return check_kind(name, value, str | None, "a string or None")


@contextlib.contextmanager
def naming(name: str, value: Any, expected: str) -> Iterator[None]:
    """Turns any error inside into a `ValueError` that names an argument.

    It is for calls of other libraries, whose errors do not know our arguments.

    Args:
      name: of the argument.
      value: what came.
      expected: what the error says that it must be, with its article.
    """
    try:
        yield
    except Exception as error:
        raise ValueError(
            f"`{name}` must be {expected}. Received: {name}={value!r} "
            f"(of type {type(value).__name__}): {error}"
        ) from error


@contextlib.contextmanager
def naming_given(name: str, value: Any, expected: str) -> Iterator[None]:
    """Does as `naming` for an argument that was given, and is not `None`.

    Args:
      name: of the argument.
      value: what came.
      expected: what the error says that it must be, with its article.
    """
    if value is None:
        yield
        return
    with naming(name, value, expected):
        yield


def check_activation(name: str, value: Any) -> Any:
    """Returns `value`, or raises if it is not an activation of Keras."""
    with naming(name, value, "a Keras activation"):
        activation = keras.activations.get(value)
        if inspect.isclass(activation):
            raise TypeError("a class is not a function of a tensor")
        if inspect.isroutine(activation):
            tf.convert_to_tensor(activation(tf.zeros([1, 1])))
    return value


def as_tensor(name: str, value: Any, dtype: Any = None) -> tf.Tensor:
    """Returns `value` as a tensor, or raises if it cannot be one.

    Args:
      name: of the argument.
      value: a tensor, or whatever TensorFlow makes one of.
      dtype: of the tensor. Default: the dtype that it has.
    """
    expected = "a tensor"
    if dtype is not None:
        expected = f"a tensor of dtype {tf.as_dtype(dtype).name}"
    with naming(name, value, expected):
        return tf.convert_to_tensor(value, dtype)


def as_floats(name: str, value: Any, dtype: Any = None) -> tf.Tensor:
    """Returns `value` as a tensor of floating dtype, or raises.

    Args:
      name: of the argument.
      value: a tensor, or whatever TensorFlow makes one of.
      dtype: a floating dtype. Default: the dtype that it has.
    """
    tensor = as_tensor(name, value, dtype)
    if not (tensor.dtype.is_floating or tensor.dtype.is_complex):
        raise TypeError(
            f"`{name}` must be a tensor of floating dtype. Received: dtype "
            f"{tensor.dtype.name} and shape {tuple(tensor.shape)}."
        )
    return tensor


def as_whole_numbers(name: str, value: Any) -> tf.Tensor:
    """Returns `value` as a tensor of integer dtype, or raises."""
    tensor = as_tensor(name, value)
    if not tensor.dtype.is_integer:
        raise TypeError(
            f"`{name}` must be a tensor of whole numbers. Received: dtype "
            f"{tensor.dtype.name} and shape {tuple(tensor.shape)}."
        )
    return tensor


def as_tensors(name: str, values: Any) -> list[tf.Tensor]:
    """Returns a list of tensors, or raises if it is not such a list."""
    if not isinstance(values, (list, tuple)):
        raise TypeError(
            f"`{name}` must be a list of tensors. Received: {name}={values!r} "
            f"(of type {type(values).__name__})."
        )
    return [
        as_tensor(f"{name}[{position}]", value)
        for position, value in enumerate(values)
    ]


def as_float_array(name: str, values: Any) -> np.ndarray:
    """Returns `values` as a NumPy float64 array, or raises."""
    if values is None:
        raise TypeError(
            f"`{name}` must be an array of numbers. Received: None."
        )
    with naming(name, values, "an array of numbers"):
        return np.asarray(values, np.float64)


def check_per_player(name: str, values: Any, num_players: int) -> tuple:
    """Returns `values` as a tuple, or raises if it is not one per player."""
    if not isinstance(values, (list, tuple)):
        raise TypeError(
            f"`{name}` must be a list with one entry per player. "
            f"Received: {name}={values!r}."
        )
    if len(values) != num_players:
        raise ValueError(
            f"`{name}` must have one entry for each of {num_players} "
            f"players. Received {len(values)}."
        )
    return tuple(values)


def check_lists(name: str, values: Any, num_players: int) -> tuple:
    """Returns one list per player as a tuple, or raises."""
    values = check_per_player(name, values, num_players)
    for player_id, player_values in enumerate(values):
        kinds = (list, tuple)
        check_kind(f"{name}[{player_id}]", player_values, kinds, "a list")
    return values


@overload
def check_number_per_player(
    name: str, value: float | Sequence[float], num_players: int
) -> tuple[float, ...]: ...
@overload
def check_number_per_player(
    name: str, value: float | Sequence[float | None] | None, num_players: int
) -> tuple[float | None, ...]: ...
def check_number_per_player(
    name: str, value: Any, num_players: int
) -> tuple[float | None, ...]:
    """Returns a number (or `None`) per player; one given means all."""
    if not isinstance(value, (list, tuple)):
        value = (value,) * num_players
    return tuple(
        None if number is None else check_number(name, number)
        for number in check_per_player(name, value, num_players)
    )


def check_index(name: str, value: Any, size: int, counted: str) -> int:
    """Returns `value`, or raises if it is not in `[0, size)`."""
    value = check_whole_number(name, value, 0)
    if value >= size:
        raise ValueError(
            f"`{name}` must be below the number of {counted}, {size}. "
            f"Received: {name}={value}."
        )
    return value


def check_player_id(player_id: Any, num_players: int) -> int:
    """Returns `player_id`, or raises if the game does not have that seat."""
    return check_index("player_id", player_id, num_players, "players")


def check_rank(name: str, tensor: tf.Tensor, rank: int, axes: str) -> None:
    """Raises if the rank of `tensor` is known and not `rank`."""
    if tensor.shape.rank is not None and tensor.shape.rank != rank:
        raise ValueError(
            f"`{name}` must have shape {axes} (rank {rank}). "
            f"Received shape {tuple(tensor.shape)}."
        )


def check_last_axes(
    name: str, tensor: tf.Tensor, expected: tuple[int | None, ...]
) -> None:
    """Raises if the last axes of `tensor` are known and not the expected."""
    shape = tensor.shape
    if shape.rank is not None and not shape[
        max(0, shape.rank - len(expected)) :
    ].is_compatible_with(expected):
        axes = ", ".join(["...", *map(str, expected)])
        raise ValueError(
            f"`{name}` must have shape [{axes}]. Received shape {tuple(shape)}."
        )


def check_same_shape(
    name: str, tensor: tf.Tensor, reference_name: str, reference: tf.Tensor
) -> None:
    """Raises if the static shapes of two tensors cannot be equal."""
    if not tensor.shape.is_compatible_with(reference.shape):
        raise ValueError(
            f"`{name}` must have the shape of `{reference_name}`, "
            f"{tuple(reference.shape)}. Received shape {tuple(tensor.shape)}."
        )


def check_shapes(
    name: str, tensors: Sequence[tf.Tensor], references: Sequence, owner: str
) -> None:
    """Raises if the static shapes of two lists cannot be equal.

    Args:
      name: of the list.
      tensors: what came.
      references: tensors or variables of the shapes that are expected.
      owner: what the error calls these.
    """
    received = [tensor.shape for tensor in tensors]
    expected = [tf.TensorShape(reference.shape) for reference in references]
    if len(received) != len(expected) or not all(
        map(tf.TensorShape.is_compatible_with, received, expected)
    ):
        raise ValueError(
            f"`{name}` must hold tensors of the shapes of {owner}, "
            f"{list(map(str, expected))}. Received shapes "
            f"{list(map(str, received))}."
        )


def described(value: Any) -> str:
    """Returns what errors say of a value: shapes and dtypes of its tensors.

    Args:
      value: anything; a tensor or an array, or a nest of them.
    """
    if isinstance(value, (tf.Tensor, tf.Variable, np.ndarray)):
        dtype, shape = tf.as_dtype(value.dtype), tf.TensorShape(value.shape)
        return f"{dtype.name} of shape {shape}"
    if isinstance(value, dict):
        parts = [f"{key!r}: {described(part)}" for key, part in value.items()]
        return f"{{{', '.join(parts)}}}"
    if isinstance(value, (tuple, list)):
        return f"{type(value).__name__}({', '.join(map(described, value))})"
    return f"{value!r} (of type {type(value).__name__})"
