"""The state of a trainer outside of it: in memory, or in one whole file.

The file is a zip archive of what `keras.Model.save_weights` writes
(parameters, critics, what learners and optimisers remember, the iteration, the
curves) and of `metadata.json`, which says what training it belongs to. It is
written beside its place, flushed to the disk and renamed. Whenever a process
dies, the file at the path is therefore the last whole one. The checksums of
the archive show later damage.
"""

import json
import os
import pathlib
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from dice_tf.export.files import unfinished_path, whole_file
from dice_tf.version import __version__

_VERSION = 1
_METADATA = "metadata.json"
_WEIGHTS = "trainer.weights.h5"
_MOST_DIFFERENCES = 8


class Snapshot(NamedTuple):
    """What training has changed, at some moment.

    `keras.Model.get_state_tree` would leave out the optimisers of critics, and
    needs a compiled model.

    Attributes:
      values: arrays, one per variable of the trainer and its optimisers:
        parameters, critics, what learners and optimisers remember, and the
        number of the iteration.
      curves: `[iterations, num_seeds, num_players]`.
    """

    values: list[np.ndarray]
    curves: np.ndarray


def write_checkpoint(
    path: str | os.PathLike,
    identity: Mapping[str, Any],
    save_weights: Callable[[pathlib.Path], None],
    progress: Any = None,
) -> None:
    """Writes all that training has changed, in place of an earlier file.

    Args:
      path: the file.
      identity: JSON, what must be the same to continue.
      save_weights: writes the weights to a file `*.weights.h5`.
      progress: JSON, what `read_checkpoint` returns.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {
        "version": _VERSION,
        **identity,
        "versions": _versions(),
        "progress": progress,
    }
    weights = _unfinished_weights(path)
    save_weights(weights)
    with whole_file(path) as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr(_METADATA, json.dumps(metadata, default=str))
        archive.write(weights, _WEIGHTS)
    weights.unlink()


def read_checkpoint(
    path: str | os.PathLike,
    identity: Mapping[str, Any],
    load_weights: Callable[[pathlib.Path], None],
) -> Any:
    """Loads what `write_checkpoint` wrote, wholly or not at all.

    Args:
      path: the file.
      identity: JSON, as it was given to `write_checkpoint`.
      load_weights: loads the weights from a file.

    Returns:
      The `progress` given to `write_checkpoint`.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if it is damaged, or belongs to another training. The message
        says what differs.
    """
    metadata, weights = _read(pathlib.Path(path))
    expected = _as_json({"version": _VERSION, **identity})
    found = {key: metadata.get(key) for key in expected}
    differences = list(_differences("", found, expected))
    if differences:
        shown = "; ".join(differences[:_MOST_DIFFERENCES])
        more = len(differences) - _MOST_DIFFERENCES
        raise ValueError(
            f"The checkpoint {str(path)!r} is that of another training: "
            f"{shown}{f'; and {more} more' if more > 0 else ''}. Continue with "
            "the same settings, or remove it to start anew."
        )
    if metadata["versions"] != _versions():
        warnings.warn(
            f"The checkpoint {str(path)!r} was written by "
            f"{metadata['versions']}, and this is {_versions()}: training "
            "continues, but not bit by bit as it would have.",
            stacklevel=2,
        )
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / _WEIGHTS
        file.write_bytes(weights)
        load_weights(file)
    return metadata["progress"]


def delete_checkpoint(path: str | os.PathLike) -> None:
    """Removes a checkpoint, and what an interrupted one has left."""
    path = pathlib.Path(path)
    for leftover in (path, unfinished_path(path), _unfinished_weights(path)):
        leftover.unlink(missing_ok=True)


def _unfinished_weights(path: pathlib.Path) -> pathlib.Path:
    """Returns where the weights are written first.

    The name is always the same, so that interrupted writes do not pile up.
    """
    return path.with_name(f"{path.name}-unfinished.weights.h5")


def _read(path: pathlib.Path) -> tuple[dict[str, Any], bytes]:
    """Returns the metadata and the weights of an undamaged file."""
    try:
        # Reading a member checks its checksum.
        with zipfile.ZipFile(path) as archive:
            metadata = json.loads(archive.read(_METADATA))
            weights = archive.read(_WEIGHTS)
    except FileNotFoundError:
        raise
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise ValueError(
            f"{str(path)!r} is not a checkpoint of a trainer, or is damaged: "
            f"{error}. Remove it to start anew."
        ) from error
    return metadata, weights


def _versions() -> dict[str, str]:
    return {
        "dice_tf": __version__,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
    }


def _as_json(content: Any) -> Any:
    return json.loads(json.dumps(content, default=str))


def _differences(name: str, found: Any, expected: Any) -> Iterator[str]:
    """Yields what differs between two pieces of JSON, by dotted name."""
    if isinstance(found, Mapping) and isinstance(expected, Mapping):
        for key in dict.fromkeys([*found, *expected]):
            dotted = f"{name}.{key}" if name else key
            yield from _differences(dotted, found.get(key), expected.get(key))
    elif found != expected:
        yield f"`{name}` is {found!r} there and {expected!r} here"
