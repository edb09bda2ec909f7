"""What the policies of all runs do, as tables."""

import numpy as np

from dice_tf.evaluation.tables import action_probabilities
from dice_tf.games.finite import FiniteGame
from dice_tf.trainer import Trainer


def check_tables(trainer: Trainer, what: str) -> FiniteGame:
    """Returns the game, or raises if policies are not tables of its states."""
    game = trainer.objective.game
    if not isinstance(game, FiniteGame):
        raise ValueError(
            f"{what} needs a dice_tf.games.FiniteGame, such as an iterated "
            f"matrix game. The game of the trainer is {game!r}."
        )
    return game


def run_tables(trainer: Trainer, num_runs: int) -> list[np.ndarray]:
    """Returns the probabilities of actions in the first runs.

    Args:
      trainer: a `dice_tf.Trainer`; its loaded run stays loaded.
      num_runs: how many runs.

    Returns:
      Per player `[num_runs, num_observations, num_actions]`.
    """
    objective = trainer.objective
    game = check_tables(trainer, "A table of policies")
    runs = trainer.map_loaded_runs(
        lambda run: [
            action_probabilities(game, policy, player_id)
            for player_id, policy in enumerate(objective.policies)
        ],
        num_runs,
    )
    return [np.stack(tables) for tables in zip(*runs, strict=True)]
