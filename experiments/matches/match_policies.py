"""From the names of entrants to policies in a game."""

from collections.abc import Sequence

import keras
import numpy as np

import dice_tf
from experiments.matches.entrants import Entrant
from experiments.settings.line_up import OPPONENTS


def build_policy(
    source: str, game: dice_tf.games.FiniteGame, player_id: int
) -> keras.Model:
    """Returns a fixed policy, or the one of a SavedModel, for a seat.

    Raises:
      ValueError: if the SavedModel does not fit the seat, or its probabilities
        are not finite.
    """
    if source in OPPONENTS:
        return getattr(dice_tf.policies, source)(game, player_id)
    policy = dice_tf.policies.from_saved_model(source)
    table = dice_tf.evaluation.action_probabilities(game, policy, player_id)
    if not np.all(np.isfinite(table)):
        raise ValueError(
            f"The SavedModel {source!r} must give finite probabilities, and "
            "gives NaN, as after a training that has diverged. Leave it out."
        )
    return policy


def build_entrants(
    entrants: Sequence[Entrant], game: dice_tf.games.FiniteGame
) -> dict[str, list[keras.Model]]:
    """Returns one policy per seat of each entrant, by name."""
    return {
        entrant.name: [
            build_policy(source, game, player_id)
            for player_id, source in enumerate(entrant.sources)
        ]
        for entrant in entrants
    }
