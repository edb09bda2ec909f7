"""Checkpoints that a training continues from, bit by bit, whatever ends it."""

import os
import pathlib
import time
from typing import Any

import keras

from dice_tf.checks import check_number
from dice_tf.training.checkpoints import (
    delete_checkpoint,
    load_checkpoint,
    save_checkpoint,
)


class Checkpoint(keras.callbacks.Callback):
    """Saves a training at the ends of epochs, and continues from there.

    If the file is there when `fit` starts, training goes on from the epoch
    after it, and ends with the parameters and the curves, bit by bit, that it
    would have had without interruption (on the same machine, with the same
    versions). It differs from `keras.callbacks.BackupAndRestore` in that the
    file is whole at any moment, also while it is being replaced, and that it
    is refused by another training. What other callbacks remember (the
    patience of `EarlyStopping`, say) is not part of it. Of several workers the
    first one saves, and all must see its file to continue.

    Args:
      path: the file.
      configuration: JSON, what else must be the same to continue: what is
        not seen in the trainer, such as rates of learners or the game.
      every_seconds: time from one checkpoint to the next, at least; 0 saves
        every epoch.
      resume: whether to continue from the file if it is there; otherwise it
        is replaced.
      keep: whether the file stays when training has ended as it should.

    Raises:
      ValueError: on starting to train, if the file is damaged or that of
        another training. The trainer is as it was before.

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
        """Wall time so far, with that of the training that is continued."""
        return time.monotonic() - self._start

    def restore(self, trainer: keras.Model) -> int:
        """Puts a trainer where the file says, if there is one.

        Args:
          trainer: a compiled `dice_tf.Trainer`.

        Returns:
          The number of epochs done, 0 without a file.

        Raises:
          ValueError: if the file is damaged or that of another training.
        """
        if not self.path.exists():
            return 0
        progress = load_checkpoint(trainer, self.path, self._configuration)
        self._start -= progress["seconds"]
        return progress["epoch"]

    def save(self, trainer: keras.Model, epoch: int) -> None:
        """Writes the file; of several workers, only the first does.

        Args:
          trainer: a compiled `dice_tf.Trainer`.
          epoch: number of epochs done.
        """
        if not trainer.is_chief:
            return
        save_checkpoint(
            trainer,
            self.path,
            self._configuration,
            {"epoch": epoch, "seconds": self.seconds},
        )
        self._last = time.monotonic()

    def on_train_begin(self, logs: Any = None) -> None:
        if self._resume:
            # As keras.callbacks.BackupAndRestore tells `fit` where to start.
            self.model._initial_epoch = self.restore(self.model)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if time.monotonic() - self._last >= self._every_seconds:
            self.save(self.model, epoch + 1)

    def on_train_end(self, logs: Any = None) -> None:
        if not self._keep and self.model.is_chief:
            delete_checkpoint(self.path)
