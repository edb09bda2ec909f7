"""Runs whose disk is full, or whose folder cannot be written.

For root no permission counts. So the folder is a small or a read-only file
system, which is mounted in a namespace of the process (`unshare`) and is gone
with it. Where that is not allowed, it is noted as not tried. Files may also be
limited in size (`ulimit -f`), which needs no rights.
"""

import functools
import pathlib
import subprocess
from typing import NamedTuple

from benchmarks.disturbed_training import (
    Ended,
    Training,
    change_of,
    content_of,
)
from benchmarks.trials import (
    NOT_TRIED,
    REFUSED,
    SURVIVED,
    Trial,
    judged,
)
from experiments.results.outputs import CURVES

_UNSHARE = ("unshare", "--mount", "--map-root-user", "--", "sh", "-c")
# The file system is full but for so many KiB. What it held is copied, since it
# ends with the process.
_SMALL = """
mount -t tmpfs -o size=4m tmpfs "$1" || exit 99
cp -a "$2/." "$1"
dd if=/dev/zero of="$1/large" bs=1k 2>"$1/.note"
rm "$1/.note"
truncate -s "-$3k" "$1/large"
folder="$1" copy="$4"
shift 4
"$@"
status=$?
rm "$folder/large"
cp -a "$folder/." "$copy"
exit "$status"
"""
_READ_ONLY = """
mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" || exit 99
shift
exec "$@"
"""
_LIMITED = 'ulimit -f "$1" && shift && exec "$@"'
_MINE = "mine.txt"
_NOT_WRITTEN = "could not be written"
_CANNOT = "cannot be made or written"
_FINISHED = "has finished"
_FULL = "No space left on device"


class _Disk(NamedTuple):
    """A disk with little room.

    Attributes:
      name: of the fault.
      kibibytes: how much room there is.
      statuses: exit statuses, one of which the run must have.
      words: what it must say.
    """

    name: str
    kibibytes: int
    statuses: tuple[int, ...]
    words: tuple[str, ...]


# A checkpoint takes 12 KiB, and twice that while it is replaced; the lock and
# the record of the run take 8, and each of the three files of results 4.
_DISKS = (
    _Disk("no room at all", 0, (1,), (_FULL,)),
    _Disk("room for one checkpoint", 24, (1,), (_NOT_WRITTEN, "--resume")),
    _Disk("room for curves", 72, (0,), ("was left out",)),
    _Disk("room for one picture", 128, (0,), ("was left out",)),
)
# No checkpoint can be written, and the record of the run, or not even that.
_SIZES = (
    _Disk("files of at most 1 KiB", 1, (1,), (_CANNOT,)),
    _Disk("files of at most 3 KiB", 3, (0,), (_NOT_WRITTEN, "was left out")),
)


@functools.cache
def _can_mount() -> str:
    """Says why nothing can be mounted here, `""` if it can."""
    try:
        done = subprocess.run(
            [*_UNSHARE, "mount -t tmpfs tmpfs /mnt"],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        return str(error)
    return done.stderr if done.returncode else ""


def full_disk(training: Training) -> list[Trial]:
    """Trains where there is little room, and continues where there is more."""
    _ = training.undisturbed
    trials = []
    for disk in _DISKS:
        _tell(f"{disk.name}.")
        if reason := _can_mount():
            trials.append(Trial("full_disk", disk.name, NOT_TRIED, reason))
        else:
            trials.append(_on_disk(training, disk))
    for disk in _SIZES:
        _tell(f"{disk.name}.")
        trials.append(_with_small_files(training, disk))
    return trials


def _on_disk(training: Training, disk: _Disk) -> Trial:
    place = training.place / f"disk of {disk.kibibytes} KiB"
    template, folder, copy = (
        place / name for name in ("template", "folder", "copy")
    )
    for path in (template, folder, copy):
        path.mkdir(parents=True)
    (template / _MINE).write_text("mine")
    before = content_of(template)
    command = training.command(folder)
    ended = training.run(
        folder,
        [
            *(*_UNSHARE, _SMALL, "-", str(folder), str(template)),
            *(str(disk.kibibytes), str(copy), *command),
        ],
    )
    return _judged_later(training, ended, disk, before, copy)


def _judged_later(
    training: Training,
    ended: Ended,
    disk: _Disk,
    before: dict[str, str],
    folder: pathlib.Path,
) -> Trial:
    """Judges a run by what it said and left, and by continuing it."""
    wrong = ended.wrong(disk.statuses, *disk.words)
    if not wrong and content_of(folder).get(_MINE) != before.get(_MINE):
        wrong = f"the user's {_MINE} is gone or different"
    (folder / _MINE).unlink(missing_ok=True)
    if wrong:
        return judged("full_disk", disk.name, wrong)
    if disk.statuses == (0,):
        expected = (training.undisturbed / CURVES).read_bytes()
        if (folder / CURVES).read_bytes() != expected:
            wrong = f"another {CURVES}"
        return judged("full_disk", disk.name, wrong)
    # With room again, it goes on, or starts again.
    return judged("full_disk", disk.name, training.finish(folder), REFUSED)


def _with_small_files(training: Training, disk: _Disk) -> Trial:
    folder = training.place / disk.name
    folder.mkdir()
    (folder / _MINE).write_text("mine")
    before = content_of(folder)
    child = training.start(
        folder,
        [
            *("bash", "-c", _LIMITED, "-", str(disk.kibibytes)),
            *training.command(folder),
        ],
        # A log would be limited, too.
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        said, _ = child.communicate(timeout=training.limit)
        ended = Ended(child.returncode, said.decode(errors="replace"))
    except subprocess.TimeoutExpired:
        child.kill()
        ended = Ended(None, "")
    return _judged_later(training, ended, disk, before, folder)


def read_only_folder(training: Training) -> list[Trial]:
    """Starts and continues runs where nothing can be written."""
    empty = training.place / "empty"
    empty.mkdir()
    (empty / _MINE).write_text("mine")
    finished = training.copy_of(training.undisturbed, "finished")
    interrupted = training.copy_of(training.interrupted, "read only")
    found = []
    for name, folder, option, status, words in (
        ("a new run", empty, "--noresume", 1, _CANNOT),
        ("--overwrite of a finished run", finished, "--overwrite", 1, _CANNOT),
        ("--resume of a finished run", finished, "--resume", 0, _FINISHED),
        (
            "--resume of one that was stopped",
            interrupted,
            "--resume",
            1,
            _CANNOT,
        ),
    ):
        _tell(f"A read-only folder: {name}.")
        if reason := _can_mount():
            found.append(Trial("read_only_folder", name, NOT_TRIED, reason))
            continue
        before = content_of(folder)
        command = training.command(folder, more=(option,))
        ended = training.run(
            folder, [*_UNSHARE, _READ_ONLY, "-", str(folder), *command]
        )
        wrong = ended.wrong([status], words) or change_of(before, folder)
        good = REFUSED if status else SURVIVED
        found.append(judged("read_only_folder", name, wrong, good))
    name = "a file in place of its parent"
    ended = training.run(interrupted, training.command(empty / _MINE / "run"))
    wrong = ended.wrong([1], "is a file")
    found.append(judged("read_only_folder", name, wrong, REFUSED))
    difference = training.finish(interrupted)
    name = "--resume once it can be written"
    return [*found, judged("read_only_folder", name, difference)]


def _tell(text: str) -> None:
    print(f"  {text}", flush=True)
