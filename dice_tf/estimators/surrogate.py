"""The surrogate loss: derivatives that are right to the first order."""

from typing import Any

import tensorflow as tf

from dice_tf.checks import as_floats, check_number
from dice_tf.estimators.dice import (
    held_constant,
    is_leave_one_out,
    mean_of_others,
)
from dice_tf.estimators.returns import (
    discount_weights,
    generalized_advantages,
    until_end,
)
from dice_tf.kernels.sums_over_time import cumulative_sum


def surrogate_objective(
    log_probs: tf.Tensor,
    rewards: tf.Tensor,
    *,
    discount: Any,
    baseline: Any = None,
    tau: float = 1.0,
) -> tf.Tensor:
    """Returns the discounted return of each episode, as a surrogate loss.

    `sum_t [d_t r_t + (l_t - stop_gradient(l_t)) a_t]`, where `l_t` are the
    log-probabilities and `a_t`, held constant, what the action of step t is
    credited with:

    - no baseline: `sum_{k >= t} d_k r_k`;
    - `"leave_one_out"`: `sum_{k >= t} d_k (r_k - m_k)`, where `d_k m_k` is
      the mean of `d_k r_k` over the *other* episodes;
    - state values: `d_t A_t`, the generalised advantage with `tau`.

    The value is always `sum_t d_t r_t`. With `tau=1` the first derivatives
    are those of `dice_objective` with the same baseline, sample by sample,
    and unbiased; a smaller `tau` biases them and lowers their variance. The
    second derivatives are wrong: they are `sum_t a_t d2 l_t`, without the
    products of scores, `dl_t dl_s`, that a return depends on. Where l is a sum
    over players, as in a game, nothing is left of the derivative of one
    player's gradient in another's parameters: a shaping learner that uses
    this objective has no shaping term, which makes it a control.

    Args:
      log_probs: floating `[T, B]`, as of `dice_objective`.
      rewards: `[T, B]`, held constant.
      discount: scalar in [0, 1], or per step, `[T, B]`, held constant.
      baseline: as of `dice_objective`, held constant.
      tau: in [0, 1], of the advantages; below 1 only with state values.

    Returns:
      `[B]`, the objective of each episode, not reduced.

    Raises:
      ValueError: if a shape, a number or the baseline's name is wrong.

    References:
      Foerster et al. 2018 (DiCE), for surrogate losses and what their
      second derivatives lack.
    """
    log_probs = as_floats("log_probs", log_probs)
    rewards = held_constant("rewards", rewards, log_probs)
    tau = check_number("tau", tau, 0.0, 1.0)
    discount, rewards, log_probs = until_end(discount, rewards, log_probs)
    weights = discount_weights(rewards, discount)
    discounted = weights * rewards
    if is_leave_one_out(baseline):
        centred = discounted - mean_of_others(baseline, discounted)
        credits = cumulative_sum(centred, reverse=True)
    elif baseline is None:
        credits = cumulative_sum(discounted, reverse=True)
    else:
        values = held_constant("baseline", baseline, log_probs)
        *_, values = until_end(discount, rewards, values)
        credits = weights * generalized_advantages(
            rewards, values, discount=discount, tau=tau
        )
    if tau < 1.0 and (baseline is None or is_leave_one_out(baseline)):
        raise ValueError(
            "`tau` below 1 needs state values as the baseline. Received: "
            f"baseline={baseline!r}, tau={tau}."
        )
    steps = log_probs - tf.stop_gradient(log_probs)
    return tf.reduce_sum(discounted + steps * credits, axis=0)
