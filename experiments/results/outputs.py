"""The folder of results: all files of a run appear there, or none."""

import contextlib
import json
import math
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

CONFIG = "config.json"
CURVES = "curves.csv"
SUMMARY = "summary.json"
SAVED_MODELS = "saved_model"
TOURNAMENT = "tournament.csv"

# What is there while a run goes on.
_CHECKPOINTS = ".checkpoints"
_STAGE = ".unfinished-"

# What tells an earlier run. The summary comes last: with it, all is there.
_MARKS = (SUMMARY, CURVES, TOURNAMENT, CONFIG, SAVED_MODELS)


class OutputFolder:
    """A folder that takes the files of one run, all at the end.

    Files are written into a hidden folder inside, and moved to their names
    when all of them are complete: a run that is interrupted leaves nothing,
    and an earlier run as it was.

    While a run goes on, its checkpoints lie in a hidden folder, too. They
    stay if it is interrupted, for it to be resumed, and go when it has ended.

    Args:
      path: the folder; made if it is not there.
      overwrite: whether to replace an earlier run, and what an interrupted
        one has left.
      resume: whether to continue an interrupted run.

    Attributes:
      path: the folder.
      checkpoints: the folder of checkpoints, made by those who write there.
      is_resumed: whether an interrupted run is continued.
      has_finished: whether there is nothing left to continue.

    Raises:
      ValueError: if it is no folder, or holds an earlier or interrupted run.
      OSError: if it cannot be made or written.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        overwrite: bool = False,
        resume: bool = False,
    ):
        if not str(path):
            raise ValueError("--output_dir must name a folder. Received: ''.")
        if overwrite and resume:
            raise ValueError("Choose one of --overwrite and --resume.")
        self.path = pathlib.Path(path)
        self.checkpoints = self.path / _CHECKPOINTS
        self.is_resumed = resume and self.has_checkpoints
        self.has_finished = (
            resume and not self.is_resumed and (self.path / SUMMARY).exists()
        )
        # A run that died while its files were moved here has left some.
        self._overwrite = overwrite or self.is_resumed
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(
                f"--output_dir must be a folder. {str(path)!r} is a file."
            )
        if self.has_finished:
            return
        self._refuse_earlier_run()
        if not resume:
            self._refuse_checkpoints()
        self.path.mkdir(parents=True, exist_ok=True)
        if self.is_resumed:
            for stage in self.path.glob(f"{_STAGE}*"):
                shutil.rmtree(stage)
        # Now, and not after the training, is the time to find out.
        tempfile.TemporaryFile(dir=self.path).close()

    @contextlib.contextmanager
    def collect(self) -> Iterator[pathlib.Path]:
        """Yields a folder to write to, and publishes it if no error occurs.

        Raises:
          ValueError: if another run has put its files here in between.
        """
        with tempfile.TemporaryDirectory(prefix=_STAGE, dir=self.path) as name:
            stage = pathlib.Path(name)
            yield stage
            self._refuse_earlier_run()
            self._remove_earlier_run()
            entries = sorted(
                os.listdir(stage), key=lambda name: name == SUMMARY
            )
            for entry in entries:
                os.replace(stage / entry, self.path / entry)
        self._remove_checkpoints()

    @property
    def has_checkpoints(self) -> bool:
        """Whether a run has left checkpoints here."""
        return self.checkpoints.is_dir() and any(self.checkpoints.iterdir())

    def _remove_checkpoints(self) -> None:
        """Removes all or none of them, whenever the process ends."""
        if self.checkpoints.is_dir():
            folder = tempfile.mkdtemp(prefix=_STAGE, dir=self.path)
            os.replace(self.checkpoints, pathlib.Path(folder, "checkpoints"))
            shutil.rmtree(folder, ignore_errors=True)

    def _refuse_checkpoints(self) -> None:
        if not self.has_checkpoints:
            return
        if not self._overwrite:
            raise ValueError(
                f"--output_dir={str(self.path)!r} holds the checkpoints of a "
                "run that was interrupted. Continue it with --resume, start "
                "anew with --overwrite, or choose another folder."
            )
        shutil.rmtree(self.checkpoints)

    def _refuse_earlier_run(self) -> None:
        found = [mark for mark in _MARKS if (self.path / mark).exists()]
        if found and not self._overwrite:
            raise ValueError(
                f"--output_dir={str(self.path)!r} holds an earlier run "
                f"({', '.join(found)}). Choose another folder, or replace "
                "that run with --overwrite."
            )

    def _remove_earlier_run(self) -> None:
        for mark in _MARKS:
            path = self.path / mark
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        for picture in self.path.glob("*.png"):
            picture.unlink()


def interrupted(folder: OutputFolder) -> str:
    """Returns what to say when a user has interrupted a run."""
    if folder.has_checkpoints:
        return f"\nInterrupted. Continue with --resume: {folder.path}."
    return f"\nInterrupted. Nothing was written to {folder.path}."


def finished(folder: OutputFolder) -> str:
    """Returns what to say when there is nothing left to resume."""
    return (
        f"The run in {folder.path} has finished. Another one needs another "
        "folder, or --overwrite."
    )


def write_json(path: pathlib.Path, content: Any) -> None:
    """Writes JSON for people and tools; what is not finite becomes null."""
    text = json.dumps(_finite(content), indent=2, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_finite(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content
