"""A lock that lets one process at a time work in a folder of results.

The kernel releases it when the process ends, however that happens. The file
that it hangs on says who holds it; a file that a killed process has left is
locked by nobody.
"""

import contextlib
import errno
import os
import pathlib
import socket
import sys
import time
from collections.abc import Iterator

try:
    import fcntl
except ImportError:  # Windows has no such locks.
    fcntl = None

LOCK = ".dice_tf.lock"
_HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
_LONGEST = 4096


@contextlib.contextmanager
def locked(folder: pathlib.Path, command: str) -> Iterator[None]:
    """Holds the lock of a folder.

    A folder that cannot be written, and a network folder without locks, are
    used without one.

    Args:
      folder: a folder that exists.
      command: what other processes are told that this one does.

    Raises:
      ValueError: if another process holds the lock. The message names it.
    """
    descriptor = _acquire(folder)
    if descriptor is None:
        yield
        return
    try:
        started = time.strftime("%Y-%m-%d %H:%M:%S")
        _write(
            descriptor,
            f"process {os.getpid()} on {socket.gethostname()}, started at "
            f"{started}: {command}",
        )
        yield
    finally:
        # Others that have opened the file by now find that it is gone.
        with contextlib.suppress(OSError):
            os.unlink(folder / LOCK)
        os.close(descriptor)


def _acquire(folder: pathlib.Path) -> int | None:
    """Returns the descriptor of the locked file, `None` if there is no way."""
    path = folder / LOCK
    while (descriptor := _open(path)) is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(descriptor, _LONGEST).decode(errors="replace")
            os.close(descriptor)
            if error.errno in _HELD:
                raise ValueError(
                    f"--output_dir={str(folder)!r} is in use by "
                    f"{holder or 'another process'}. Wait until it has ended, "
                    "or choose another folder."
                ) from None
            print(
                f"Note: {str(folder)!r} lies on a file system without locks "
                f"({error.strerror}). Start no other run in it meanwhile.",
                file=sys.stderr,
            )
            return None
        if _is_at(descriptor, path):
            return descriptor
        # Its holder has removed the file in the meantime.
        os.close(descriptor)
    return None


def _open(path: pathlib.Path) -> int | None:
    """Opens the file to lock, `None` if the folder cannot be written."""
    if fcntl is None:
        return None
    # The second way is for a file that another user has left. A link is not
    # followed: it might lead to a file that is none of ours.
    for flags in (os.O_RDWR | os.O_CREAT, os.O_RDONLY):
        with contextlib.suppress(OSError):
            return os.open(path, flags | os.O_NOFOLLOW, 0o666)
    return None


def _is_at(descriptor: int, path: pathlib.Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _write(descriptor: int, text: str) -> None:
    # A full disk is no reason to go without the lock.
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode(errors="replace"), 0)
