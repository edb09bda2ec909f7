"""DiCE with the baseline term of its authors, made for first derivatives."""

from typing import Any

import tensorflow as tf

from dice_tf.checks import as_floats
from dice_tf.estimators.dice import (
    held_constant,
    magic_box,
    state_values,
)
from dice_tf.estimators.returns import discount_weights, until_end
from dice_tf.kernels.sums_over_time import cumulative_sum


def first_order_baseline_objective(
    log_probs: tf.Tensor, rewards: tf.Tensor, *, discount: Any, baseline: Any
) -> tf.Tensor:
    """Returns the discounted return of each episode, as DiCE's authors do.

    `sum_t d_t [box(C_t) r_t + (1 - box(l_t)) b_t]`, where `l_t` are the
    log-probabilities, `C_t` their sum up to and including t, `box` the magic
    box and `b` the state values.

    The value is always `sum_t d_t r_t`. The derivatives of every order are
    unbiased. The baseline lowers the variance of the first, which is that of
    `dice_objective` with the same values, sample by sample; in second and
    higher ones it leaves the products of scores of different steps as they
    are, which is where most of their variance comes from.

    Args:
      log_probs: floating `[T, B]`, as of `dice_objective`.
      rewards: `[T, B]`, held constant.
      discount: scalar in [0, 1], or per step, `[T, B]`, held constant.
      baseline: state values `[T, B]` before each step, held constant.

    Returns:
      `[B]`, the objective of each episode, not reduced.

    Raises:
      ValueError: if a shape or a number is wrong.

    References:
      Foerster et al. 2018 (DiCE), on variance reduction.
    """
    log_probs = as_floats("log_probs", log_probs)
    rewards = held_constant("rewards", rewards, log_probs)
    values = state_values(baseline, log_probs)
    discount, rewards, log_probs, values = until_end(
        discount, rewards, log_probs, values
    )
    weights = discount_weights(rewards, discount)
    boxes = magic_box(cumulative_sum(log_probs))
    return tf.reduce_sum(
        weights * (boxes * rewards + (1.0 - magic_box(log_probs)) * values),
        axis=0,
    )
