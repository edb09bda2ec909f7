"""What chance does in a finite game: probabilities in rows of tables."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from dice_tf.kernels.table_lookups import select


class Chances(NamedTuple):
    """Distributions over states, ready to be sampled from by inversion.

    Attributes:
      possible: what can happen in each row, in order, int `[R, width]`. A row
        of fewer possibilities is filled up with what cannot happen.
      thresholds: which noise passes on to the next possibility, `[R,
        width - 1]`.
    """

    possible: np.ndarray
    thresholds: np.ndarray

    @property
    def is_certain(self) -> bool:
        """Whether no noise is needed."""
        return self.possible.shape[1] == 1

    def pick(self, row: tf.Tensor, noise: tf.Tensor | None) -> tf.Tensor:
        """Samples from the distribution in a row.

        Args:
          row: int32, any shape: from which row.
          noise: floating, of that shape, uniform on [0, 1); `None` where all
            is certain.

        Returns:
          int32 of that shape.
        """
        width = self.possible.shape[1]
        rank = tf.zeros_like(row)
        for column in range(width - 1):
            # There is noise: the outcome is not certain.
            dtype = noise.dtype  # type: ignore[union-attr]
            threshold = tf.constant(self.thresholds[:, column], dtype)
            rank += tf.cast(noise >= select(threshold, row), tf.int32)
        if np.all(self.possible == np.arange(width)):
            return rank
        possible = tf.constant(self.possible.ravel(), tf.int32)
        return select(possible, row * width + rank)


def as_chances(probabilities: np.ndarray) -> Chances:
    """Returns what samples from the rows of a table `[R, S]`."""
    if np.all(probabilities.max(axis=1) > 1 - 1e-12):
        certain = np.argmax(probabilities, axis=1)[:, np.newaxis]
        return Chances(certain, np.zeros([len(certain), 0]))
    width = int(np.max(np.count_nonzero(probabilities, axis=1)))
    order = np.argsort(probabilities == 0, axis=1, kind="stable")[:, :width]
    chances = np.take_along_axis(probabilities, order, axis=1)
    # Rounding must not reach a state of probability 0.
    rest = np.cumsum(chances[:, ::-1], axis=1)[:, -2::-1]
    sums = np.cumsum(chances, axis=1)[:, :-1]
    return Chances(order, np.where(rest > 0, sums, 1.0))


def check_probabilities(
    name: str, table: np.ndarray, shape: tuple[int, ...]
) -> None:
    """Raises if an array does not hold probabilities over its last axis.

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
