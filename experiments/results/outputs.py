"""The folder of results: all files of a run appear there, or none."""

import contextlib
import json
import math
import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

CONFIG = "config.json"
CURVES = "curves.csv"
SUMMARY = "summary.json"
SAVED_MODELS = "saved_model"
TOURNAMENT = "tournament.csv"

# These are there while a run goes on.
_CHECKPOINTS = ".checkpoints"
_STAGE = ".unfinished-"

# Signs of an earlier run. The summary comes last: with it, all is there.
_MARKS = (SUMMARY, CURVES, TOURNAMENT, CONFIG, SAVED_MODELS)


class OutputFolder:
    """A folder that takes the files of one run, all at the end.

    Files are written into a hidden folder inside, and moved to their names
    when all of them are complete. A run that is interrupted leaves no files,
    and an earlier run stays as it was.

    While a run goes on, its checkpoints lie in another hidden folder. They
    stay if the run is interrupted, so that it can be resumed, and are removed
    when it has ended.

    Args:
      path: the folder; made if it is not there.
      overwrite: whether to replace an earlier run, and what an interrupted
        one has left.
      resume: whether to continue an interrupted run.
      checkpoint_every: seconds between two checkpoints, at least.

    Attributes:
      checkpoints: the folder of checkpoints, made when the first is written.
      is_resumed: whether an interrupted run is continued.
      has_finished: whether there is nothing left to continue.

    Raises:
      ValueError: if the path is not a folder, or the folder holds an earlier
        or interrupted run.
      OSError: if the folder cannot be made or written.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        overwrite: bool = False,
        resume: bool = False,
        checkpoint_every: float = 0.0,
    ):
        if not str(path):
            raise ValueError("--output_dir must name a folder. Received: ''.")
        if overwrite and resume:
            raise ValueError("Choose one of --overwrite and --resume.")
        self.path = pathlib.Path(path)
        self.checkpoints = self.path / _CHECKPOINTS
        self.checkpoint_every = checkpoint_every
        self.is_resumed = resume and self.has_checkpoints
        self.has_finished = (
            resume and not self.is_resumed and (self.path / SUMMARY).exists()
        )
        # A run that was killed while its files were moved has left some.
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
        # A folder that cannot be written should be found before the training.
        tempfile.TemporaryFile(dir=self.path).close()

    @contextlib.contextmanager
    def collect(self) -> Iterator[pathlib.Path]:
        """Yields a folder to write to, and publishes it if no error occurs.

        Raises:
          ValueError: if another run has put its files here in the meantime.
        """
        with tempfile.TemporaryDirectory(prefix=_STAGE, dir=self.path) as name:
            stage = pathlib.Path(name)
            yield stage
            self._refuse_earlier_run()
            self._remove_earlier_run()
            for name in sorted(os.listdir(stage), key=lambda x: x == SUMMARY):
                publish(stage / name, self.path / name)
        self._remove_checkpoints()

    def checkpoint_path(self, name: str) -> pathlib.Path:
        """Returns the path of the checkpoint of this name."""
        return self.checkpoints / re.sub(r"[^A-Za-z0-9_.-]+", "_", name)

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


def publish(unfinished: pathlib.Path, path: pathlib.Path) -> None:
    """Gives a complete file or folder its name, in one step.

    Whatever ends the process, or the machine, either the earlier content is at
    that path or the new one, whole: the new one is on the disk before it gets
    the name.

    Args:
      unfinished: the file or folder, on the same file system as the path.
      path: its name. An earlier file there is replaced.
    """
    parts = [*unfinished.rglob("*")] if unfinished.is_dir() else [unfinished]
    for part in parts:
        if part.is_file():
            with open(part, "rb") as file:
                os.fsync(file.fileno())
    os.replace(unfinished, path)


def write_json(path: pathlib.Path, content: Any) -> None:
    """Writes JSON for people and tools.

    Named tuples become objects, and numbers that are not finite become null.
    """
    text = json.dumps(_plain(content), indent=2, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def _plain(content: Any) -> Any:
    if hasattr(content, "_asdict"):
        content = content._asdict()
    if isinstance(content, dict):
        return {key: _plain(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_plain(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content
