"""DiCE: the infinitely differentiable Monte-Carlo estimator.

Reference: Foerster, Farquhar, Al-Shedivat, Rocktaschel, Xing, Whiteson,
"DiCE: The Infinitely Differentiable Monte-Carlo Estimator", ICML 2018.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from dice_tf.checks import as_floats, check_rank, check_same_shape, naming
from dice_tf.estimators.returns import (
    discounted_errors,
    discounted_rewards,
    until_end,
)
from dice_tf.kernels.sums_over_time import cumulative_sum

LEAVE_ONE_OUT = "leave_one_out"

Box = Callable[[tf.Tensor], tf.Tensor]


def magic_box(x: tf.Tensor) -> tf.Tensor:
    """Returns `exp(x - stop_gradient(x))`, which is 1 with all derivatives.

    The value is exactly 1. The derivative of any order is that of
    `exp(x - c)` at the constant `c = x`; the first is
    `magic_box(x) * dx`. Multiplying a cost by the magic box of the
    log-probabilities that it depends on therefore gives, under repeated
    differentiation, the score-function estimator of that order.

    Args:
      x: floating tensor of any shape.

    Returns:
      A tensor like `x`, differentiable in `x` to any order.

    Example:
      >>> x = tf.Variable(3.0)
      >>> with tf.GradientTape() as tape:
      ...     y = dice_tf.magic_box(2.0 * x)
      >>> float(y), float(tape.gradient(y, x))
      (1.0, 2.0)

    References:
      Foerster et al. 2018 (DiCE), section 3.
    """
    x = as_floats("x", x)
    return tf.exp(x - tf.stop_gradient(x))


def dice_objective(
    log_probs: tf.Tensor,
    rewards: tf.Tensor,
    *,
    discount: Any,
    baseline: Any = None,
) -> tf.Tensor:
    """Returns the discounted return of each episode, as a DiCE objective.

    With `d_t` the discount weight of step t, `C_t` the sum of
    `log_probs` up to and including t, and `box` the magic box:

    - no baseline: `sum_t d_t box(C_t) r_t`;
    - `"leave_one_out"`: `sum_t d_t [r_t + (box(C_t) - 1) (r_t - m_t)]`, where
      `d_t m_t` is the mean of `d_t r_t` over the *other* episodes;
    - state values `b`: `sum_t d_t [box(C_t) r_t +
      (box(C_{t-1}) - box(C_t)) b_t]`, where `b_t` may depend on what was
      known before the action of step t, and not on that action.

    The value is always `sum_t d_t r_t`. The expected derivatives, of every
    order, are those of the expected return, with each of the baselines;
    the last one lowers the variance of each order, the second mostly that of
    the first.

    Args:
      log_probs: floating `[T, B]`, the log-probability of the joint action of
        each step, summed over the players. The only argument through which
        gradients flow.
      rewards: `[T, B]`, of one player. Held constant.
      discount: scalar in [0, 1], or per step, `[T, B]`: how much the next step
        is worth. Held constant. A 0 per step ends an episode: later steps do
        not count, also if they are NaN or infinite.
      baseline: `None`, `"leave_one_out"` (needs B of at least 2), or state
        values `[T, B]`, held constant. A function from the discounted rewards
        `d_t r_t` to `d_t m_t`, both `[T, B]`, is `"leave_one_out"` with other
        means, such as those of a larger batch.

    Returns:
      `[B]`, the objective of each episode, not reduced.

    Raises:
      ValueError: if a shape, the discount or the baseline's name is wrong.

    References:
      Foerster et al. 2018 (DiCE), section 3, for the objective; Mao et al.
      2019 (A Baseline for Any Order Gradient Estimation in Stochastic
      Computation Graphs) for the baseline valid at every order.
    """
    return boxed_objective(log_probs, rewards, discount, baseline, magic_box)


def boxed_objective(
    log_probs: tf.Tensor,
    rewards: tf.Tensor,
    discount: Any,
    baseline: Any,
    box: Box,
) -> tf.Tensor:
    """Returns `dice_objective` with this box.

    Args:
      log_probs: as of `dice_objective`.
      rewards: as of `dice_objective`.
      discount: as of `dice_objective`.
      baseline: as of `dice_objective`.
      box: `magic_box`, or `dice_tf.kernels.boxes.unit_box`, which says when
        its derivatives are lost.

    Returns:
      `[B]`, the objective of each episode, not reduced.
    """
    log_probs = as_floats("log_probs", log_probs)
    rewards = held_constant("rewards", rewards, log_probs)
    discount, rewards, log_probs = until_end(discount, rewards, log_probs)
    discounted = discounted_rewards(rewards, discount)
    if baseline is None:
        credits = discounted
    elif is_leave_one_out(baseline):
        credits = discounted - mean_of_others(baseline, discounted)
    else:
        values = held_constant("baseline", baseline, log_probs)
        # The terms in `box(C_t)` of the sum above, put together.
        credits = discounted_errors(rewards, values, discount)
    boxes = box(cumulative_sum(log_probs))
    return tf.reduce_sum(discounted + (boxes - 1.0) * credits, axis=0)


def is_leave_one_out(baseline: Any) -> bool:
    """Whether a baseline centres rewards; raises on unknown names."""
    if isinstance(baseline, str) and baseline != LEAVE_ONE_OUT:
        raise ValueError(
            f"`baseline` must be None, {LEAVE_ONE_OUT!r} or state values "
            f"of shape [T, B]. Received: baseline={baseline!r}."
        )
    return isinstance(baseline, str) or callable(baseline)


def mean_of_others(baseline: Any, discounted: tf.Tensor) -> tf.Tensor:
    """Returns the means by which a baseline centres discounted rewards.

    Args:
      baseline: a name or a function for which `is_leave_one_out` is true.
      discounted: `[T, B]`, discounted rewards.

    Returns:
      `[T, B]`, constant.
    """
    if callable(baseline):
        with naming("baseline", baseline, "a function of discounted rewards"):
            means = tf.convert_to_tensor(baseline(discounted))
        return tf.stop_gradient(means)
    return leave_one_out_mean(discounted)


def held_constant(name: str, values: Any, log_probs: tf.Tensor) -> tf.Tensor:
    """Returns values like `log_probs`, without their gradient."""
    check_rank("log_probs", log_probs, 2, "[T, B]")
    values = as_floats(name, values, log_probs.dtype)
    check_same_shape(name, values, "log_probs", log_probs)
    return tf.stop_gradient(values)


def leave_one_out_mean(x: tf.Tensor) -> tf.Tensor:
    """Returns the mean over the other episodes of the batch.

    Args:
      x: `[T, B]`.

    Returns:
      `[T, B]`: `(sum_b x_tb - x_tb) / (B - 1)`.

    Raises:
      ValueError: if the batch holds a single episode.
    """
    if x.shape[1] == 1:
        raise ValueError(
            "The baseline 'leave_one_out' needs a batch of at least 2 "
            "episodes. Received a batch of 1: use a larger batch, no "
            "baseline, or state values."
        )
    others = tf.reduce_sum(x, axis=1, keepdims=True) - x
    return others / tf.cast(tf.shape(x)[1] - 1, x.dtype)


def state_values(baseline: Any, log_probs: tf.Tensor) -> tf.Tensor:
    """Returns a baseline of state values `[T, B]`, held constant.

    Raises:
      ValueError: if the baseline is another one, or its shape is.
    """
    if baseline is None or isinstance(baseline, str) or callable(baseline):
        raise ValueError(
            "`baseline` must be state values of shape [T, B]. Received: "
            f"baseline={baseline!r}."
        )
    return held_constant("baseline", baseline, log_probs)
