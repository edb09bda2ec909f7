"""Actors, trajectories, rollouts and exact values."""

from dice_tf.play.actors import Actor
from dice_tf.play.rollouts import sample_trajectory
from dice_tf.play.trajectories import (
    Trajectory,
    player_entropies,
    player_log_probs,
)

__all__ = [
    "Actor",
    "Trajectory",
    "player_entropies",
    "player_log_probs",
    "sample_trajectory",
]
