"""Checks of what environments return, whose it is and at which step."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np


def as_array(
    what: str, value: Any, shape: tuple[int, ...], must_be_finite: bool = True
) -> np.ndarray:
    """Returns real numbers of the given shape, or raises.

    Args:
      what: what they are, as the subject of a message.
      value: anything.
      shape: the shape that they must have.
      must_be_finite: whether NaN and infinity are refused.

    Raises:
      TypeError: if `value` does not consist of real numbers.
      ValueError: if its shape is another, or a number is not finite.
    """
    array = _real_numbers(what, value)
    if array.shape != shape:
        raise ValueError(
            f"{what} must have shape {shape}. Received shape {array.shape}."
        )
    if must_be_finite and not np.all(np.isfinite(array)):
        raise ValueError(f"{what} must be finite. Received: {array}.")
    return array


def as_number(what: str, value: Any) -> float:
    """Returns a finite number, or raises.

    Args:
      what: what it is, as the subject of a message.
      value: anything; an array of one element, of any rank, is a number.

    Raises:
      TypeError: if it is not a real number.
      ValueError: if it is not one, but several or none; or not finite.
    """
    if isinstance(value, float) and math.isfinite(value):
        # Most environments return this type; an array would take ten times
        # longer.
        return value
    array = _real_numbers(what, value)
    if array.size != 1:
        raise ValueError(
            f"{what} must be one number. Received {array.size} of shape "
            f"{array.shape}."
        )
    return float(as_array(what, array.reshape([]), ()))


def as_flag(what: str, value: Any) -> bool:
    """Returns whether something holds, or raises if `value` tells neither.

    Args:
      what: what it is, as the subject of a message.
      value: a bool, or 0 or 1; an array of one element is a flag.

    Raises:
      TypeError: if it is not a number.
      ValueError: if it is neither 0 nor 1.
    """
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    number = as_number(what, value)
    if number not in (0.0, 1.0):
        raise ValueError(f"{what} must be True or False. Received: {value!r}.")
    return bool(number)


def as_batch_flags(what: str, value: Any, batch_size: int) -> np.ndarray:
    """Returns bool `[B]`, or raises if `value` is not such flags."""
    array = as_array(what, _without_last_axis(value), (batch_size,))
    if not np.all((array == 0) | (array == 1)):
        raise ValueError(
            f"{what} must be True or False in every episode. Received: {array}."
        )
    return array.astype(bool)


def as_batches(
    name: str,
    when: str,
    values: Any,
    shapes: Sequence[tuple[int, ...]],
    counts: np.ndarray,
    dtype: np.dtype,
) -> list[np.ndarray]:
    """Returns what the players of `B` episodes received, or raises.

    Args:
      name: what each of them received, "observation" or "reward".
      when: the step, as the end of a sentence.
      values: one array per player, `[B, ...]`; of numbers also `[B, 1]`.
      shapes: for each player the shape of one episode's part.
      counts: bool `[B]`, which episodes' numbers must be finite. In others
        zeros take the place of what is not, so that it cannot spread.
      dtype: floating dtype of the result, in which numbers must be finite.

    Raises:
      TypeError: if something is not numbers.
      ValueError: if it has another shape, or is not finite where it counts.
    """
    if not isinstance(values, (tuple, list)) or len(values) != len(shapes):
        received = (
            f"{len(values)}"
            if isinstance(values, (tuple, list))
            else f"a {type(values).__name__}"
        )
        raise ValueError(
            f"An environment must return a tuple with one array of {name}s "
            f"per player, {len(shapes)}. Received {received} {when}."
        )
    return [
        _as_batch(
            f"The {name} of player {player_id} {when}",
            value if shape else _without_last_axis(value),
            shape,
            counts,
            dtype,
        )
        for player_id, (value, shape) in enumerate(
            zip(values, shapes, strict=True)
        )
    ]


def _real_numbers(what: str, value: Any) -> np.ndarray:
    try:
        array = np.asarray(value)
    except ValueError:
        # NumPy refuses a ragged list.
        array = np.array(None)
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{what} must consist of real numbers. Received: {value!r} (of "
            f"type {type(value).__name__})."
        )
    return array


def _as_batch(
    what: str,
    value: Any,
    shape: tuple[int, ...],
    counts: np.ndarray,
    dtype: np.dtype,
) -> np.ndarray:
    array = as_array(what, value, (len(counts), *shape), must_be_finite=False)
    # Numbers that overflow become infinite, which the next check finds.
    with np.errstate(over="ignore"):
        array = array.astype(dtype)
    is_finite = np.isfinite(array)
    if np.all(is_finite):
        return array
    all_finite = np.all(is_finite.reshape(len(counts), -1), axis=1)
    for episode in np.flatnonzero(counts & ~all_finite):
        raise ValueError(
            f"{what} must be finite in {np.dtype(dtype).name}. Received in "
            f"episode {episode}: {array[episode]}."
        )
    return np.where(is_finite, array, 0).astype(dtype)


def _without_last_axis(value: Any) -> Any:
    """Returns `[B]` of `[B, 1]`, and anything else as it is."""
    if np.ndim(value) == 2 and np.shape(value)[1] == 1:
        return np.reshape(value, [-1])
    return value
