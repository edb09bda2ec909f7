"""Loaded DiCE: advantages, and dependencies that fade with time."""

from typing import Any

import tensorflow as tf

from dice_tf.checks import as_floats, check_number
from dice_tf.estimators.dice import (
    Box,
    held_constant,
    magic_box,
    state_values,
)
from dice_tf.estimators.returns import (
    discount_weights,
    generalized_advantages,
    until_end,
)
from dice_tf.kernels.sums_over_time import cumulative_sum


def loaded_dice_objective(
    log_probs: tf.Tensor,
    rewards: tf.Tensor,
    *,
    discount: Any,
    baseline: Any,
    lambda_: float = 1.0,
    tau: float = 1.0,
) -> tf.Tensor:
    """Returns the discounted return of each episode, as Loaded DiCE.

    `sum_t d_t [r_t + (box(w_t) - box(w_t - l_t)) A_t]`, where `l_t` are the
    log-probabilities, `w_t = lambda w_{t-1} + l_t`, and `A_t` the generalised
    advantage with `tau`. With `lambda_=1` and `tau=1` it has the derivatives
    of `dice_objective` with the same state values, sample by sample.

    The value is always `sum_t d_t r_t`. With `tau=1` the first derivatives
    are unbiased, with `lambda_=1` too those of every order. A smaller
    `lambda_` forgets how earlier actions led to the present one, which biases
    second and higher derivatives and lowers their variance; a smaller `tau`
    trusts the values, which biases all, unless the values are exact, and
    lowers their variance.

    Args:
      log_probs: floating `[T, B]`, as of `dice_objective`.
      rewards: `[T, B]`, held constant.
      discount: scalar in [0, 1], or per step, `[T, B]`, held constant.
      baseline: state values `[T, B]` before each step, held constant.
      lambda_: in [0, 1], the decay of dependencies per step.
      tau: in [0, 1], of the advantages.

    Returns:
      `[B]`, the objective of each episode, not reduced.

    Raises:
      ValueError: if a shape or a number is wrong.

    References:
      Farquhar, Whiteson, Foerster 2019 (Loaded DiCE: Trading off Bias and
      Variance in Any-Order Score Function Gradient Estimators for
      Reinforcement Learning).
    """
    return boxed_loaded_objective(
        log_probs, rewards, discount, baseline, lambda_, tau, magic_box
    )


def boxed_loaded_objective(
    log_probs: tf.Tensor,
    rewards: tf.Tensor,
    discount: Any,
    baseline: Any,
    lambda_: float,
    tau: float,
    box: Box,
) -> tf.Tensor:
    """Returns `loaded_dice_objective` with this box.

    Args:
      log_probs: as of `loaded_dice_objective`.
      rewards: as of `loaded_dice_objective`.
      discount: as of `loaded_dice_objective`.
      baseline: as of `loaded_dice_objective`.
      lambda_: as of `loaded_dice_objective`.
      tau: as of `loaded_dice_objective`.
      box: as of `dice_tf.estimators.dice.boxed_objective`.

    Returns:
      `[B]`, the objective of each episode, not reduced.
    """
    log_probs = as_floats("log_probs", log_probs)
    rewards = held_constant("rewards", rewards, log_probs)
    values = state_values(baseline, log_probs)
    lambda_ = check_number("lambda_", lambda_, 0.0, 1.0)
    tau = check_number("tau", tau, 0.0, 1.0)
    discount, rewards, log_probs, values = until_end(
        discount, rewards, log_probs, values
    )
    weights = discount_weights(rewards, discount)
    advantages = generalized_advantages(
        rewards, values, discount=discount, tau=tau
    )
    dependencies = cumulative_sum(log_probs, decay=lambda_)
    boxes = box(dependencies) - box(dependencies - log_probs)
    return tf.reduce_sum(weights * (rewards + boxes * advantages), axis=0)
