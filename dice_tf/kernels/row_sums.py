"""Sums of many numbers, of which XLA makes one vectorised pass."""

import tensorflow as tf

# So many rows are added to one another at most. XLA fuses about 15, and not 20.
MAX_ROWS = 15


def largest_divisor(count: int, at_most: int) -> int:
    """Returns the largest divisor of `count` that is not above `at_most`."""
    return next(n for n in range(at_most, 0, -1) if count % n == 0)


def mean_by_rows(x: tf.Tensor) -> tf.Tensor:
    """Returns the mean of all numbers; `tf.reduce_mean` is its reference.

    A few rows are added to one another first, in the pass that computes them.
    For `tf.reduce_mean`, XLA on CPU writes all numbers to memory and then
    reduces windows of them. An iteration of batch 64 takes 1.04 to 1.13 of its
    CPU time with it, on two CPU cores (see benchmarks/PROFILE.md).

    Args:
      x: `[T, ...]` or a scalar, floating. It is not faster than
        `tf.reduce_mean` if T is not known, or has no divisor from 2 to 15.

    Returns:
      A scalar, linear in the numbers.
    """
    length = x.shape[0] if x.shape.rank else None
    if not length:
        return tf.reduce_mean(x)
    num_rows = largest_divisor(length, MAX_ROWS)
    return tf.reduce_mean(tf.add_n(tf.split(x, num_rows))) / num_rows
