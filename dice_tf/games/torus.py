"""Places on a square grid that closes upon itself, numbered row by row.

All in integer arithmetic, on tensors `[B]` of any number of episodes.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf


def to_int(condition: tf.Tensor) -> tf.Tensor:
    """Returns 1 where a condition holds, else 0, int32."""
    return tf.cast(condition, tf.int32)


def move(cell: tf.Tensor, action: tf.Tensor, size: int) -> tf.Tensor:
    """Returns the cell one step away.

    Args:
      cell: int32, any shape.
      action: int32 of that shape: right (0), left (1), down (2), up (3);
        anything else stays.
      size: number of rows, and of columns.

    Returns:
      int32 of the same shape.
    """
    row = cell // size
    column = cell - size * row
    row += to_int(action == 2) - to_int(action == 3)
    column += to_int(action == 0) - to_int(action == 1)
    return size * _wrap(row, size) + _wrap(column, size)


def seen_from(origin: Any, cell: Any, size: int) -> Any:
    """Returns where a cell lies as seen from another, which counts as 0.

    Args:
      origin: integers, arrays or tensors of any shape.
      cell: of that shape.
      size: number of rows, and of columns.
    """
    row = (cell // size - origin // size) % size
    return row * size + (cell - origin) % size


def random_cell(noise: tf.Tensor, num_cells: Any) -> tf.Tensor:
    """Turns uniforms on [0, 1) into cells, int32 of the same shape.

    Args:
      noise: floating, any shape.
      num_cells: how many there are, a number or one for each.
    """
    # Noise is below 1 by 2**-24 at least: the product never rounds up to
    # the number of cells.
    return tf.cast(noise * tf.cast(num_cells, noise.dtype), tf.int32)


def free_cell(
    taken: Sequence[tf.Tensor], noise: tf.Tensor, num_cells: int
) -> tf.Tensor:
    """Returns a cell that is none of some, uniformly.

    Args:
      taken: int32 `[B]` each, cells that are taken, some of which may be the
        same.
      noise: `[B]`, uniform on [0, 1).
      num_cells: number of cells of the grid.

    Returns:
      int32 `[B]`.
    """
    ordered = _ascending(taken)
    are_new = [
        to_int(cell != lower)
        for lower, cell in zip(ordered, ordered[1:], strict=False)
    ]
    num_free = num_cells - 1
    for is_new in are_new:
        num_free -= is_new
    cell = random_cell(noise, num_free)
    # The number of a free cell, counted over those that are taken.
    cell += to_int(cell >= ordered[0])
    for is_new, higher in zip(are_new, ordered[1:], strict=True):
        cell += is_new * to_int(cell >= higher)
    return cell


def _ascending(cells: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Returns tensors `[B]` of the same numbers, in ascending order."""
    if len(cells) == 2:
        return [tf.minimum(*cells), tf.maximum(*cells)]
    return tf.unstack(tf.sort(tf.stack(cells), axis=0))


def _wrap(place: tf.Tensor, size: int) -> tf.Tensor:
    place = tf.where(place < 0, size - 1, place)
    return tf.where(place == size, 0, place)
