"""All that training changes, taken out of a trainer and put back."""

from typing import NamedTuple

import keras
import numpy as np


class Snapshot(NamedTuple):
    """What training has changed, at some moment.

    Attributes:
      values: arrays, of `state_variables`.
      curves: `[iterations, num_seeds, num_players]`.
    """

    values: list[np.ndarray]
    curves: np.ndarray


def state_variables(trainer: keras.Model) -> list[keras.Variable]:
    """Returns what training changes, but for the curves.

    Parameters, critics, what learners and optimisers remember, and the number
    of the iteration.

    Args:
      trainer: a `dice_tf.Trainer`, compiled or not yet.
    """
    optimizers = [
        *getattr(trainer, "player_optimizers", ()),
        *getattr(trainer, "critic_optimizers", ()),
    ]
    return [
        *trainer.variables,
        *(variable for own in optimizers for variable in own.variables),
    ]


def take_snapshot(trainer: keras.Model) -> Snapshot:
    """Returns copies of all that training changes."""
    trainer.synchronize()
    return Snapshot(
        [variable.numpy() for variable in state_variables(trainer)],
        trainer.curves,
    )


def put_back(trainer: keras.Model, snapshot: Snapshot) -> None:
    """Makes a trainer what it was, keeping room for as much as is to come."""
    coming = trainer.num_coming_iterations
    for variable, value in zip(
        state_variables(trainer), snapshot.values, strict=True
    ):
        variable.assign(value)
    trainer.put_back_curves(snapshot.curves, coming)
    trainer.show_loaded_run()
