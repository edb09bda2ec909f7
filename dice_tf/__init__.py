"""Opponent shaping in TensorFlow: LOLA-DiCE and the field around it."""

from dice_tf import critics, export, games, learners, objectives, policies
from dice_tf.dice import dice_objective, magic_box
from dice_tf.trainer import Trainer
from dice_tf.version import __version__

__all__ = [
    "Trainer",
    "__version__",
    "critics",
    "dice_objective",
    "export",
    "games",
    "learners",
    "magic_box",
    "objectives",
    "policies",
]
