"""Arrays that a run has measured so far, from which another can continue."""

import json
import os
import pathlib
import time
import zipfile
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from experiments.results.outputs import OutputFolder, publish

Arrays = Mapping[str, np.ndarray]

# NumPy and JSON raise these for files that are damaged or of another kind.
_DAMAGE = (
    zipfile.BadZipFile,
    AttributeError,
    EOFError,
    KeyError,
    OSError,
    TypeError,
    ValueError,
)


class PartialResults:
    """Arrays in one file, which is whole or not there at any moment.

    It serves measurements that are not the state of a `dice_tf.Trainer`, for
    which there is `dice_tf.callbacks.Checkpoint`.

    Args:
      path: the file.
      configuration: by name, all that determines the arrays.
      every_seconds: time from one `save` to when the next `is_due`.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        configuration: Mapping[str, Any],
        every_seconds: float = 0.0,
    ):
        self.path = pathlib.Path(path)
        # JSON makes lists of tuples, here as in the file.
        self._configuration = json.loads(json.dumps(configuration))
        self._every_seconds = every_seconds
        self._start = self._last = time.monotonic()

    @property
    def seconds(self) -> float:
        """Wall time so far, with that of the run that is continued."""
        return time.monotonic() - self._start

    @property
    def is_due(self) -> bool:
        """Whether it is time to `save`."""
        return time.monotonic() - self._last >= self._every_seconds

    def load(self) -> dict[str, np.ndarray]:
        """Returns the arrays, an empty mapping if there is no file.

        Raises:
          ValueError: if the file is damaged, or of another configuration.
        """
        try:
            with open(self.path, "rb") as file:
                arrays = dict(np.load(file, allow_pickle=False).items())
            found = json.loads(str(arrays.pop("configuration")))
            seconds = float(arrays.pop("seconds"))
            if not isinstance(found, dict):
                raise ValueError("it has no configuration")
        except FileNotFoundError:
            return {}
        except _DAMAGE as error:
            raise ValueError(
                f"{str(self.path)!r} holds no results of a run, or is damaged: "
                f"{error}. Remove it to start anew."
            ) from error
        self._refuse_others(found)
        self._start -= seconds
        return arrays

    def save(self, arrays: Arrays) -> None:
        """Writes the file, in place of an earlier one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_name(f"{self.path.name}-unfinished")
        with open(unfinished, "wb") as file:
            np.savez(
                file,
                configuration=json.dumps(self._configuration),
                seconds=self.seconds,
                **arrays,
            )
        publish(unfinished, self.path)
        self._last = time.monotonic()

    def _refuse_others(self, found: Mapping[str, Any]) -> None:
        expected = self._configuration
        differences = [
            f"`configuration.{name}` is {found.get(name)!r} there and "
            f"{expected.get(name)!r} here"
            for name in dict.fromkeys([*found, *expected])
            if found.get(name) != expected.get(name)
        ]
        if differences:
            raise ValueError(
                f"{str(self.path)!r} is that of another run: "
                f"{'; '.join(differences)}. Continue with the same settings, "
                "or remove it to start anew."
            )


def partial_results(
    folder: OutputFolder, name: str, settings: NamedTuple
) -> PartialResults:
    """Returns where a run keeps arrays until it ends."""
    return PartialResults(
        folder.checkpoint_path(f"{name}.npz"),
        settings._asdict(),
        folder.checkpoint_every,
    )
