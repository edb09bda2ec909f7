"""Returns and advantages of what a trajectory holds, all `[T, B]`.

A discount per step of 0 ends an episode. Batches hold episodes of one length:
shorter ones have other steps behind their end, often padding, which may be NaN
or infinite. These steps do not count in any result, nor in a derivative.
"""

from typing import Any

import tensorflow as tf

from dice_tf.checks import (
    as_floats,
    check_number,
    check_rank,
    check_same_shape,
)
from dice_tf.kernels.row_sums import mean_by_rows
from dice_tf.kernels.sums_over_time import cumulative_sum, decaying_sum


def discount_weights(rewards: tf.Tensor, discount: Any) -> tf.Tensor:
    """Returns what a reward at each step is worth at the start.

    A scalar discount gives `discount**t`. One per step gives the product of
    the discounts *before* t: a discount of 0 at the last step of an episode
    silences all later steps, but not that step itself.

    Args:
      rewards: `[T, B]`, for the shape and the dtype.
      discount: scalar in [0, 1], or per step, `[T, B]`.

    Returns:
      `[T, 1]` of a scalar discount, else `[T, B]`, held constant.

    Raises:
      ValueError: if a scalar is outside [0, 1], or the shape is another.

    Example:
      >>> rewards = tf.constant([[1.0], [2.0], [4.0]])
      >>> weights = dice_tf.estimators.discount_weights(rewards, 0.5)
      >>> weights.numpy().ravel()
      array([1.  , 0.5 , 0.25], dtype=float32)
    """
    return _weights(*until_end(discount, rewards))


def _weights(discount: Any, rewards: tf.Tensor) -> tf.Tensor:
    """Returns `discount_weights`, of what `until_end` returned."""
    discount = tf.stop_gradient(tf.convert_to_tensor(discount, rewards.dtype))
    if discount.shape.rank == 0:
        # One column for all episodes: TensorFlow would fold a whole `[T, B]`
        # into a constant, and keep it.
        powers = tf.cast(tf.range(tf.shape(rewards)[0]), rewards.dtype)
        return tf.pow(discount, powers)[:, tf.newaxis]
    return tf.math.cumprod(discount, axis=0, exclusive=True)


def running_steps(discounts: tf.Tensor) -> tf.Tensor:
    """Returns whether an episode still runs at each step.

    It runs at the step whose discount is 0, and no longer at those after it.

    Args:
      discounts: per step, floating `[T, B]`.

    Returns:
      bool `[T, B]`.

    Raises:
      TypeError, ValueError: if it is not such a tensor.

    Example:
      >>> discounts = tf.constant([[1.0], [0.0], [1.0]])
      >>> dice_tf.estimators.running_steps(discounts).numpy().ravel()
      array([ True,  True, False])
    """
    discounts = as_floats("discounts", discounts)
    check_rank("discounts", discounts, 2, "[T, B]")
    goes_on = tf.cast(discounts != 0.0, discounts.dtype)
    return tf.math.cumprod(goes_on, axis=0, exclusive=True) > 0.0


def until_end(
    discount: Any, rewards: tf.Tensor, *others: tf.Tensor
) -> tuple[tf.Tensor, ...]:
    """Replaces all entries behind the end of each episode by zeros.

    Args:
      discount: scalar in [0, 1], or per step, `[T, B]`. A scalar ends no
        episode.
      rewards: `[T, B]`, for the shape and the dtype.
      *others: tensors `[T, B]`.

    Returns:
      The discount, the rewards, and the others; unchanged if the discount is
      a scalar.

    Raises:
      ValueError: if a scalar is outside [0, 1], or the shape is another.
    """
    rewards = as_floats("rewards", rewards)
    check_rank("rewards", rewards, 2, "[T, B]")
    if isinstance(discount, (int, float)):
        check_number("discount", discount, 0.0, 1.0)
    discounts = as_floats("discount", discount, rewards.dtype)
    if discounts.shape.rank == 0:
        return discount, rewards, *others
    check_rank("discount", discounts, 2, "[] or [T, B]")
    check_same_shape("discount", discounts, "rewards", rewards)
    running = running_steps(discounts)
    # A product with 0 would not silence entries that are not finite.
    return tuple(
        tf.where(running, x, tf.zeros_like(x))
        for x in (discounts, rewards, *others)
    )


