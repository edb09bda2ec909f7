"""Bridges: games of PettingZoo and OpenSpiel, and ours in PettingZoo."""

from dice_tf.bridges.open_spiel import from_open_spiel
from dice_tf.bridges.petting_zoo import from_pettingzoo, to_pettingzoo
from dice_tf.bridges.python_game import PythonGame
from dice_tf.bridges.vector_environment import VectorEnvironment, VectorStep

__all__ = [
    "PythonGame",
    "VectorEnvironment",
    "VectorStep",
    "from_open_spiel",
    "from_pettingzoo",
    "to_pettingzoo",
]
