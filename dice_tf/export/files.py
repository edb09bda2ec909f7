"""Files and folders that appear when they are complete, or not at all."""

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Callable, Iterator
from typing import IO, Any

import tensorflow as tf

from dice_tf.checks import check_flag


def check_folder(path: Any, overwrite: bool) -> pathlib.Path:
    """Returns the path of a folder to write, or raises."""
    check_flag("overwrite", overwrite)
    path = _local_path(path, "folder")
    if path.exists() and not path.is_dir():
        raise ValueError(
            f"`path` must be a folder to write. Received: {str(path)!r}, "
            "which is a file."
        )
    if path.is_dir() and any(path.iterdir()):
        if not overwrite:
            raise ValueError(
                f"`path` must be new or empty. Received: {str(path)!r}, which "
                "is not. Pass overwrite=True to replace an earlier export."
            )
        if not tf.saved_model.contains_saved_model(path):
            raise ValueError(
                "overwrite=True replaces only a SavedModel, but `path` "
                f"({str(path)!r}) holds something else."
            )
    return path


def check_file(path: Any, suffix: str, overwrite: bool) -> pathlib.Path:
    """Returns the path of a file to write, or raises."""
    check_flag("overwrite", overwrite)
    path = _local_path(path, "file")
    if path.suffix != suffix or path.is_dir():
        raise ValueError(
            f"`path` must be a file named *{suffix}. Received: {str(path)!r}"
            + (", which is a folder." if path.is_dir() else ".")
        )
    if path.exists() and not overwrite:
        raise ValueError(
            f"`path` must be new. Received: {str(path)!r}, which is there. "
            "Pass overwrite=True to replace it."
        )
    return path


def _local_path(path: Any, kind: str) -> pathlib.Path:
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(
            f"`path` must be a string or path of a {kind} to write. "
            f"Received: {path!r} (of type {type(path).__name__})."
        )
    if not str(path) or "://" in str(path):
        raise ValueError(
            f"`path` must be a {kind} on a local disk. Received: "
            f"path={str(path)!r}."
        )
    return pathlib.Path(os.path.abspath(path))


@contextlib.contextmanager
def _folder_beside(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a temporary folder from which things can be moved to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=f".{path.name}-", dir=path.parent
    ) as folder:
        yield pathlib.Path(folder)


def write_folder(
    path: pathlib.Path, write: Callable[[str], Any], overwrite: bool
) -> None:
    """Lets `write` fill a folder beside `path`, and moves it there."""
    with _folder_beside(path) as folder:
        # Write to a folder inside, since other users cannot read the temporary
        # folder itself.
        written, earlier = folder / "written", folder / "earlier"
        write(str(written))
        if not (overwrite and path.exists()):
            os.replace(written, path)
            return
        os.replace(path, earlier)
        try:
            os.replace(written, path)
        except BaseException:
            os.replace(earlier, path)
            raise


def write_file(path: pathlib.Path, content: bytes) -> None:
    """Writes beside `path` first, and then moves it there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        file.write(content)


@contextlib.contextmanager
def whole_file(path: pathlib.Path) -> Iterator[IO[bytes]]:
    """Yields a file that takes the place of `path` when it is complete.

    It is written beside `path`, flushed to the disk and renamed. Whenever the
    process or the machine stops, the file at `path` is whole: the earlier one
    or the new one. An error leaves the earlier one.

    Args:
      path: the file, in a folder that exists.
    """
    unfinished = unfinished_path(path)
    try:
        with open(unfinished, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)


def unfinished_path(path: pathlib.Path) -> pathlib.Path:
    """Returns where `whole_file` writes first.

    The name is always the same, so that interrupted writes do not pile up.
    """
    return path.with_name(f"{path.name}-unfinished")


def _flush_folder(folder: pathlib.Path) -> None:
    """Flushes a renaming to the disk, on systems that can open folders."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