def discounted_rewards(rewards: tf.Tensor, discount: Any) -> tf.Tensor:
    """Returns what each reward is worth at the start of its episode.

    That is `d_t r_t`, with `d_t` the `discount_weights`.

    Args:
      rewards: `[T, B]`.
      discount: scalar in [0, 1], or per step, `[T, B]`, held constant.

    Returns:
      `[T, B]`, linear in the rewards.

    Raises:
      ValueError: as of `discount_weights`.

    Example:
      >>> rewards = tf.constant([[1.0], [2.0], [4.0]])
      >>> dice_tf.estimators.discounted_rewards(rewards, 0.5).numpy().ravel()
      array([1., 1., 1.], dtype=float32)
    """
    discount, rewards = until_end(discount, rewards)
    return _weights(discount, rewards) * rewards


def return_scale(discount: float, episode_length: int | None) -> float:
    """Returns what turns a discounted return into a reported one.

    `1 - discount`, so that the reported return of equal rewards is that
    reward; at discount 1 it is `1 / episode_length`, and the reported return
    is the mean reward per step.

    Args:
      discount: in [0, 1], below 1 with an infinite horizon.
      episode_length: T, or `None` for an infinite horizon.

    Raises:
      ValueError: if the horizon is infinite and the discount 1.
    """
    if discount < 1.0:
        return 1.0 - discount
    if episode_length is None:
        raise ValueError(
            "An infinite horizon needs a `discount` below 1. Received: "
            f"discount={discount}, episode_length=None."
        )
    return 1.0 / episode_length


def mean_return(rewards: tf.Tensor, discount: Any) -> tf.Tensor:
    """Returns the mean over episodes of their discounted returns.

    Args:
      rewards: `[T, B]`.
      discount: scalar in [0, 1], or per step, `[T, B]`, held constant.

    Returns:
      A scalar, linear in the rewards.

    Raises:
      ValueError: as of `discount_weights`.

    Example:
      >>> rewards = tf.constant([[1.0, 3.0], [2.0, 2.0]])
      >>> float(dice_tf.estimators.mean_return(rewards, 0.5))
      3.0
    """
    rewards = as_floats("rewards", rewards)
    check_rank("rewards", rewards, 2, "[T, B]")
    length = tf.cast(tf.shape(rewards)[0], rewards.dtype)
    return length * mean_by_rows(discounted_rewards(rewards, discount))


def discounted_errors(
    rewards: tf.Tensor, values: tf.Tensor, discount: Any
) -> tf.Tensor:
    """Returns the errors of one-step predictions, discounted to the start.

    `d_t r_t + d_{t+1} v_{t+1} - d_t v_t`, with `d_t` the discount weights and
    `v_T = 0`. They sum to the discounted return minus the value of the first
    state.

    Args:
      rewards: `[T, B]`.
      values: `[T, B]`, state values before each step.
      discount: scalar in [0, 1], or per step, `[T, B]`, held constant.

    Returns:
      `[T, B]`, linear in rewards and values.
    """
    discount, rewards, values = until_end(discount, rewards, values)
    weights = _weights(discount, rewards)
    values = weights * values
    following = tf.concat([values[1:], tf.zeros_like(values[:1])], axis=0)
    return weights * rewards + following - values


