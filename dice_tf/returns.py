"""Sums over time of what a trajectory holds, all `[T, B]` and time-major."""

from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from dice_tf.checks import check_number, check_rank, check_same_shape


def cumulative_sum(
    x: tf.Tensor, *, decay: float = 1.0, reverse: bool = False
) -> tf.Tensor:
    """Sums over time: `y_t = x_t + decay y_{t-1}`, or `y_{t+1}` in reverse.

    Args:
      x: `[T, B]`, floating.
      decay: a Python number in [0, 1].
      reverse: whether to sum the present and the future instead of the past.

    Returns:
      A tensor like `x`, linear in it.
    """
    if x.shape[0] is None:
        if decay == 1.0:
            return tf.cumsum(x, axis=0, reverse=reverse)
        factors = tf.fill(tf.shape(x), tf.constant(decay, x.dtype))
        return _scan(x, factors, reverse)
    return _cumulative_sum(x, float(decay), reverse)


def _cumulative_sum(x: tf.Tensor, decay: float, reverse: bool) -> tf.Tensor:
    # The transpose of a sum over the past is the sum over the future.
    @tf.custom_gradient
    def summed(x: tf.Tensor):
        return _sum_by_blocks(
            x, decay, reverse
        ), lambda upstream: _cumulative_sum(upstream, decay, not reverse)

    return summed(x)


