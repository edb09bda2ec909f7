"""Checkpoints that a training continues from, bit by bit, whatever ends it."""

import os
import pathlib
import time
from typing import Any

import keras

from dice_tf.checks import check_number
from dice_tf.trainer import Trainer
from dice_tf.training.checkpoints import (
    delete_checkpoint,
    read_checkpoint,
    write_checkpoint,
)


class Checkpoint(keras.callbacks.Callback):
    """Saves a training at the ends of epochs, and continues from there.

    If the file exists when `fit` starts, training goes on from the epoch after
    it. It ends with the same parameters and curves, bit by bit, as without
    interruption (on the same machine, with the same versions). Unlike that of
    `keras.callbacks.BackupAndRestore`, the file is whole at any moment, also
    while it is being replaced, and another training refuses it. What other
    callbacks remember (the patience of `EarlyStopping`, say) is not part of
    it. Of several workers the first one saves, and all must see its file to
    continue.

    Args:
      path: the file.
      configuration: JSON, what else must be the same to continue, and cannot
        be seen in the trainer, such as rates of learners or the game.
      every_seconds: least time from one checkpoint to the next; 0 saves every
        epoch.
      resume: whether to continue from an existing file; otherwise it is
        replaced.
      keep: whether the file stays after training has ended normally.

    Raises:
      ValueError: when training starts, if the file is damaged or belongs to
        another training. The trainer is then as it was before.

    Example:
      >>> checkpoint = dice_tf.callbacks.Checkpoint("runs/mine.checkpoint")
      >>> trainer.fit(epochs=20, steps_per_epoch=10, callbacks=[checkpoint])
    """

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        configuration: Any = None,
        every_seconds: float = 0.0,
        resume: bool = True,
        keep: bool = False,
    ):
        super().__init__()
        self.path = pathlib.Path(path)
        self._configuration = configuration
        self._every_seconds = check_number("every_seconds", every_seconds)
        self._resume = resume
        self._keep = keep
        self._start = self._last = time.monotonic()

    @property
    def seconds(self) -> float:
        """Wall time so far, including that of the training it continues."""
        return time.monotonic() - self._start

    def restore(self, trainer: Trainer) -> int:
        """Loads the file into a trainer, if there is one.

        Args:
          trainer: a compiled `dice_tf.Trainer`.

        Returns:
          The number of epochs done, 0 without a file.

        Raises:
          ValueError: if the trainer is not compiled, or the file is damaged or
            belongs to another training.
        """
        if not self.path.exists():
            return 0
        progress = read_checkpoint(
            self.path, self._identity(trainer), trainer.load_weights
        )
        self._start -= progress["seconds"]
        return progress["epoch"]

    def save(self, trainer: Trainer, epoch: int) -> None:
        """Writes the file. Of several workers, only the first does.

        Args:
          trainer: a compiled `dice_tf.Trainer`.
          epoch: number of epochs done.

        Raises:
          ValueError: if the trainer is not compiled.
        """
        if not trainer.is_chief:
            return
        write_checkpoint(
            self.path,
            self._identity(trainer),
            trainer.save_weights,
            progress={"epoch": epoch, "seconds": self.seconds},
        )
        self._last = time.monotonic()

    def _identity(self, trainer: Trainer) -> dict[str, Any]:
        """Returns what must be the same to continue a training."""
        if not trainer.compiled:
            raise ValueError(
                "A trainer must be compiled before it is saved to a "
                "checkpoint or restored: optimisers are part of its state."
            )
        return {
            "num_seeds": trainer.num_seeds,
            "seed": trainer.seed,
            "learners": [
                type(learner).__name__ for learner in trainer.learners
            ],
            "variables": {
                f"{player.name}/{variable.name}": _shape(variable)
                for player in trainer.players
                for variable in player.variables
            },
            "optimizer": list(map(_settings, trainer.player_optimizers)),
            "critic_optimizer": list(map(_settings, trainer.critic_optimizers)),
            "configuration": self._configuration,
        }

    def on_train_begin(self, logs: Any = None) -> None:
        if self._resume:
            # `keras.callbacks.BackupAndRestore` sets this, too, to tell `fit`
            # where to start. Keras has no public way.
            self.model._initial_epoch = self.restore(self.model)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if time.monotonic() - self._last >= self._every_seconds:
            self.save(self.model, epoch + 1)

    def on_train_end(self, logs: Any = None) -> None:
        if not self._keep and self.model.is_chief:
            delete_checkpoint(self.path)


def _shape(variable: keras.Variable) -> str:
    return f"{variable.dtype} {list(variable.shape)}"


def _settings(optimizer: keras.optimizers.Optimizer) -> dict[str, Any]:
    """Returns what must be the same of an optimiser to continue."""
    config = optimizer.get_config()
    # A rate that is a number is state, since callbacks may change it.
    if isinstance(config.get("learning_rate"), float):
        del config["learning_rate"]
    del config["name"]
    return {
        **config,
        "class": type(optimizer).__name__,
        "variables": [_shape(variable) for variable in optimizer.variables],
    }
