"""Training with a progress bar and checkpoints, from settings to curves."""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

import dice_tf

from ..command_line.commands import user_errors
from ..command_line.stopping import (
    deferred_interrupts,
    stop_requested,
)
from ..results.outputs import OutputFolder
from ..settings.training_settings import TrainingSettings
from .builders import build_trainer, compile_trainer
from .tracking import tracked

# How often the progress bar moves, and the most steps between two moves. No
# Python runs in between.
_MOVES = 20
_MOST_STEPS = 20

# The progress bar shows these.
_RETURN, _DIVERGED = "joint return", "diverged runs"


class Training(NamedTuple):
    """A training that has ended.

    Attributes:
      settings: all that determined it.
      trainer: holds what was learned.
      curves: `[num_iterations, num_runs, num_players]`, reported returns.
      seconds: wall time, compilation included.
      seconds_per_iteration: wall time of an iteration once compiled.
      diverged: numbers of the runs, from 0, that are not finite in the end.
    """

    settings: TrainingSettings
    trainer: dice_tf.Trainer
    curves: np.ndarray
    seconds: float
    seconds_per_iteration: float
    diverged: tuple[int, ...] = ()

    @property
    def judged(self) -> np.ndarray:
        """The curves, with NaN as the last returns of runs that diverged.

        The returns do not show what the very last update did to the players.
        """
        curves = self.curves.copy()
        curves[-1:, list(self.diverged)] = np.nan
        return curves


class ProgressBar(keras.callbacks.Callback):
    """One Keras progress bar over a whole training, with the joint return.

    The return is NaN once a run has diverged; the number of such runs follows.
    Its clock starts when the first steps are done: they compile.
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


class StopWhenAsked(keras.callbacks.Callback):
    """Saves and stops a training between epochs if somebody has asked for it.

    Args:
      checkpoint: where to save.

    Raises:
      KeyboardInterrupt: when it has saved.
    """

    def __init__(self, checkpoint: dice_tf.callbacks.Checkpoint):
        super().__init__()
        self._checkpoint = checkpoint

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if stop_requested():
            self._checkpoint.save(self.model, epoch + 1)
            raise KeyboardInterrupt


def checkpoint_of(
    folder: OutputFolder, name: str, settings: NamedTuple
) -> dice_tf.callbacks.Checkpoint:
    """Returns the checkpoint of one training of a run."""
    return dice_tf.callbacks.Checkpoint(
        folder.checkpoint_path(name),
        configuration=settings._asdict(),
        every_seconds=folder.checkpoint_every,
        resume=False,
        keep=True,
    )


def train_methods(
    settings: Mapping[str, TrainingSettings], folder: OutputFolder
) -> dict[str, Training]:
    """Trains methods one after the other, showing the progress of each.

    Returns:
      By method name, what was learned.
    """
    # A method that does not fit the game is found before the first training.
    with user_errors():
        trainers = {
            name: build_trainer(method) for name, method in settings.items()
        }
    trainings = {}
    for number, (name, method) in enumerate(settings.items(), 1):
        place = f" ({number} of {len(settings)})" if len(settings) > 1 else ""
        print(
            f"{name}{place}: {method.num_seeds} runs. Compiling takes a while.",
            flush=True,
        )
        with user_errors():
            checkpoint = checkpoint_of(folder, name, method)
        with tracked(folder, name, method) as trackers:
            trainings[name] = train(
                trainers[name], method, checkpoint, trackers
            )
    return trainings


def train(
    trainer: dice_tf.Trainer,
    settings: TrainingSettings,
    checkpoint: dice_tf.callbacks.Checkpoint,
    trackers: Sequence[keras.callbacks.Callback] = (),
) -> Training:
    """Compiles a new trainer and trains it.

    Args:
      trainer: the result of `build_trainer(settings)`.
      settings: all that determines the training.
      checkpoint: continued if it has a file, written now and then and at the
        end.
      trackers: further callbacks.
    """
    num_iterations = settings.num_iterations
    steps = min(math.ceil(num_iterations / _MOVES), _MOST_STEPS)
    epochs, rest = divmod(num_iterations, steps)
    # All executions of the compiled step are alike, also those of the rest.
    compile_trainer(trainer, settings, math.gcd(steps, rest))
    bar = ProgressBar(num_iterations)
    with user_errors():
        done = checkpoint.restore(trainer)
    if done:
        print(f"Continued after {trainer.iterations} iterations.")
    for last, length in ((epochs, steps), (epochs + 1, rest)):
        if length and done < last:
            with deferred_interrupts():
                trainer.fit(
                    epochs=last,
                    initial_epoch=done,
                    steps_per_epoch=length,
                    verbose=0,
                    callbacks=[
                        bar,
                        *trackers,
                        checkpoint,
                        StopWhenAsked(checkpoint),
                    ],
                )
            done = last
    seconds = checkpoint.seconds
    checkpoint.save(trainer, done)
    return Training(
        settings,
        trainer,
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
