"""Checkpoints that a training continues from, bit by bit, whatever ends it."""

import os
import pathlib
import stat
import time
import warnings
from typing import Any

import keras

from dice_tf.checks import (
    check_flag,
    check_kind,
    check_number,
    check_whole_number,
)
from dice_tf.trainer import Trainer
from dice_tf.training.checkpoints import (
    Progress,
    as_json,
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
    while it is being replaced, and another training refuses it. If it cannot
    be written, since the disk is full, say, the earlier file stays, and
    training goes on with a warning. What other callbacks remember (the
    patience of `EarlyStopping`, say) is not part of it. Of several workers the
    first one saves, and all must see its file to continue.

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
      TypeError, ValueError: if an argument is of the wrong kind.
      ValueError: when training starts, if the file is damaged or belongs to
        another training, or if there can be no file at the path. The trainer
        is then as it was before.

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
        self.path = _check_path(path)
        self._configuration = as_json("configuration", configuration)
        self._every_seconds = check_number("every_seconds", every_seconds)
        self._resume = check_flag("resume", resume)
        self._keep = check_flag("keep", keep)
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
          TypeError: if it is not a trainer.
          ValueError: if the trainer is not compiled, or the file is damaged or
            belongs to another training. The trainer is then as it was before.
        """
        identity = self._identity(trainer)
        try:
            snapshot, progress = read_checkpoint(
                self.path, identity, trainer.take_snapshot()
            )
        except FileNotFoundError:
            return 0
        trainer.put_back(snapshot)
        self._start -= progress.seconds
        return progress.epoch

    def save(self, trainer: Trainer, epoch: int) -> bool:
        """Writes the file. Of several workers, only the first does.

        If that fails, it warns, and an earlier file stays as it is.

        Args:
          trainer: a compiled `dice_tf.Trainer`.
          epoch: number of epochs done.

        Returns:
          Whether the file was written.

        Raises:
          TypeError: if it is not a trainer.
          ValueError: if the trainer is not compiled.
        """
        epoch = check_whole_number("epoch", epoch, 0)
        identity = self._identity(trainer)
        if not trainer.is_chief:
            return False
        try:
            write_checkpoint(
                self.path,
                identity,
                trainer.take_snapshot,
                Progress(epoch, self.seconds),
            )
        except OSError as error:
            warnings.warn(
                f"The checkpoint {str(self.path)!r} could not be written: "
                f"{error}. An earlier one stays as it is, and training can go "
                "on.",
                stacklevel=2,
            )
            return False
        finally:
            self._last = time.monotonic()
        return True

    def _identity(self, trainer: Trainer) -> dict[str, Any]:
        """Returns what must be the same to continue a training."""
        check_kind("trainer", trainer, Trainer, "a dice_tf.Trainer")
        if not trainer.compiled:
            raise ValueError(
                "A trainer must be compiled before it is saved to a "
                "checkpoint or restored: optimisers are part of its state."
            )
        identity = {
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
        }
        identity = as_json("the settings of an optimiser", identity)
        return {**identity, "configuration": self._configuration}

    def on_train_begin(self, logs: Any = None) -> None:
        _check_place(self.path)
        # What cannot be saved is found before the first epoch.
        self._identity(self.model)
        if self._resume:
            # `keras.callbacks.BackupAndRestore` sets this, too, to tell `fit`
            # where to start. Keras has no public way.
            self.model._initial_epoch = self.restore(self.model)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if time.monotonic() - self._last >= self._every_seconds:
            self.save(self.model, epoch + 1)

    def on_train_end(self, logs: Any = None) -> None:
        if self._keep or not self.model.is_chief:
            return
        try:
            delete_checkpoint(self.path)
        except OSError as error:
            warnings.warn(
                f"The checkpoint {str(self.path)!r} could not be removed after "
                f"training has ended: {error}. Remove it yourself, or the next "
                "training will continue from it.",
                stacklevel=2,
            )


def _check_path(path: Any) -> pathlib.Path:
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(
            "`path` must be a string or path of a file. "
            f"Received: path={path!r} (of type {type(path).__name__})."
        )
    text = os.fspath(path)
    if not isinstance(text, str) or not text or "\0" in text:
        raise ValueError(
            "`path` must be the path of a file on a local disk. Received: "
            f"path={path!r}."
        )
    return pathlib.Path(text)


def _check_place(path: pathlib.Path) -> None:
    """Raises if there can never be a file, however empty the disk is."""
    try:
        if not stat.S_ISDIR(os.stat(path).st_mode):
            return
        reason = "it is a folder"
    except FileNotFoundError:
        return
    except OSError as error:
        # A name that is too long, say, or a file in the place of a folder.
        reason = str(error)
    raise ValueError(
        f"`path` of a Checkpoint must be a file. Received: {str(path)!r}: "
        f"{reason}."
    )


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
