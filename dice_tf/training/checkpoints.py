"""The state of a trainer outside of it: in memory, or in one whole file.

The file is a zip archive of the arrays of a `Snapshot` (parameters, critics,
what learners and optimisers remember, the iteration, the curves), and of
`metadata.json`, which says what training it belongs to. Its last 64 bytes, the
comment of the archive, are the SHA-256 digest of all bytes before. It is
written beside its place, flushed to the disk and renamed. Whenever a process
dies, the file at the path is therefore the last whole one. The digest shows
later damage.

A digest is no signature: whoever forges a file can make one that fits. What is
read is therefore checked in full before any of it is used, and it is never
more than numbers.
"""

import contextlib
import hashlib
import io
import json
import os
import pathlib
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from dice_tf.checks import check_number, check_whole_number
from dice_tf.export.files import unfinished_path, whole_file
from dice_tf.version import __version__

_VERSION = 2
_METADATA = "metadata.json"
_CURVES = "curves"
# Hexadecimal digits of SHA-256.
_DIGEST_SIZE = 64
_MOST_DIFFERENCES = 8
# Of a value that differs, in an error.
_MOST_CHARACTERS = 200


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


class Progress(NamedTuple):
    """How far a training has come.

    Attributes:
      epoch: number of epochs done.
      seconds: wall time that it took.
    """

    epoch: int
    seconds: float


def check_snapshot(
    snapshot: Snapshot,
    variables: Sequence[keras.Variable],
    curves: np.ndarray,
) -> None:
    """Raises if a snapshot does not fit a trainer.

    Args:
      snapshot: the snapshot.
      variables: those of the trainer and its optimisers.
      curves: of the trainer, `[iterations, num_seeds, num_players]`.

    Raises:
      ValueError: if numbers, shapes or dtypes of arrays differ.
    """
    found = [_kind(value) for value in snapshot.values]
    expected = [_kind(variable) for variable in variables]
    if found != expected:
        raise ValueError(
            "The snapshot is that of another trainer. It holds "
            f"{_shortened(found)}, and this trainer {_shortened(expected)}."
        )
    if snapshot.curves.shape[1:] != curves.shape[1:]:
        raise ValueError(
            "The snapshot is that of another trainer. Its curves have shape "
            f"{snapshot.curves.shape}, and those of this trainer "
            f"{curves.shape}."
        )


def write_checkpoint(
    path: str | os.PathLike,
    identity: Mapping[str, Any],
    take_snapshot: Callable[[], Snapshot],
    progress: Progress,
) -> None:
    """Writes all that training has changed, in place of an earlier file.

    Args:
      path: the file.
      identity: JSON, what must be the same to continue.
      take_snapshot: returns what training has changed. It is not called if the
        file cannot be opened.
      progress: how far it has come.

    Raises:
      OSError: if the file cannot be written. An earlier one stays as it is.
    """
    metadata = {
        "version": _VERSION,
        **identity,
        "versions": _versions(),
        "progress": progress._asdict(),
    }
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        members = {_METADATA: json.dumps(metadata).encode()}
        for name, array in _arrays(take_snapshot()).items():
            members[name] = np.ascontiguousarray(array).tobytes()
        file.write(sealed(members))