def _sum_by_blocks(x: tf.Tensor, decay: float, reverse: bool) -> tf.Tensor:
    """Sums within blocks of time, then adds what the blocks before sum to.

    Both are products with triangular matrices, which are faster than a scan,
    and in two levels take a fraction of the operations of one.
    """
    length, batch_size = x.shape[0], tf.shape(x)[1]
    size = _block_size(length)
    num_blocks = -(-length // size)
    padding = num_blocks * size - length
    if padding:
        # On the side that no sum comes from.
        sides = [padding, 0] if reverse else [0, padding]
        x = tf.pad(x, [sides, [0, 0]])
    blocks = tf.reshape(x, [num_blocks, size, batch_size])
    steps = np.arange(size)
    within = _triangle(size, decay)
    between = np.zeros([num_blocks, num_blocks])
    between[1:, :-1] = _triangle(num_blocks - 1, decay**size)
    passed_on = decay ** (steps + 1)
    last = size - 1
    if reverse:
        within, between = within.T, between.T
        passed_on, last = passed_on[::-1], 0
    sums = tf.linalg.matmul(
        tf.constant(np.tile(within, [num_blocks, 1, 1]), x.dtype), blocks
    )
    before = tf.linalg.matmul(tf.constant(between, x.dtype), sums[:, last])
    passed_on = tf.constant(passed_on[:, np.newaxis], x.dtype)
    sums += passed_on * before[:, tf.newaxis]
    sums = tf.reshape(sums, [num_blocks * size, batch_size])
    if padding:
        sums = sums[padding:] if reverse else sums[:length]
    return sums


def _block_size(length: int) -> int:
    """Returns about the size at which both levels take the fewest products.

    A number needs `size` products in its block and `(length / size)**2 /
    length` between blocks.
    """
    best = max(1, round((2.0 * length) ** (1 / 3)))
    near = range(max(1, best // 2), 2 * best + 1)
    return min(near, key=lambda size: (-length % size, abs(size - best)))


def _triangle(size: int, decay: float) -> np.ndarray:
    """Returns the matrix of `y_t = x_t + decay y_{t-1}`."""
    lags = np.subtract.outer(np.arange(size), np.arange(size))
    return np.where(lags >= 0, decay ** np.maximum(lags, 0), 0.0)


def _scan(x: tf.Tensor, factors: tf.Tensor, reverse: bool) -> tf.Tensor:
    """Returns `y_t = x_t + factors_t y_{t-1}`, or `y_{t+1}` in reverse."""
    if reverse:
        return tf.reverse(
            _scan(tf.reverse(x, [0]), tf.reverse(factors, [0]), False), [0]
        )
    if x.shape[0] is None:
        # An associative scan of unknown length takes a minute to trace.
        return tf.scan(
            lambda before, now: now[0] * before + now[1],
            (factors, x),
            tf.zeros_like(x[0]),
        )
    _, sums = tfp.math.scan_associative(
        lambda before, after: (
            before[0] * after[0],
            after[1] + after[0] * before[1],
        ),
        (factors, x),
    )
    return sums


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


def discounted_errors(
    rewards: tf.Tensor, values: tf.Tensor, discount: Any
) -> tf.Tensor:
    """Returns what each step brings beyond the values, discounted to the start.

    `d_t r_t + d_{t+1} v_{t+1} - d_t v_t`, with `d_t` the discount weights and
    `v_T = 0`: the errors of one-step predictions, which sum to the discounted
    return minus the value of the first state.

    Args:
      rewards: `[T, B]`.
      values: `[T, B]`, state values before each step.
      discount: scalar in [0, 1], or per step, `[T, B]`, held constant.

    Returns:
      `[T, B]`, linear in rewards and values.
    """
    weights = discount_weights(discount, rewards)
    values = weights * values
    following = tf.concat([values[1:], tf.zeros_like(values[:1])], axis=0)
    return weights * rewards + following - values


def returns_to_go(rewards: tf.Tensor, discount: Any) -> tf.Tensor:
    """Sums the present and the future rewards, discounted to the present.

    `G_t = r_t + discount_t G_{t+1}`, with `G_T = 0`.

    Args:
      rewards: `[T, B]`.
      discount: scalar in [0, 1], or per step, `[T, B]`, held constant.

    Returns:
      `[T, B]`, linear in the rewards.
    """
    if isinstance(discount, (int, float)):
        check_number("discount", discount, 0.0, 1.0)
        return cumulative_sum(rewards, decay=discount, reverse=True)
    factors = tf.convert_to_tensor(discount, rewards.dtype)
    if factors.shape.rank != 0:
        check_rank("discount", factors, 2, "[] or [T, B]")
        check_same_shape("discount", factors, "rewards", rewards)
    factors = tf.broadcast_to(tf.stop_gradient(factors), tf.shape(rewards))
    return _scan(rewards, factors, reverse=True)


def generalized_advantages(
    rewards: tf.Tensor,
    values: tf.Tensor,
    *,
    discount: Any,
    tau: float = 1.0,
    final_values: tf.Tensor | None = None,
) -> tf.Tensor:
    """Returns generalised advantage estimates (GAE).

    `A_t = sum_k (discount tau)^k delta_{t+k}` with
    `delta_t = r_t + discount v_{t+1} - v_t`. With `tau=1` it is the return
    minus the value, `G_t - v_t`; with `tau=0` the one-step error.

    Args:
      rewards: `[T, B]`.
      values: `[T, B]`, state values before each step.
      discount: scalar in [0, 1], or per step, `[T, B]`, held constant.
      tau: in [0, 1], called lambda by its authors.
      final_values: `[B]`, values after the last step. Default: zeros, for
        episodes that end there.

    Returns:
      `[T, B]`, linear in rewards and values.

    References:
      Schulman et al. 2016 (High-Dimensional Continuous Control Using
      Generalized Advantage Estimation).
    """
    rewards = tf.convert_to_tensor(rewards)
    values = tf.convert_to_tensor(values, rewards.dtype)
    check_same_shape("values", values, "rewards", rewards)
    if final_values is None:
        final_values = tf.zeros_like(values[0])
    if not isinstance(discount, (int, float)):
        discount = tf.convert_to_tensor(discount, rewards.dtype)
        discount = tf.stop_gradient(discount)
    following = tf.concat([values[1:], final_values[tf.newaxis]], axis=0)
    errors = rewards + discount * following - values
    return returns_to_go(errors, discount * tau)


def lambda_returns(
    rewards: tf.Tensor,
    values: tf.Tensor,
    *,
    discount: Any,
    lambda_: float = 1.0,
    final_values: tf.Tensor | None = None,
) -> tf.Tensor:
    """Returns what TD(lambda) takes for the value of each step.

    `G_t = r_t + discount [(1 - lambda) v_{t+1} + lambda G_{t+1}]`, with
    `G_T = v_T`, the final values. With `lambda_=1` it is the return (plus the
    discounted final value), with `lambda_=0` the one-step target. It is the
    generalised advantage with `tau=lambda_` plus the value.

    Args:
      rewards: `[T, B]`.
      values: `[T, B]`, state values before each step.
      discount: scalar in [0, 1], or per step, `[T, B]`, held constant.
      lambda_: in [0, 1].
      final_values: `[B]`, values after the last step. Default: zeros, for
        episodes that end there.

    Returns:
      `[T, B]`, linear in rewards and values.

    References:
      Sutton, Barto 2018 (Reinforcement Learning: An Introduction), section
      12.1.
    """
    lambda_ = check_number("lambda_", lambda_, 0.0, 1.0)
    rewards = tf.convert_to_tensor(rewards)
    values = tf.convert_to_tensor(values, rewards.dtype)
    return values + generalized_advantages(
        rewards,
        values,
        discount=discount,
        tau=lambda_,
        final_values=final_values,
    )
