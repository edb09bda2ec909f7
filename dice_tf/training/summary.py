"""A trainer in a few lines of text: who learns what, and how."""

from collections.abc import Sequence

import keras
import numpy as np


def describe(trainer: keras.Model) -> str:
    """Returns what `Trainer.summary` says before Keras' table.

    Args:
      trainer: a `dice_tf.Trainer`.
    """
    seeds = f"seed {trainer.seed}"
    if trainer.num_seeds > 1:
        seeds = (
            f"seeds {trainer.seed} to {trainer.seed + trainer.num_seeds - 1}"
        )
    lines = [
        f"{type(trainer.objective).__name__}, {len(trainer.players)} players, "
        f"{trainer.num_seeds} run{'s' if trainer.num_seeds > 1 else ''} "
        f"({seeds}), {trainer.iterations} iterations so far"
    ]
    for player_id, (player, learner) in enumerate(
        zip(trainer.players, trainer.learners, strict=True)
    ):
        parts = ["stands still" if learner is None else type(learner).__name__]
        parts.append(f"{_size(player.params)} parameters a run")
        if player.critic_params:
            parts.append(f"critic of {_size(player.critic_params)}")
        optimizer = trainer.optimizer_of(player_id)
        if optimizer is not None:
            rate = f"rate {float(np.asarray(optimizer.learning_rate)):g}"
            parts += [type(optimizer).__name__, rate]
        lines.append(f"player_{player_id}: {', '.join(parts)}")
    return "\n".join(lines)


def _size(variables: Sequence[keras.Variable]) -> int:
    """Returns the number of entries, of one run."""
    return sum(int(np.prod(variable.shape[1:])) for variable in variables)