def returns_to_go(rewards: tf.Tensor, discount: Any) -> tf.Tensor:
    """Sums the present and the future rewards, discounted to the present.

    `G_t = r_t + discount_t G_{t+1}`, with `G_T = 0`. A discount per step of 0
    ends an episode, and another one may follow it: rewards behind the end do
    not count in returns before it, also if they are NaN or infinite.

    Args:
      rewards: `[T, B]`.
      discount: scalar in [0, 1], or per step, `[T, B]`, held constant.

    Returns:
      `[T, B]`, linear in the rewards.

    Raises:
      ValueError: as of `discount_weights`.

    Example:
      >>> rewards = tf.constant([[1.0], [2.0], [4.0]])
      >>> dice_tf.estimators.returns_to_go(rewards, 0.5).numpy().ravel()
      array([3., 4., 4.], dtype=float32)
    """
    rewards = as_floats("rewards", rewards)
    check_rank("rewards", rewards, 2, "[T, B]")
    if isinstance(discount, (int, float)):
        check_number("discount", discount, 0.0, 1.0)
        return cumulative_sum(rewards, decay=discount, reverse=True)
    factors = as_floats("discount", discount, rewards.dtype)
    if factors.shape.rank != 0:
        check_rank("discount", factors, 2, "[] or [T, B]")
        check_same_shape("discount", factors, "rewards", rewards)
    factors = tf.broadcast_to(tf.stop_gradient(factors), tf.shape(rewards))
    return decaying_sum(rewards, factors, reverse=True)


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
    minus the value, `G_t - v_t`; with `tau=0` the one-step error. The end of
    an episode separates as in `returns_to_go`.

    Args:
      rewards: `[T, B]`.
      values: `[T, B]`, state values before each step.
      discount: scalar in [0, 1], or per step, `[T, B]`, held constant.
      tau: in [0, 1], called lambda by its authors.
      final_values: `[B]`, values after the last step. Default: zeros, for
        episodes that end there.

    Returns:
      `[T, B]`, linear in rewards and values.

    Raises:
      ValueError: if a shape is another, or the discount is out of its range.

    Example:
      >>> rewards = tf.constant([[1.0], [2.0], [4.0]])
      >>> values = tf.constant([[0.0], [8.0], [2.0]])
      >>> dice_tf.estimators.generalized_advantages(
      ...     rewards, values, discount=0.5, tau=0.0
      ... ).numpy().ravel()
      array([ 5., -5.,  2.], dtype=float32)

    References:
      Schulman et al. 2016 (High-Dimensional Continuous Control Using
      Generalized Advantage Estimation).
    """
    rewards = as_floats("rewards", rewards)
    check_rank("rewards", rewards, 2, "[T, B]")
    values = as_floats("values", values, rewards.dtype)
    check_same_shape("values", values, "rewards", rewards)
    tau = check_number("tau", tau, 0.0, 1.0)
    if final_values is None:
        final_values = tf.zeros_like(values[0])
    final_values = as_floats("final_values", final_values, rewards.dtype)
    check_same_shape("final_values", final_values, "values[-1]", values[-1])
    if isinstance(discount, (int, float)):
        check_number("discount", discount, 0.0, 1.0)
    else:
        discount = as_floats("discount", discount, rewards.dtype)
        if discount.shape.rank != 0:
            check_rank("discount", discount, 2, "[] or [T, B]")
            check_same_shape("discount", discount, "rewards", rewards)
        discount = tf.stop_gradient(discount)
    following = tf.concat([values[1:], final_values[tf.newaxis]], axis=0)
    if not isinstance(discount, (int, float)):
        nothing = tf.zeros_like(following)
        following = tf.where(discount == 0.0, nothing, following)
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
    """Returns the targets that TD(lambda) has for the value of each step.

    `G_t = r_t + discount [(1 - lambda) v_{t+1} + lambda G_{t+1}]`, with
    `G_T = v_T`, the final values. With `lambda_=1` it is the return (plus the
    discounted final value), with `lambda_=0` the one-step target. It is the
    generalised advantage with `tau=lambda_` plus the value, and the end of an
    episode separates as there.

    Args:
      rewards: `[T, B]`.
      values: `[T, B]`, state values before each step.
      discount: scalar in [0, 1], or per step, `[T, B]`, held constant.
      lambda_: in [0, 1].
      final_values: `[B]`, values after the last step. Default: zeros, for
        episodes that end there.

    Returns:
      `[T, B]`, linear in rewards and values.

    Raises:
      ValueError: if a shape is another, or `lambda_` or the discount is out
        of its range.

    Example:
      >>> rewards = tf.constant([[1.0], [2.0], [4.0]])
      >>> values = tf.constant([[0.0], [8.0], [2.0]])
      >>> dice_tf.estimators.lambda_returns(
      ...     rewards, values, discount=0.5, lambda_=0.0
      ... ).numpy().ravel()
      array([5., 3., 4.], dtype=float32)

    References:
      Sutton, Barto 2018 (Reinforcement Learning: An Introduction), section
      12.1.
    """
    lambda_ = check_number("lambda_", lambda_, 0.0, 1.0)
    rewards = as_floats("rewards", rewards)
    check_rank("rewards", rewards, 2, "[T, B]")
    values = as_floats("values", values, rewards.dtype)
    return values + generalized_advantages(
        rewards,
        values,
        discount=discount,
        tau=lambda_,
        final_values=final_values,
    )
