"""One process at a time in a folder, whatever ends it."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from experiments.results import folder_lock
from experiments.results.folder_lock import LOCK, locked
from tests.experiments.commands import ROOT

_HOLD = """
import pathlib, sys, time
from experiments.results.folder_lock import locked
with locked(pathlib.Path(sys.argv[1]), "python -m experiments.ipd"):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_a_lock_is_held_and_leaves_nothing(tmp_path) -> None:
    for _ in range(2):
        with locked(tmp_path, "first"):
            assert os.listdir(tmp_path) == [LOCK]
            with (
                pytest.raises(
                    ValueError,
                    match=f"is in use by process {os.getpid()} on .*: first. "
                    "Wait until",
                ),
                locked(tmp_path, "second"),
            ):
                pass
        assert os.listdir(tmp_path) == []


def test_a_lock_dies_with_its_process(tmp_path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "locked\n"
        message = f"process {process.pid} on .*: python -m experiments.ipd. W"
        with (
            pytest.raises(ValueError, match=message),
            locked(tmp_path, "second"),
        ):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert os.listdir(tmp_path) == [LOCK]
    with locked(tmp_path, "second"):
        assert "second" in (tmp_path / LOCK).read_text()
    assert os.listdir(tmp_path) == []


def test_a_lock_that_was_removed_meanwhile_is_taken_anew(
    tmp_path, monkeypatch
) -> None:
    """Its holder removes the file between opening and locking."""
    flock, calls = folder_lock.fcntl.flock, []

    def lock(descriptor: int, operation: int) -> None:
        calls.append(descriptor)
        if len(calls) == 1:
            os.unlink(tmp_path / LOCK)
        flock(descriptor, operation)

    monkeypatch.setattr(folder_lock.fcntl, "flock", lock)
    with locked(tmp_path, "second"):
        assert len(calls) == 2
        assert "second" in (tmp_path / LOCK).read_text()


def test_a_network_folder_without_locks_is_used_with_a_note(
    tmp_path, monkeypatch, capsys
) -> None:
    def refuse(*_) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(folder_lock.fcntl, "flock", refuse)
    with locked(tmp_path, "first"), locked(tmp_path, "second"):
        pass
    assert "without locks (No locks available)" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_needs_no_lock(
    tmp_path, monkeypatch
) -> None:
    opened = os.open

    def refuse(path, flags: int, *mode: int) -> int:
        if str(path).endswith(LOCK):
            raise OSError(errno.EROFS, "Read-only file system")
        return opened(path, flags, *mode)

    monkeypatch.setattr(folder_lock.os, "open", refuse)
    with locked(tmp_path, "first"):
        assert os.listdir(tmp_path) == []


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / LOCK).symlink_to("mine")
    with locked(tmp_path, "first"):
        pass
    assert (tmp_path / "mine").read_text() == "mine"
