"""What a training logs while it goes on, for the trackers of --log_to.

Each tracker is its own Keras callback, so that it logs what Keras logs at the
end of an epoch. Files lie in `logs/<run>/` of the output folder, where `<run>`
is the same for the same settings only: a run that goes on goes on there.
"""

import contextlib
import os
import pathlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple

import keras

from ..results.json_files import plain
from ..results.outputs import OutputFolder

LOGS = "logs"
# Digits of the run's digest in the name of its folder.
_NUM_DIGITS = 8
_PROJECT = "dice_tf"


class TrackedTraining(NamedTuple):
    """One training of a run, as its trackers know it.

    Attributes:
      name: of the training, such as the method.
      settings: all that determines it.
      folder: where its files are.
      is_resumed: whether an interrupted training goes on.
    """

    name: str
    settings: NamedTuple
    folder: pathlib.Path
    is_resumed: bool

    def kept_id(self, tracker: str) -> pathlib.Path:
        """Returns the file with the tracker's own name of the training."""
        return self.folder / f"{self.name}.{tracker}_id"

    def found_id(self, tracker: str) -> str | None:
        """Returns that name if the training goes on, `None` if it is new."""
        path = self.kept_id(tracker)
        if self.is_resumed and path.exists():
            return path.read_text(encoding="utf-8")
        return None


@contextlib.contextmanager
def tracked(
    folder: OutputFolder, name: str, settings: NamedTuple
) -> Iterator[list[keras.callbacks.Callback]]:
    """Yields the callbacks that --log_to asks for.

    They may be given to several calls of `fit`, one after the other. Trackers
    that have to be told when a training ends are told at the end.

    Args:
      folder: the folder of the results.
      name: of the training, such as the method.
      settings: all that determines it.
    """
    with contextlib.ExitStack() as stack:
        callbacks = []
        if folder.log_to:
            digest = folder.record.digest if folder.record else "run"
            logs = folder.path / LOGS / digest[:_NUM_DIGITS]
            logs.mkdir(parents=True, exist_ok=True)
            training = TrackedTraining(name, settings, logs, folder.is_resumed)
            callbacks = [
                stack.enter_context(_TRACKERS[tracker](training))
                for tracker in folder.log_to
            ]
        yield callbacks


@contextlib.contextmanager
def _csv(training: TrackedTraining) -> Iterator[keras.callbacks.Callback]:
    path = training.folder / f"{training.name}.csv"
    if not training.is_resumed:
        path.unlink(missing_ok=True)
    # Otherwise each call of `fit` would start the file anew.
    yield keras.callbacks.CSVLogger(str(path), append=True)


@contextlib.contextmanager
def _tensorboard(
    training: TrackedTraining,
) -> Iterator[keras.callbacks.Callback]:
    # The graph is that of Keras' own step, and histograms would be drawn of
    # all runs together.
    yield keras.callbacks.TensorBoard(
        str(training.folder / training.name), write_graph=False
    )


@contextlib.contextmanager
def _wandb(training: TrackedTraining) -> Iterator[keras.callbacks.Callback]:
    import wandb
    from wandb.integration.keras import WandbMetricsLogger

    with wandb.init(
        project=os.environ.get("WANDB_PROJECT", _PROJECT),
        name=training.name,
        id=training.found_id("wandb"),
        resume="allow",
        dir=str(training.folder),
        config=plain(training.settings),
    ) as run:
        training.kept_id("wandb").write_text(run.id, encoding="utf-8")
        yield WandbMetricsLogger()


@contextlib.contextmanager
def _mlflow(training: TrackedTraining) -> Iterator[keras.callbacks.Callback]:
    import mlflow
    from mlflow.tensorflow import MlflowCallback

    found = training.found_id("mlflow")
    with mlflow.start_run(
        run_id=found, run_name=None if found else training.name
    ) as run:
        training.kept_id("mlflow").write_text(run.info.run_id, encoding="utf-8")
        if found is None:
            mlflow.log_params(plain(training.settings))
        yield MlflowCallback(run)


_TRACKERS: dict[
    str,
    Callable[
        [TrackedTraining], AbstractContextManager[keras.callbacks.Callback]
    ],
] = {
    "csv": _csv,
    "tensorboard": _tensorboard,
    "wandb": _wandb,
    "mlflow": _mlflow,
}
