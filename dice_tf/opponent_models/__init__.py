"""Opponent modelling: opponents estimated from the play that was seen."""

from dice_tf.opponent_models.opponent_modelling import (
    OpponentModelling,
    OpponentModelState,
)

__all__ = ["OpponentModelState", "OpponentModelling"]
