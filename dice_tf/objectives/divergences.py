"""Divergences between policies, over the play of one of them."""

from collections.abc import Sequence

import tensorflow as tf

from dice_tf.models.seat_models import Weights
from dice_tf.objectives.visits import visit_means, visit_weights
from dice_tf.play.actors import Actor
from dice_tf.play.trajectories import Trajectory, player_divergences
from dice_tf.replicas import mean_over_replicas


def mean_divergences(
    actors: Sequence[Actor],
    weights: Sequence[Weights],
    other_weights: Sequence[Weights],
    trajectory: Trajectory,
    discount: float,
) -> tuple[tf.Tensor, ...]:
    """Returns the mean divergence of each player's policy from another.

    A step counts as much as a reward at that step is worth at the start, as in
    closed form: `sum_t,b d_t,b KL_t,b / sum_t,b d_t,b` with the discount
    weights `d_t,b`.

    Args:
      actors: one per player.
      weights: one per player, of the policies that played.
      other_weights: one per player, of the policies to compare them with.
      trajectory: what was played.
      discount: in [0, 1], of each step.

    Returns:
      One scalar per player, in nats, differentiable in all weights, with the
      visited states held constant.
    """
    divergences = [
        player_divergences(
            actor, weights[i], actor, other_weights[i], trajectory, i
        )
        for i, actor in enumerate(actors)
    ]
    means = visit_means(visit_weights(trajectory, discount), divergences)
    return tuple(mean_over_replicas(means))
