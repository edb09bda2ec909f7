"""What chance does in a finite game: probabilities in rows of tables."""

import numpy as np
import tensorflow as tf

from dice_tf.tables import select


def is_certain(probabilities: np.ndarray) -> bool:
    """Whether each row has one entry that is certain."""
    return bool(np.all(probabilities.max(axis=-1) > 1 - 1e-12))


def check_probabilities(
    name: str, table: np.ndarray, shape: tuple[int, ...]
) -> None:
    """Refuses what is no table of probabilities of the last axis.

    Raises:
      ValueError: if the shape is another, or rows do not sum to 1.
    """
    if table.shape != shape:
        raise ValueError(
            f"`{name}` must have shape {shape} to fit the rewards. "
            f"Received shape {table.shape}."
        )
    if not (
        np.all(table >= 0) and np.allclose(table.sum(axis=-1), 1, atol=1e-6)
    ):
        raise ValueError(
            f"`{name}` must hold probabilities that sum to 1 over the last "
            "axis. Received entries below 0, NaN, or other sums."
        )


def pick(
    probabilities: np.ndarray, row: tf.Tensor, noise: tf.Tensor | None
) -> tf.Tensor:
    """Samples from the distribution in a row of a table, by inversion.

    Args:
      probabilities: `[R, S]`.
      row: int32, any shape: from which row.
      noise: of that shape, uniform on [0, 1); `None` if all is certain.

    Returns:
      int32 of that shape, in `[0, S)`.
    """
    if noise is None:
        certain = np.argmax(probabilities, axis=1)
        return select(tf.constant(certain, tf.int32), row)
    possible, chances = _possible(probabilities)
    # What cannot happen any more is not reached by rounding either.
    later = np.cumsum(chances[:, ::-1], axis=1)[:, ::-1] - chances
    cumulative = np.where(later > 0, np.cumsum(chances, axis=1), np.inf)
    rank = tf.zeros_like(row)
    width = possible.shape[1]
    for column in range(width - 1):
        threshold = tf.constant(cumulative[:, column], noise.dtype)
        rank += tf.cast(noise >= select(threshold, row), tf.int32)
    if np.all(possible == np.arange(width)):
        return rank
    possible = tf.constant(possible.ravel(), tf.int32)
    return select(possible, row * width + rank)


def _possible(probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns what can happen in each row, in order, and its probability.

    Both `[R, width]`: a row of fewer possibilities is filled up with what
    cannot happen, at its end.
    """
    width = int(np.max(np.count_nonzero(probabilities, axis=1)))
    order = np.argsort(probabilities == 0, axis=1, kind="stable")[:, :width]
    return order, np.take_along_axis(probabilities, order, axis=1)
