"""Means over the states that were visited, as the closed forms weigh them."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dice_tf.estimators.returns import discount_weights
from dice_tf.kernels.row_sums import mean_by_rows
from dice_tf.play.trajectories import Trajectory, step_discounts
from dice_tf.replicas import mean_over_replicas


def visit_weights(trajectory: Trajectory, discount: float) -> tf.Tensor:
    """Returns how much each step counts in a mean over the visited states.

    A visit at step t counts as much as a reward at that step is worth at the
    start: by its discount weight `d_t,b`, which is 0 behind the end of an
    episode. The weights are divided by their mean over the steps of all
    replicas, so that the mean over all steps of `visit_weights * x` is
    `sum_t,b d_t,b x_t,b / sum_t,b d_t,b`. This estimates from play the mean
    over states with the weights of `dice_tf.play.exact_values.state_visits`.

    Args:
      trajectory: what was played.
      discount: in [0, 1], of each step.

    Returns:
      `[T, 1]` where no episode ends early, else `[T, B]`; constant.
    """
    discounts = step_discounts(trajectory, discount)
    weights = discount_weights(trajectory.rewards[0], discounts)
    mean = tf.reduce_mean(weights)
    if tf.is_tensor(discounts):
        # A scalar discount gives all replicas the same mean.
        (mean,) = mean_over_replicas([mean])
    return weights / mean


def visit_means(weights: tf.Tensor, numbers: Sequence[Any]) -> list[tf.Tensor]:
    """Returns the mean of each of several tensors over the visited states.

    Args:
      weights: what `visit_weights` returned.
      numbers: tensors `[T, B]`.

    Returns:
      Scalars, of the replica's own share of the episodes.
    """
    return [mean_by_rows(weights * x) for x in numbers]
