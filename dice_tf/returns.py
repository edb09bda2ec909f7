"""Sums over time of what a trajectory holds, all `[T, B]` and time-major."""

from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

from dice_tf.checks import check_number, check_rank, check_same_shape

# Up to this length a product with a triangular matrix beats a scan, and its
# derivatives of any order are products with the same matrix.
_LONGEST_TRIANGULAR = 1024


def cumulative_sum(x: tf.Tensor, reverse: bool = False) -> tf.Tensor:
    """Sums over time: `y_t = x_0 + ... + x_t`, or `x_t + ...` in reverse.

    Args:
      x: `[T, ...]`, floating.
      reverse: whether to sum the present and the future instead.

    Returns:
      A tensor like `x`, linear in it.
    """
    length = x.shape[0]
    if length is None or length > _LONGEST_TRIANGULAR or x.shape.rank != 2:
        return tf.cumsum(x, axis=0, reverse=reverse)
    ones = tf.ones([length, length], x.dtype)
    lower = tf.linalg.band_part(ones, -1, 0)
    return tf.linalg.matmul(lower, x, transpose_a=reverse)


def discount_weights(discount: Any, rewards: tf.Tensor) -> tf.Tensor:
    """Returns what a reward at each step is worth at the start.

    A scalar discount gives `discount**t`. One per step gives the product of
    the discounts *before* t, so a discount of 0 at the last step of an episode
    silences all that follows it, and not that step itself.

    Args:
      discount: scalar in [0, 1], or per step, `[T, B]`.
      rewards: `[T, B]`, for the shape and the dtype.

    Returns:
      A tensor like `rewards`, held constant.

    Raises:
      ValueError: if a scalar is outside [0, 1], or the shape is another.
    """
    length = tf.shape(rewards)[0]
    if isinstance(discount, (int, float)):
        check_number("discount", discount, 0.0, 1.0)
    discount = tf.stop_gradient(tf.convert_to_tensor(discount, rewards.dtype))
    if discount.shape.rank == 0:
        powers = tf.range(length)
        weights = tf.pow(discount, tf.cast(powers, rewards.dtype))
        return tf.broadcast_to(weights[:, tf.newaxis], tf.shape(rewards))
    check_rank("discount", discount, 2, "[] or [T, B]")
    check_same_shape("discount", discount, "rewards", rewards)
    return tf.math.cumprod(discount, axis=0, exclusive=True)


def returns_to_go(rewards: tf.Tensor, discount: Any) -> tf.Tensor:
    """Sums the present and the future rewards, discounted to the present.

    `G_t = r_t + discount_t G_{t+1}`, with `G_T = 0`.

    Args:
      rewards: `[T, B]`.
      discount: scalar in [0, 1], or per step, `[T, B]`, held constant.

    Returns:
      `[T, B]`, linear in the rewards.
    """
    weights = discount_weights(discount, rewards)
    per_step = tf.convert_to_tensor(discount, rewards.dtype)
    if per_step.shape.rank == 0:
        per_step = tf.broadcast_to(per_step, tf.shape(weights))
    factors, sums = tfp.math.scan_associative(
        lambda later, earlier: (
            later[0] * earlier[0],
            earlier[1] + earlier[0] * later[1],
        ),
        (
            tf.reverse(tf.stop_gradient(per_step), axis=[0]),
            tf.reverse(rewards, axis=[0]),
        ),
    )
    del factors
    return tf.reverse(sums, axis=[0])
