"""Divergences between policies, over the play of one of them."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dice_tf.models import Weights
from dice_tf.policies.actor import Actor
from dice_tf.replicas import mean_over_replicas
from dice_tf.returns import discount_weights
from dice_tf.trajectory import Trajectory, player_divergences


def mean_divergences(
    actors: Sequence[Actor],
    weights: Sequence[Weights],
    other_weights: Sequence[Weights],
    trajectory: Trajectory,
    discount: Any,
) -> tuple[tf.Tensor, ...]:
    """Returns the mean divergence of each player's policy from another.

    A step counts by what a reward at it is worth, as the visits of closed
    forms do: `sum_t,b w_t,b KL_t,b / sum_t,b w_t,b` with the discount weights.

    Args:
      actors: one per player.
      weights: one per player, of the policies that played.
      other_weights: one per player, of the policies to compare them with.
      trajectory: what was played.
      discount: scalar, or per step `[T, B]`.

    Returns:
      One scalar per player, in nats, differentiable in all weights, with the
      visited states held constant.
    """
    rewards = trajectory.rewards[0]
    shares = tf.broadcast_to(
        discount_weights(discount, rewards), tf.shape(rewards)
    )
    (total,) = mean_over_replicas([tf.reduce_sum(shares)])
    shares = shares / total
    divergences = [
        tf.reduce_sum(
            shares * player_divergences(actor, own, actor, other, trajectory, i)
        )
        for i, (actor, own, other) in enumerate(
            zip(actors, weights, other_weights, strict=True)
        )
    ]
    return tuple(mean_over_replicas(divergences))
