"""Other estimators of the derivatives of a return, beside DiCE.

All have the signature of `dice_tf.dice_objective` and its value, the
discounted return; they differ in their derivatives. As there, a discount per
step of 0 ends an episode, and what stands behind its end does not count. Of
`sum_t d_t r_t`, with state values `b_t` as the baseline where there is one:

| estimator                        | unbiased orders | lower variance in |
|----------------------------------|-----------------|-------------------|
| `surrogate_objective`            | 1               | 1                 |
| `first_order_baseline_objective` | all             | 1                 |
| `dice_objective`                 | all             | all               |
| `loaded_dice_objective`          | see there       | all               |
"""

from typing import Any

import tensorflow as tf

from dice_tf.checks import check_number
from dice_tf.estimators.dice import (
    Box,
    held_constant,
    is_leave_one_out,
    magic_box,
    mean_of_others,
)
from dice_tf.estimators.returns import (
    discount_weights,
    generalized_advantages,
    until_end,
)
from dice_tf.kernels.sums_over_time import cumulative_sum

__all__ = [
    "first_order_baseline_objective",
    "loaded_dice_objective",
    "surrogate_objective",
]


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
    log_probs = tf.convert_to_tensor(log_probs)
    rewards = held_constant("rewards", rewards, log_probs)
    tau = check_number("tau", tau, 0.0, 1.0)
    discount, rewards, log_probs = until_end(discount, rewards, log_probs)
    weights = discount_weights(discount, rewards)
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
    log_probs = tf.convert_to_tensor(log_probs)
    rewards = held_constant("rewards", rewards, log_probs)
    values = _state_values(baseline, log_probs)
    discount, rewards, log_probs, values = until_end(
        discount, rewards, log_probs, values
    )
    weights = discount_weights(discount, rewards)
    boxes = magic_box(cumulative_sum(log_probs))
    return tf.reduce_sum(
        weights * (boxes * rewards + (1.0 - magic_box(log_probs)) * values),
        axis=0,
    )


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
    log_probs = tf.convert_to_tensor(log_probs)
    rewards = held_constant("rewards", rewards, log_probs)
    values = _state_values(baseline, log_probs)
    lambda_ = check_number("lambda_", lambda_, 0.0, 1.0)
    tau = check_number("tau", tau, 0.0, 1.0)
    discount, rewards, log_probs, values = until_end(
        discount, rewards, log_probs, values
    )
    weights = discount_weights(discount, rewards)
    advantages = generalized_advantages(
        rewards, values, discount=discount, tau=tau
    )
    dependencies = cumulative_sum(log_probs, decay=lambda_)
    boxes = box(dependencies) - box(dependencies - log_probs)
    return tf.reduce_sum(weights * (rewards + boxes * advantages), axis=0)


def _state_values(baseline: Any, log_probs: tf.Tensor) -> tf.Tensor:
    if baseline is None or isinstance(baseline, str) or callable(baseline):
        raise ValueError(
            "`baseline` must be state values of shape [T, B]. Received: "
            f"baseline={baseline!r}."
        )
    return held_constant("baseline", baseline, log_probs)
