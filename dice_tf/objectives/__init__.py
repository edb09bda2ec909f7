"""Objectives: every player's parameters to every player's value."""

from dice_tf.objectives.dice import DiCEObjective
from dice_tf.objectives.exact import ExactObjective
from dice_tf.objectives.function import FunctionObjective
from dice_tf.objectives.objective import GameState, Objective, Play

__all__ = [
    "DiCEObjective",
    "ExactObjective",
    "FunctionObjective",
    "GameState",
    "Objective",
    "Play",
]
