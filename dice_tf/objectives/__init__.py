"""Objectives: every player's parameters to every player's value."""

from dice_tf.objectives.advantages import Advantages
from dice_tf.objectives.exact import ExactObjective
from dice_tf.objectives.finite_tasks import FiniteTasks
from dice_tf.objectives.function import FunctionObjective
from dice_tf.objectives.game_objective import GameState
from dice_tf.objectives.objective import Objective, Play
from dice_tf.objectives.sampled_dice import DiCEObjective
from dice_tf.objectives.sampled_first_order_baseline import (
    FirstOrderBaselineObjective,
)
from dice_tf.objectives.sampled_surrogate import SurrogateObjective
from dice_tf.objectives.sampled_tasks import SampledTasks
from dice_tf.objectives.tasks import TaskFamily
from dice_tf.objectives.ultimatum_game import ultimatum

__all__ = [
    "Advantages",
    "DiCEObjective",
    "ExactObjective",
    "FiniteTasks",
    "FirstOrderBaselineObjective",
    "FunctionObjective",
    "GameState",
    "Objective",
    "Play",
    "SampledTasks",
    "SurrogateObjective",
    "TaskFamily",
    "ultimatum",
]
