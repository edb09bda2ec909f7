"""What the policies of all runs do, as tables."""

from typing import Any

import keras
import numpy as np

from dice_tf.evaluation.tables import action_probabilities
from dice_tf.games.finite import FiniteGame


def check_tables(trainer: keras.Model, what: str) -> None:
    """Raises if policies are no tables: the game has to show its states."""
    game = getattr(trainer.objective, "game", None)
    if not isinstance(game, FiniteGame):
        raise ValueError(
            f"{what} needs a dice_tf.games.FiniteGame, such as an iterated "
            f"matrix game. The game of the trainer is {game!r}."
        )


def run_tables(trainer: Any, num_runs: int) -> list[np.ndarray]:
    """Returns the probabilities of actions, of the first runs.

    Args:
      trainer: a `dice_tf.Trainer`; its loaded run stays what it is.
      num_runs: how many runs.

    Returns:
      Per player `[num_runs, num_observations, num_actions]`.
    """
    loaded, objective = trainer.loaded_run, trainer.objective
    tables: list[list[np.ndarray]] = [[] for _ in objective.policies]
    try:
        for run in range(num_runs):
            trainer.load_run(run)
            for player_id, policy in enumerate(objective.policies):
                tables[player_id].append(
                    action_probabilities(objective.game, policy, player_id)
                )
    finally:
        trainer.load_run(loaded)
    return [np.stack(own) for own in tables]