def read_checkpoint(
    path: str | os.PathLike, identity: Mapping[str, Any], like: Snapshot
) -> tuple[Snapshot, Progress]:
    """Reads what `write_checkpoint` wrote, and checks all of it.

    Args:
      path: the file.
      identity: JSON, as it was given to `write_checkpoint`.
      like: a snapshot of the trainer that is to continue.

    Returns:
      The snapshot and the progress.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if it cannot be read, is damaged, was written in another
        format, or belongs to another training. The message says what differs,
        and which version wrote another format.
    """
    name = repr(str(path))
    content = _content(path)
    expected = as_json("identity", identity)
    with _damage(name):
        archive = zipfile.ZipFile(io.BytesIO(_unsealed(content)))
        metadata = _metadata(archive)
    _check_version(name, metadata)
    with _damage(name):
        found = {key: metadata.get(key) for key in expected}
        differences = list(_differences("", found, expected))
    if differences:
        shown = "; ".join(differences[:_MOST_DIFFERENCES])
        more = len(differences) - _MOST_DIFFERENCES
        raise ValueError(
            f"The checkpoint {name} is that of another training: "
            f"{shown}{f'; and {more} more' if more > 0 else ''}. Continue with "
            "the same settings, or remove it to start anew."
        )
    with _damage(name):
        progress = _progress(metadata.get("progress"))
        snapshot = _snapshot(archive, like)
        versions = _written_by(metadata.get("versions"))
    if versions != _versions():
        warnings.warn(
            f"The checkpoint {name} was written by {_shortened(versions)}, "
            f"and this is {_versions()}: training continues, but not bit by "
            "bit as it would have.",
            stacklevel=2,
        )
    return snapshot, progress


def delete_checkpoint(path: str | os.PathLike) -> None:
    """Removes a checkpoint, and what an interrupted one has left."""
    path = pathlib.Path(path)
    for leftover in (path, unfinished_path(path)):
        leftover.unlink(missing_ok=True)


def sealed(members: Mapping[str, bytes]) -> bytes:
    """Returns an archive that ends with the digest of all that is before.

    Args:
      members: by name, the content of each.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            # Without a time, so that equal states make equal files.
            archive.writestr(zipfile.ZipInfo(name), content)
        archive.comment = bytes(_DIGEST_SIZE)
    body = buffer.getvalue()[:-_DIGEST_SIZE]
    return body + _digest(body)


def as_json(name: str, content: Any) -> Any:
    """Returns content as it is when it is written as JSON and read back.

    It equals itself in another process. The text of an arbitrary object would
    not, since it may hold an address, or a shortened array.

    Args:
      name: how errors name it.
      content: JSON, or nests that hold arrays, NumPy's numbers, paths, dtypes,
        sets, functions and classes, too.

    Raises:
      TypeError: if something is of another kind.
      ValueError: if it is nested too deeply, or holds itself.
    """
    try:
        return json.loads(json.dumps(content, default=_plain))
    except TypeError as error:
        raise TypeError(
            f"`{name}` must hold what JSON can hold: numbers, strings, lists, "
            f"and dictionaries with strings as keys. {error}."
        ) from error
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"`{name}` must be a tree that JSON can hold. {error}."
        ) from error


def _plain(value: Any) -> Any:
    """Returns JSON for an object of another kind, or raises."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if tf.is_tensor(value) or isinstance(value, keras.Variable):
        return np.asarray(value).tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (np.dtype, tf.DType)):
        return value.name
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    raise TypeError(f"Received: {value!r} (of type {type(value).__name__})")


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()


def _content(path: str | os.PathLike) -> bytes:
    try:
        return pathlib.Path(path).read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(
            f"The checkpoint {str(path)!r} cannot be read: {error}."
        ) from error


@contextlib.contextmanager
def _damage(name: str) -> Iterator[None]:
    """Says of every error that the file is damaged.

    What Python raises for a file that was damaged or forged depends on the
    byte: `RecursionError`, `MemoryError`, `NotImplementedError` and more.
    """
    try:
        yield
    except Exception as error:
        reason = _shortened(error, str).rstrip(".") or type(error).__name__
        raise ValueError(
            f"{name} is not a checkpoint of a trainer, or is damaged: "
            f"{reason}. Remove it to start anew."
        ) from error


def _unsealed(content: bytes) -> bytes:
    """Returns the content, or raises if its digest is not that of it."""
    body, digest = content[:-_DIGEST_SIZE], content[-_DIGEST_SIZE:]
    if not re.fullmatch(rb"[0-9a-f]{%d}" % _DIGEST_SIZE, digest):
        raise ValueError(
            "it does not end with a digest. It was cut short, is another "
            "file, or was written by an earlier version of dice_tf"
        )
    if _digest(body) != digest:
        raise ValueError("its content does not match its digest")
    return content


