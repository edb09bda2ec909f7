"""Checks of arguments: clear errors, early.

Every message names the argument, what came and what was expected.
"""

import math
import numbers
from collections.abc import Collection
from typing import Any

import numpy as np
import tensorflow as tf


def check_whole_number(name: str, value: Any, minimum: int) -> int:
    """Returns `value` as an int, or raises if it is not a whole number."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(
            f"`{name}` must be a whole number. Received: {name}={value!r} "
            f"(of type {type(value).__name__})."
        )
    if value < minimum:
        raise ValueError(
            f"`{name}` must be at least {minimum}. Received: {name}={value}."
        )
    return int(value)


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
    if isinstance(value, bool) or not isinstance(
        value, (numbers.Real, np.floating)
    ):
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
    if value not in choices:
        expected = ", ".join(repr(choice) for choice in choices)
        raise ValueError(
            f"`{name}` must be one of {expected}. Received: {name}={value!r}."
        )
    return value


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


def check_same_shape(
    name: str, tensor: tf.Tensor, reference_name: str, reference: tf.Tensor
) -> None:
    """Raises if the static shapes of two tensors cannot be equal."""
    if not tensor.shape.is_compatible_with(reference.shape):
        raise ValueError(
            f"`{name}` must have the shape of `{reference_name}`, "
            f"{tuple(reference.shape)}. Received shape {tuple(tensor.shape)}."
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
