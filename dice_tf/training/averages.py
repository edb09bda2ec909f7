"""Averages of parameters that Keras' optimisers keep, in a `fit`."""

from collections.abc import Sequence
from typing import Any

import keras

from dice_tf.training.player_optimizers import PlayerOptimizers


class TakeAverages(keras.callbacks.Callback):
    """Ends a `fit` for optimisers that Keras does not know of: the critics'.

    Keras has put the averages of the players' optimisers in place before.

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
    """Makes policies hold what `SwapEMAWeights`, before it, has swapped."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.model.synchronize()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.model.synchronize()


def swaps_of(callbacks: Sequence[keras.callbacks.Callback]) -> list:
    """Returns the callbacks that swap averages in and out."""
    return [
        own
        for own in callbacks
        if isinstance(own, keras.callbacks.SwapEMAWeights)
    ]


def with_averages(
    callbacks: Sequence[keras.callbacks.Callback],
    critic_optimizers: PlayerOptimizers,
) -> list[keras.callbacks.Callback]:
    """Returns callbacks that see policies with averages where Keras has them.

    Args:
      callbacks: of the `fit`.
      critic_optimizers: those of the critics.
    """
    swaps = swaps_of(callbacks)
    shown: list[keras.callbacks.Callback] = [TakeAverages(critic_optimizers)]
    for own in callbacks:
        shown.append(own)
        if own in swaps:
            shown.append(ShowSwap())
    return shown


def callback_list(callbacks: Any) -> list[keras.callbacks.Callback]:
    """Returns the callbacks of a `fit` as a list, however they were given."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks = callbacks.callbacks
    if isinstance(callbacks, keras.callbacks.Callback):
        callbacks = [callbacks]
    return list(callbacks or ())
