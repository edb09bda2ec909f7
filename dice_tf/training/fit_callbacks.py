"""The callbacks that a trainer adds to those of a `fit`."""

from collections.abc import Sequence
from typing import Any

import keras

from dice_tf.checks import check_whole_number
from dice_tf.objectives.objective import Objective
from dice_tf.training.player_optimizers import PlayerOptimizers
from dice_tf.training.validation import (
    Opponents,
    check_opponents,
    check_size,
)


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


def with_validation(
    callbacks: Any,
    objective: Objective,
    opponents: Any,
    batch_size: Any,
    freq: Any,
) -> Any:
    """Returns the callbacks of a `fit`, with a `Validation` before them.

    Args:
      callbacks: as of `Trainer.fit`.
      objective: what the players maximise.
      opponents: `validation_opponents` of `Trainer.fit`, or `None`.
      batch_size: `validation_batch_size` of `Trainer.fit`.
      freq: `validation_freq` of `Trainer.fit`.
    """
    if opponents is None:
        return callbacks
    callbacks = _as_list(callbacks)
    validation = Validation(
        check_opponents(objective, opponents),
        check_size(batch_size),
        check_whole_number("validation_freq", freq, 1),
        list(filter(_is_swap, callbacks)),
    )
    return [validation, *callbacks]


def with_averages(
    callbacks: Any, critic_optimizers: PlayerOptimizers
) -> list[keras.callbacks.Callback]:
    """Returns callbacks that see averages in the policies when Keras does.

    Args:
      callbacks: as of `Trainer.fit`.
      critic_optimizers: those of the critics.
    """
    shown: list[keras.callbacks.Callback] = [TakeAverages(critic_optimizers)]
    for callback in _as_list(callbacks):
        shown.append(callback)
        if _is_swap(callback):
            shown.append(ShowSwap())
    return shown


def _is_swap(callback: keras.callbacks.Callback) -> bool:
    """Returns whether a callback swaps averages in and out."""
    return isinstance(callback, keras.callbacks.SwapEMAWeights)


def _as_list(callbacks: Any) -> list[keras.callbacks.Callback]:
    """Returns the callbacks of a `fit`, given in any way, as a list."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks = callbacks.callbacks
    if isinstance(callbacks, keras.callbacks.Callback):
        callbacks = [callbacks]
    return list(callbacks or ())
