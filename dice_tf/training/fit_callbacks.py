"""The callbacks that a trainer adds to those of a `fit`."""

from collections.abc import Sequence
from typing import Any

import keras

from dice_tf.checks import check_kind, check_whole_number
from dice_tf.objectives.objective import Objective
from dice_tf.training.player_optimizers import PlayerOptimizers
from dice_tf.training.updates import PlayerUpdates
from dice_tf.training.validation import (
    Opponents,
    check_opponents,
    check_size,
)

_MONITORS = (
    keras.callbacks.EarlyStopping,
    keras.callbacks.ModelCheckpoint,
    keras.callbacks.ReduceLROnPlateau,
)
# Keras knows by their names that these are minimised.
_LOSSES = ("loss", "val_loss")


class Validation(keras.callbacks.Callback):
    """Adds the returns of matches to the logs of every n-th epoch.

    It stands before the other callbacks, so that they see what it adds. It
    also evaluates the first epoch of a `fit`, from which `CSVLogger` takes its
    columns.

    Args:
      opponents: what `check_opponents` returned.
      batch_size: as of `Trainer.evaluate`.
      every: number of epochs from one evaluation to the next.
      swaps: callbacks that swap averages in while Keras evaluates.
    """

    def __init__(
        self,
        opponents: Opponents,
        batch_size: int | None,
        every: int,
        swaps: Sequence[keras.callbacks.Callback] = (),
    ):
        super().__init__()
        self._swaps = swaps
        self._opponents = opponents
        self._batch_size = batch_size
        self._every = every
        self._is_first = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if (epoch + 1) % self._every and not self._is_first:
            return
        self._is_first = False
        for swap in self._swaps:
            swap.on_test_begin()
        returns = self.model.evaluate(
            self._opponents, batch_size=self._batch_size
        )
        for swap in self._swaps:
            swap.on_test_end()
        self.model.synchronize()
        logs.update((f"val_{name}", value) for name, value in returns.items())


class TakeAverages(keras.callbacks.Callback):
    """Puts averages in place at the end of a `fit`.

    Keras does so for the players' optimisers, before this callback. It does
    not know the critics' optimisers, whose turn is here.

    Args:
      critic_optimizers: those of the critics.
    """

    def __init__(self, critic_optimizers: PlayerOptimizers):
        super().__init__()
        self._critic_optimizers = critic_optimizers

    def on_train_end(self, logs: Any = None) -> None:
        if self._critic_optimizers.use_averages:
            self._critic_optimizers.take_averages()
        self.model.synchronize()


class ShowSwap(keras.callbacks.Callback):
    """Makes policies hold the averages that `SwapEMAWeights` has swapped in.

    It stands right after that callback.
    """

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.model.synchronize()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.model.synchronize()


def prepared_callbacks(
    callbacks: Any,
    objective: Objective,
    opponents: Any,
    batch_size: Any,
    freq: Any,
    updates: PlayerUpdates | None,
) -> Any:
    """Returns the callbacks of a `fit`, checked, with those that it adds.

    Args:
      callbacks: as of `Trainer.fit`.
      objective: what the players maximise.
      opponents: `validation_opponents` of `Trainer.fit`, or `None`.
      batch_size: `validation_batch_size` of `Trainer.fit`.
      freq: `validation_freq` of `Trainer.fit`.
      updates: what the trainer was compiled with, or `None`.

    Raises:
      ValueError: if a callback of Keras could not do what it is for.
      TypeError, ValueError: if another argument does not fit.
    """
    _check_callbacks(_as_list(callbacks))
    if opponents is not None:
        callbacks = _with_validation(
            _as_list(callbacks), objective, opponents, batch_size, freq
        )
    if updates is not None and updates.use_averages:
        callbacks = _with_averages(
            _as_list(callbacks), updates.critic_optimizers
        )
    return callbacks


def _check_callbacks(callbacks: Sequence[keras.callbacks.Callback]) -> None:
    """Raises if a callback of Keras could not do what it is for.

    Keras notices after the first epoch, whose work is then lost, or not at
    all: some versions minimise whatever has another name than `acc`.
    """
    for callback in filter(_is_monitor, callbacks):
        name = type(callback).__name__
        # Some versions of Keras keep no `mode` in a `ModelCheckpoint`.
        mode = getattr(callback, "mode", None)
        if mode == "auto" and callback.monitor not in _LOSSES:
            raise ValueError(
                f"{name} monitors {callback.monitor!r}, and cannot tell "
                f"whether more of it is better. {_direction(callback.monitor)}"
            )
        if (
            isinstance(callback, keras.callbacks.ModelCheckpoint)
            and not callback.save_weights_only
        ):
            raise ValueError(
                f"{name} would save the trainer as a whole, which holds games "
                "and learners. Pass save_weights_only=True, and a path that "
                "ends in '.weights.h5'."
            )


def _with_validation(
    callbacks: Sequence[keras.callbacks.Callback],
    objective: Objective,
    opponents: Any,
    batch_size: Any,
    freq: Any,
) -> list[keras.callbacks.Callback]:
    """Returns the callbacks of a `fit`, with a `Validation` before them."""
    validation = Validation(
        check_opponents(objective, opponents),
        check_size(batch_size),
        check_whole_number("validation_freq", freq, 1),
        list(filter(_is_swap, callbacks)),
    )
    return [validation, *callbacks]


def _with_averages(
    callbacks: Sequence[keras.callbacks.Callback],
    critic_optimizers: PlayerOptimizers,
) -> list[keras.callbacks.Callback]:
    """Returns callbacks that see averages in the policies when Keras does."""
    shown: list[keras.callbacks.Callback] = [TakeAverages(critic_optimizers)]
    for callback in callbacks:
        shown.append(callback)
        if _is_swap(callback):
            shown.append(ShowSwap())
    return shown


def _is_monitor(callback: Any) -> bool:
    """Returns whether Keras compares a metric from epoch to epoch."""
    return isinstance(callback, _MONITORS)


def _direction(metric: str) -> str:
    """Returns what to do about a metric without a direction."""
    if metric.endswith("/return") or "/return_against_" in metric:
        return "Returns are maximised: pass mode='max'."
    return "Pass mode='max' or mode='min'."


def _is_swap(callback: keras.callbacks.Callback) -> bool:
    """Returns whether a callback swaps averages in and out."""
    return isinstance(callback, keras.callbacks.SwapEMAWeights)


def _as_list(callbacks: Any) -> list[keras.callbacks.Callback]:
    """Returns the callbacks of a `fit`, given in any way, as a list.

    Raises:
      TypeError: if it is something else.
    """
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks = callbacks.callbacks
    if isinstance(callbacks, keras.callbacks.Callback):
        callbacks = [callbacks]
    kinds, expected = (list, tuple, type(None)), "a list of callbacks of Keras"
    check_kind("callbacks", callbacks, kinds, expected)
    for position, callback in enumerate(callbacks or ()):
        name = f"callbacks[{position}]"
        expected = "a keras.callbacks.Callback"
        check_kind(name, callback, keras.callbacks.Callback, expected)
    return list(callbacks or ())
