"""Arrays that a run has measured so far, from which another can continue.

The file is an archive of NumPy's, and the SHA-256 digest of it.
"""

import contextlib
import hashlib
import io
import json
import os
import pathlib
import sys
import time
import zipfile
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from .outputs import OutputFolder, publish

Arrays = Mapping[str, np.ndarray]

# Hexadecimal digits of SHA-256.
_DIGEST_SIZE = 64
# Of what differs, or of an error, in a message.
_MOST_CHARACTERS = 200
_MOST_DIFFERENCES = 8


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
            content = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise ValueError(
                f"{str(self.path)!r} cannot be read: {error}."
            ) from error
        try:
            arrays = _unsealed(content)
            found = json.loads(str(arrays.pop("configuration")))
            seconds = float(arrays.pop("seconds"))
            if not isinstance(found, dict):
                raise ValueError("it has no configuration")
            if not 0.0 <= seconds < float("inf"):
                raise ValueError(f"it took {seconds} seconds")
            differences = self._differences(found)
        except Exception as error:
            # What Python raises depends on the byte: `NotImplementedError`,
            # `RecursionError`, `MemoryError` and more.
            reason = _shortened(str(error)) or type(error).__name__
            raise ValueError(
                f"{str(self.path)!r} holds no results of a run, or is damaged: "
                f"{reason}. Remove it to start anew."
            ) from error
        if differences:
            shown = "; ".join(differences[:_MOST_DIFFERENCES])
            more = len(differences) - _MOST_DIFFERENCES
            raise ValueError(
                f"{str(self.path)!r} is that of another run: "
                f"{shown}{f'; and {more} more' if more > 0 else ''}. Continue "
                "with the same settings, or remove it to start anew."
            )
        self._start -= seconds
        return arrays

    def save(self, arrays: Arrays) -> None:
        """Writes the file, in place of an earlier one.

        If that fails, since the disk is full, say, it warns, and an earlier
        file stays as it is.
        """
        content = _sealed(
            configuration=json.dumps(self._configuration),
            seconds=self.seconds,
            **arrays,
        )
        unfinished = self.path.with_name(f"{self.path.name}-unfinished")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            unfinished.write_bytes(content)
            publish(unfinished, self.path)
        except OSError as error:
            with contextlib.suppress(OSError):
                unfinished.unlink(missing_ok=True)
            print(
                f"Warning: {str(self.path)!r} could not be written: {error}. "
                "An earlier one stays as it is, and the run goes on.",
                file=sys.stderr,
            )
        self._last = time.monotonic()

    def _differences(self, found: Mapping[str, Any]) -> list[str]:
        """Says by name what is different in a file."""
        expected = self._configuration
        # As text, NaN is like NaN.
        return [
            f"`configuration.{_shortened(name)}` is "
            f"{_shortened(repr(found.get(name)))} there and "
            f"{_shortened(repr(expected.get(name)))} here"
            for name in dict.fromkeys([*found, *expected])
            if json.dumps(found.get(name)) != json.dumps(expected.get(name))
        ]


def _sealed(**arrays: Any) -> bytes:
    """Returns an archive of arrays, and the digest of it."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    body = buffer.getvalue()
    return body + _digest(body)


def _unsealed(content: bytes) -> dict[str, np.ndarray]:
    """Returns the arrays, or raises if the digest is not that of them."""
    body, digest = content[:-_DIGEST_SIZE], content[-_DIGEST_SIZE:]
    if _digest(body) != digest:
        raise ValueError("its content does not match its digest")
    # A digest is no signature: a forged file may have one that fits.
    with np.load(io.BytesIO(body), allow_pickle=False) as archive:
        for member in archive.zip.infolist():
            # What was compressed could be much larger than the file.
            if member.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"{member.filename} is compressed")
        return dict(archive.items())


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()


def _shortened(text: str) -> str:
    if len(text) > _MOST_CHARACTERS:
        return f"{text[:_MOST_CHARACTERS]}..."
    return text


def partial_results(
    folder: OutputFolder, name: str, settings: NamedTuple
) -> PartialResults:
    """Returns where a run keeps arrays until it ends."""
    return PartialResults(
        folder.checkpoint_path(f"{name}.npz"),
        settings._asdict(),
        folder.checkpoint_every,
    )
