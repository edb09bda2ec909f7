"""Files and folders that appear when they are complete, or not at all."""

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Callable, Iterator
from typing import IO, Any

import tensorflow as tf

from dice_tf.checks import check_flag

# Of a SavedModel: what makes a folder one for those who load it.
_GRAPH = "saved_model.pb"

# On a local disk, or the address of a file system that TensorFlow knows.
Place = pathlib.Path | str


def check_folder(path: Any, overwrite: bool) -> Place:
    """Returns the path of a folder to write, or raises."""
    check_flag("overwrite", overwrite)
    path = _checked_path(path, "folder")
    is_folder = tf.io.gfile.isdir(path)
    if tf.io.gfile.exists(path) and not is_folder:
        raise ValueError(
            f"`path` must be a folder to write. Received: {str(path)!r}, "
            "which is a file."
        )
    if is_folder and tf.io.gfile.listdir(path):
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


def check_file(path: Any, suffix: str, overwrite: bool) -> Place:
    """Returns the path of a file to write, or raises."""
    check_flag("overwrite", overwrite)
    path = _checked_path(path, "file")
    is_folder = tf.io.gfile.isdir(path)
    if os.path.splitext(path)[1] != suffix or is_folder:
        raise ValueError(
            f"`path` must be a file named *{suffix}. Received: {str(path)!r}"
            + (", which is a folder." if is_folder else ".")
        )
    if tf.io.gfile.exists(path) and not overwrite:
        raise ValueError(
            f"`path` must be new. Received: {str(path)!r}, which is there. "
            "Pass overwrite=True to replace it."
        )
    return path


def _checked_path(path: Any, kind: str) -> Place:
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(
            f"`path` must be a string or path of a {kind} to write. "
            f"Received: {path!r} (of type {type(path).__name__})."
        )
    path = os.fspath(path)
    if not path:
        raise ValueError(f"`path` must be a {kind}. Received: path={path!r}.")
    if "://" not in path:
        return pathlib.Path(os.path.abspath(path))
    try:
        tf.io.gfile.exists(path)
    except tf.errors.UnimplementedError as error:
        raise ValueError(
            f"`path` must be a {kind} on a local disk or on a file system that "
            f"TensorFlow knows. Received: path={path!r}."
        ) from error
    return path


@contextlib.contextmanager
def _folder_beside(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a temporary folder from which things can be moved to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=f".{path.name}-", dir=path.parent
    ) as folder:
        yield pathlib.Path(folder)


def write_folder(
    path: Place, write: Callable[[str], Any], overwrite: bool
) -> None:
    """Lets `write` fill another folder, and moves it to `path`.

    Other file systems than local ones cannot rename folders at once. There
    `saved_model.pb` comes last: without it, no folder is a SavedModel.
    """
    if not isinstance(path, pathlib.Path):
        with tempfile.TemporaryDirectory() as folder:
            written = os.path.join(folder, "written")
            write(written)
            if overwrite:
                _remove_folder(path)
            _copy_folder(written, path)
        return
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


def _copy_folder(source: str, path: str) -> None:
    """Copies a SavedModel to another file system, or removes what it copied."""
    files = [
        os.path.relpath(os.path.join(folder, name), source)
        for folder, _, names in os.walk(source)
        for name in names
    ]
    try:
        for name in sorted(files, key=lambda name: (name == _GRAPH, name)):
            target = os.path.join(path, name)
            tf.io.gfile.makedirs(os.path.dirname(target))
            tf.io.gfile.copy(os.path.join(source, name), target)
    except BaseException:
        _remove_folder(path)
        raise


def _remove_folder(path: str) -> None:
    """Removes a folder that is not on a local disk, if there is one."""
    # Also raised by `ram://` after it has removed all, if the name of one
    # folder is the start of another's: `assets` and `assets.extra`.
    with contextlib.suppress(tf.errors.NotFoundError):
        tf.io.gfile.rmtree(path)


def write_file(path: Place, content: bytes) -> None:
    """Writes beside `path` first, and then moves it there."""
    if not isinstance(path, pathlib.Path):
        unfinished = f"{path}-unfinished"
        tf.io.gfile.makedirs(os.path.dirname(path))
        with tf.io.gfile.GFile(unfinished, "wb") as file:
            file.write(content)
        tf.io.gfile.rename(unfinished, path, overwrite=True)
        return
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
