"""Training with a progress bar, from settings to curves."""

import math
import time
from typing import Any, NamedTuple

import keras
import numpy as np

import dice_tf
from experiments.building.builders import compile_trainer
from experiments.command_line.user_errors import user_errors
from experiments.settings.settings import Settings

# How often the progress bar moves. In between, no Python runs.
_MOVES = 20
_MOST_STEPS = 20

# What the progress bar shows.
_RETURN, _DIVERGED = "joint return", "diverged runs"


class Training(NamedTuple):
    """What a training leaves behind, beside the trained trainer.

    Attributes:
      curves: `[num_iterations, num_runs, num_players]`, reported returns.
      seconds: wall time, compilation included.
      seconds_per_iteration: wall time of an iteration once compiled.
      diverged: numbers of the runs, from 0, that are not finite in the end.
    """

    curves: np.ndarray
    seconds: float
    seconds_per_iteration: float
    diverged: tuple[int, ...] = ()

    @property
    def judged(self) -> np.ndarray:
        """The curves, with NaN as the last returns of runs that diverged.

        No return shows what the very last update has made of the players.
        """
        curves = self.curves.copy()
        curves[-1:, list(self.diverged)] = np.nan
        return curves


class ProgressBar(keras.callbacks.Callback):
    """One Keras progress bar over a whole training, with the joint return.

    The return is NaN once a run has diverged; the number of such runs follows.
    Its clock starts when the first steps are done: they compile.

    Args:
      num_iterations: of the training.
    """

    def __init__(self, num_iterations: int):
        super().__init__()
        self.iterations_at: list[tuple[int, float]] = []
        self._num_iterations = num_iterations
        self._bar = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self._bar is None:
            self._bar = keras.utils.Progbar(
                self._num_iterations,
                stateful_metrics=[_RETURN, _DIVERGED],
                unit_name="iteration",
            )
        done = self.model.iterations
        self.iterations_at.append((done, time.perf_counter()))
        shown = [(_RETURN, logs["joint/return"])]
        if diverged := self.model.diverged_runs:
            shown.append((_DIVERGED, len(diverged)))
        self._bar.update(done, shown)


def train(
    trainer: dice_tf.Trainer,
    settings: Settings,
    checkpoint: dice_tf.callbacks.Checkpoint | None = None,
) -> Training:
    """Compiles a new trainer and trains it.

    Args:
      trainer: what `build_trainer(settings)` returned.
      settings: all that determines the training.
      checkpoint: from where to go on, if it has a file, and where to leave
        one now and then, and at the end.
    """
    start = time.perf_counter()
    num_iterations = settings.num_iterations
    steps = min(math.ceil(num_iterations / _MOVES), _MOST_STEPS)
    epochs, rest = divmod(num_iterations, steps)
    # All executions of the compiled step are alike, also those of the rest.
    compile_trainer(trainer, settings, math.gcd(steps, rest))
    bar = ProgressBar(num_iterations)
    callbacks = [bar]
    done = 0
    if checkpoint is not None:
        with user_errors():
            done = checkpoint.restore(trainer)
        if done:
            print(f"Continued after {trainer.iterations} iterations.")
        callbacks.append(checkpoint)
    if done < epochs:
        trainer.fit(
            epochs=epochs,
            initial_epoch=done,
            steps_per_epoch=steps,
            verbose=0,
            callbacks=callbacks,
        )
    if rest and done <= epochs:
        trainer.fit(
            epochs=epochs + 1,
            initial_epoch=epochs,
            steps_per_epoch=rest,
            verbose=0,
            callbacks=callbacks,
        )
    seconds = time.perf_counter() - start
    if checkpoint is not None:
        seconds = checkpoint.seconds
        checkpoint.save(trainer, epochs + bool(rest))
    return Training(
        trainer.curves,
        seconds,
        _seconds_per_iteration(bar.iterations_at, seconds, num_iterations),
        trainer.diverged_runs,
    )


def _seconds_per_iteration(
    iterations_at: list[tuple[int, float]], seconds: float, num_iterations: int
) -> float:
    """Leaves out the first epoch, which compiles, if there are others."""
    if len(iterations_at) < 2:
        return seconds / num_iterations
    first, first_time = iterations_at[0]
    last, last_time = iterations_at[-1]
    return (last_time - first_time) / (last - first)