def _metadata(archive: zipfile.ZipFile) -> dict[str, Any]:
    metadata = json.loads(_member(archive, _METADATA))
    if not isinstance(metadata, dict):
        raise ValueError(f"{_METADATA} is not a dictionary")
    return metadata


def _check_version(name: str, metadata: dict[str, Any]) -> None:
    """Raises if another version of dice_tf wrote a file of another form."""
    version = metadata.get("version")
    if version != _VERSION:
        raise ValueError(
            f"The checkpoint {name} has the format {_shortened(version)}, and "
            f"this dice_tf reads the format {_VERSION}. It was written by "
            f"{_shortened(metadata.get('versions'))}, and this is "
            f"{_versions()}. Continue with that version, or remove the file to "
            "start anew."
        )


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Returns the content of a member, which is stored as it is.

    One that was compressed could be much larger than the file.
    """
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} is compressed")
    return archive.read(info)


def _progress(found: Any) -> Progress:
    if not isinstance(found, dict):
        raise ValueError(f"`progress` is {_shortened(found)}")
    return Progress(
        check_whole_number("progress.epoch", found.get("epoch"), 0),
        check_number("progress.seconds", found.get("seconds")),
    )


def _written_by(found: Any) -> dict[str, str]:
    if not isinstance(found, dict):
        raise ValueError(f"`versions` is {_shortened(found)}")
    return found


def _snapshot(archive: zipfile.ZipFile, like: Snapshot) -> Snapshot:
    """Returns the arrays of the file, of the shapes and dtypes of others."""
    names = [_METADATA, *_arrays(like)]
    if archive.namelist() != names:
        raise ValueError(
            f"it holds {_shortened(archive.namelist())} instead of "
            f"{_shortened(names)}"
        )
    values = [
        _array(archive, name, value, value.shape)
        for name, value in _arrays(like).items()
        if name != _CURVES
    ]
    # The number of iterations is not known before.
    shape = (-1, *like.curves.shape[1:])
    return Snapshot(values, _array(archive, _CURVES, like.curves, shape))


def _array(
    archive: zipfile.ZipFile, name: str, like: np.ndarray, shape: Any
) -> np.ndarray:
    return np.frombuffer(_member(archive, name), like.dtype).reshape(shape)


def _arrays(snapshot: Snapshot) -> dict[str, np.ndarray]:
    """Returns the arrays by the name of their member, in order."""
    values = {f"values/{i}": x for i, x in enumerate(snapshot.values)}
    return {**values, _CURVES: snapshot.curves}


def _kind(array: Any) -> str:
    """Returns dtype and shape of an array or a Keras variable."""
    dtype = keras.backend.standardize_dtype(array.dtype)
    return f"{dtype} {list(array.shape)}"


def _versions() -> dict[str, str]:
    return {
        "dice_tf": __version__,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
    }


def _differences(name: str, found: Any, expected: Any) -> Iterator[str]:
    """Yields what differs between two pieces of JSON, by dotted name."""
    if isinstance(found, Mapping) and isinstance(expected, Mapping):
        for key in dict.fromkeys([*found, *expected]):
            dotted = f"{name}.{key}" if name else key
            yield from _differences(dotted, found.get(key), expected.get(key))
    elif found != expected and _text(found) != _text(expected):
        yield (
            f"`{_shortened(name, str)}` is {_shortened(found)} there and "
            f"{_shortened(expected)} here"
        )


def _text(content: Any) -> str:
    """Returns JSON as text. In this form, NaN is like NaN."""
    return json.dumps(content, sort_keys=True)


def _shortened(value: Any, describe: Any = repr) -> str:
    text = describe(value)
    if len(text) > _MOST_CHARACTERS:
        return f"{text[:_MOST_CHARACTERS]}..."
    return text
