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

# What tells an earlier run. The summary comes last: with it, all is there.
_MARKS = (SUMMARY, CURVES, TOURNAMENT, CONFIG, SAVED_MODELS)


class OutputFolder:
    """A folder that takes the files of one run, all at the end.

    Files are written into a hidden folder inside, and moved to their names
    when all of them are complete: a run that is interrupted leaves nothing,
    and an earlier run as it was.

    Args:
      path: the folder; made if it is not there.
      overwrite: whether to replace an earlier run.

    Attributes:
      path: the folder.

    Raises:
      ValueError: if it is no folder, or holds an earlier run.
      OSError: if it cannot be made or written.
    """

    def __init__(self, path: str | os.PathLike, overwrite: bool = False):
        if not str(path):
            raise ValueError("--output_dir must name a folder. Received: ''.")
        self.path = pathlib.Path(path)
        self._overwrite = overwrite
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(
                f"--output_dir must be a folder. {str(path)!r} is a file."
            )
        self._refuse_earlier_run()
        self.path.mkdir(parents=True, exist_ok=True)
        # Now, and not after the training, is the time to find out.
        tempfile.TemporaryFile(dir=self.path).close()

    @contextlib.contextmanager
    def collect(self) -> Iterator[pathlib.Path]:
        """Yields a folder to write to, and publishes it if no error occurs.

        Raises:
          ValueError: if another run has put its files here in between.
        """
        with tempfile.TemporaryDirectory(
            prefix=".unfinished-", dir=self.path
        ) as name:
            stage = pathlib.Path(name)
            yield stage
            self._refuse_earlier_run()
            self._remove_earlier_run()
            entries = sorted(
                os.listdir(stage), key=lambda name: name == SUMMARY
            )
            for entry in entries:
                os.replace(stage / entry, self.path / entry)

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
