"""A guard against values that stop being finite."""

from typing import Any

import keras
import numpy as np

from dice_tf.checks import check_number, check_whole_number


class RestoreLastGood(keras.callbacks.Callback):
    """Returns to the last good epoch, and continues with smaller steps.

    An epoch is good if all that training changes, and all that was logged, is
    finite. After a bad epoch, the trainer is put back to the end of the last
    good one (parameters, critics, what learners and optimisers remember, the
    number of the iteration, the curves). The rates of all optimisers are
    multiplied by `factor`, once for each bad epoch in a row. The epochs that
    were undone still count. All runs go back together.

    Args:
      factor: what rates are multiplied by, in (0, 1).
      max_restores: number of bad epochs in a row after which to give up.

    Attributes:
      num_restores: how often it went back.

    Raises:
      ValueError: when training starts, if an optimiser has a schedule, which
        cannot be slowed, or if there is nothing good to return to.
      RuntimeError: after more bad epochs in a row. The trainer is then at the
        end of the last good one.

    Example:
      >>> guard = dice_tf.callbacks.RestoreLastGood(factor=0.5)
      >>> trainer.fit(epochs=20, steps_per_epoch=10, callbacks=[guard])
    """

    def __init__(self, factor: float = 0.5, max_restores: int = 5):
        super().__init__()
        self._factor = check_number("factor", factor, 0.0, 1.0)
        if self._factor in (0.0, 1.0):
            raise ValueError(
                f"`factor` must be between 0 and 1. Received: factor={factor}."
            )
        self._max_restores = check_whole_number("max_restores", max_restores, 1)
        self.num_restores = 0
        self._num_in_a_row = 0
        self._good = None

    def on_train_begin(self, logs: Any = None) -> None:
        for optimizer in self._optimizers():
            if not isinstance(optimizer.learning_rate, keras.Variable):
                raise ValueError(
                    "RestoreLastGood lowers rates and cannot lower that of "
                    f"{optimizer.name!r}, which has a schedule. Give it a "
                    "number."
                )
        self._num_in_a_row = 0
        good = self.model.take_snapshot()
        self._good = good
        if not _is_finite([*good.values, good.curves]):
            raise ValueError(
                "RestoreLastGood has nothing good to go back to: parameters or "
                "curves of the trainer are not finite as training starts, in "
                f"the runs {list(self.model.diverged_runs)} (from 0). Train "
                "with it from the start, in a new trainer."
            )

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        now = self.model.take_snapshot()
        if _is_finite([*now.values, now.curves, *(logs or {}).values()]):
            self._good = now
            self._num_in_a_row = 0
            return
        self.model.put_back(self._good)
        if self._num_in_a_row == self._max_restores:
            raise RuntimeError(
                f"{self._num_in_a_row + 1} epochs in a row ended with values "
                "that are not finite. The trainer is where the last good one "
                "ended. Start with smaller rates, or clip with "
                "`max_gradient_norm`."
            )
        self.num_restores += 1
        self._num_in_a_row += 1
        for optimizer in self._optimizers():
            rate = float(optimizer.learning_rate.numpy())
            optimizer.learning_rate = rate * self._factor**self._num_in_a_row

    def _optimizers(self) -> list[keras.optimizers.Optimizer]:
        return [*self.model.player_optimizers, *self.model.critic_optimizers]


def _is_finite(values: list[Any]) -> bool:
    return all(np.all(np.isfinite(value)) for value in values)
