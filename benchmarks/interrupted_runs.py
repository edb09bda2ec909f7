"""Runs that are killed, asked to stop, not read, or disturbed by other runs.

All faults of a part meet one run, one after the other, and --resume continues
it. Whether a fault lost something shows at its end: the results must be those
of a run that nothing has disturbed, byte for byte. Otherwise, all of them count
as lost.
"""

import pathlib
import signal
import subprocess
import sys
from typing import NamedTuple

from benchmarks.disturbed_training import (
    EPOCHS,
    Ended,
    Training,
    change_of,
    checkpoints,
    content_of,
    epochs_saved,
)
from benchmarks.kill_resume import kill_again_and_again
from benchmarks.trials import (
    REFUSED,
    Trial,
    judged,
    lost_together,
)
from experiments.command_line.stopping import (
    INTERRUPTED,
    OUTPUT_CLOSED,
    TERMINATED,
)
from experiments.results.folder_lock import LOCK

_HINT = "Continue with --resume:\n  python -m "
_NOTE = b"Press Ctrl-C again"


def kills(training: Training, num_kills: int, seed: int) -> list[Trial]:
    """Kills a run at moments from before its first checkpoint to its end."""
    _ = training.undisturbed
    folder = training.place / "killed"
    trials = []
    for kill in kill_again_and_again(training, folder, num_kills, seed, _tell):
        # An attempt that had ended by itself must have ended well.
        wrong = str(kill) if kill.died_of else ""
        trials.append(judged("kills", f"SIGKILL, {kill}", wrong))
    return lost_together(trials, lambda: training.finish(folder))


class _Request(NamedTuple):
    """How a run is asked to stop.

    Attributes:
      name: of the fault.
      numbers: signals, each but the first once the one before was noticed.
      status: exit status that it must have.
    """

    name: str
    numbers: tuple[int, ...]
    status: int


_REQUESTS = (
    _Request("SIGINT", (signal.SIGINT,), INTERRUPTED),
    _Request("SIGTERM", (signal.SIGTERM,), TERMINATED),
    _Request(
        "SIGINT, then SIGTERM", (signal.SIGINT, signal.SIGTERM), INTERRUPTED
    ),
)


def signals(training: Training) -> list[Trial]:
    """Asks a run to stop: before it trains, and while it trains."""
    _ = training.undisturbed
    folder = training.place / "signals"
    trials = [_early_signal(training, folder)]
    for number, request in enumerate(_REQUESTS):
        _tell(f"{request.name}.")
        epoch = 3 + 4 * number
        child = training.start_held(folder, epoch)
        training.wait(child, lambda: epochs_saved(folder) > epoch)  # noqa: B023
        log = folder.with_name(f"{folder.name}.log")
        for signal_number in request.numbers:
            child.send_signal(signal_number)
            training.wait(child, lambda: _NOTE in log.read_bytes())  # noqa: B023
        ended = training.end(child, folder)
        wrong = ended.wrong([request.status], _HINT)
        if not wrong and epochs_saved(folder) <= epoch:
            wrong = "no checkpoint"
        trials.append(judged("signals", f"{request.name} in training", wrong))
    trials.append(_late_signal(training, folder))
    return lost_together(trials, lambda: training.finish(folder))


def _early_signal(training: Training, folder: pathlib.Path) -> Trial:
    """Ends a run that has the folder, and nothing else."""
    child = training.start(folder)
    training.wait(child, (folder / LOCK).exists)
    child.send_signal(signal.SIGTERM)
    ended = training.end(child, folder)
    wrong = ended.wrong([TERMINATED], "Terminated.")
    if not wrong:
        # It may be so early that the file of the lock stays, held by nobody.
        wrong = change_of({}, folder, [LOCK])
    return judged("signals", "SIGTERM before training", wrong)


def _late_signal(training: Training, folder: pathlib.Path) -> Trial:
    """Ends a run that writes its results."""
    child = training.start(folder)
    training.wait(child, lambda: any(folder.glob(".unfinished-*")))
    child.send_signal(signal.SIGTERM)
    wrong = training.end(child, folder).wrong([TERMINATED], _HINT)
    if not wrong and not checkpoints(folder):
        wrong = "no checkpoint"
    return judged("signals", "SIGTERM while results are written", wrong)


def closed_streams(training: Training) -> list[Trial]:
    """Takes the reader of the output away, or the streams from the start."""
    _ = training.undisturbed
    folder = training.place / "streams"
    trials = []
    for name, run, statuses, words in (
        ("standard output | head -1", _run_head, [OUTPUT_CLOSED], [_HINT]),
        ("standard output to a full disk", _run_full, [OUTPUT_CLOSED], [_HINT]),
        ("all streams closed", _run_closed, [0], []),
    ):
        _tell(f"{name}.")
        wrong = run(training, folder).wrong(statuses, *words)
        if not wrong and statuses != [0] and not checkpoints(folder):
            wrong = "no checkpoint"
        trials.append(judged("closed_streams", name, wrong))
    return lost_together(trials, lambda: training.difference(folder))


def _run_head(training: Training, folder: pathlib.Path) -> Ended:
    child = training.start(folder, stdout=subprocess.PIPE)
    child.stdout.readline()
    child.stdout.close()
    return training.end(child, folder)


def _run_full(training: Training, folder: pathlib.Path) -> Ended:
    with open("/dev/full", "wb") as full:
        return training.run(folder, stdout=full)


def _run_closed(training: Training, folder: pathlib.Path) -> Ended:
    closed = ("bash", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "-")
    return training.run(folder, [*closed, *training.command(folder)])


def two_processes(training: Training) -> list[Trial]:
    """Starts other commands in the folder of a run that trains."""
    _ = training.undisturbed
    folder = training.place / "shared"
    child = training.start_held(folder, EPOCHS // 2)
    training.wait(child, lambda: epochs_saved(folder) > EPOCHS // 2)
    before = content_of(folder)
    trials = []
    for name, command in _others(training, folder):
        _tell(f"{name}.")
        ended = training.run(training.place / "intruder", command)
        wrong = ended.wrong([1], f"is in use by process {child.pid} on")
        wrong = wrong or change_of(before, folder)
        if child.poll() is not None:
            wrong = f"the first run ended, with status {child.poll()}"
        trials.append(judged("two_processes", name, wrong, REFUSED))
    child.kill()
    child.wait()
    # The lock must not outlive the run that was killed.
    difference = training.finish(folder)
    name = "--resume once the first was killed"
    return [
        *lost_together(trials, lambda: difference),
        judged("two_processes", name, difference),
        _twins(training),
    ]


def _twins(training: Training) -> Trial:
    """Starts two runs at the same moment: one of them gets the folder."""
    folder = training.place / "twins"
    places = [training.place / name for name in ("first", "second")]
    children = [
        training.start(place, training.command(folder)) for place in places
    ]
    ends = [
        training.end(child, place)
        for child, place in zip(children, places, strict=True)
    ]
    refused, trained = sorted(ends, key=lambda ended: ended.status != 1)
    wrong = refused.wrong([1], "is in use by process") or trained.wrong([0])
    wrong = wrong or training.difference(folder)
    return judged("two_processes", "two runs at the same moment", wrong)


def _others(
    training: Training, folder: pathlib.Path
) -> list[tuple[str, list[str]]]:
    """Returns commands that want the same folder, by name."""
    found = [
        (f"another run{text}", training.command(folder, more=more))
        for text, more in (
            (" without --resume", ("--checkpoint_every=0",)),
            (" with --resume", ("--resume",)),
            (" with --overwrite", ("--overwrite",)),
        )
    ]
    folder_flag = f"--output_dir={folder}"
    for module in (
        "experiments.maml",
        "benchmarks.memory",
        "benchmarks.kill_resume",
    ):
        command = [sys.executable, "-m", module, folder_flag]
        found.append((f"{module} --overwrite", [*command, "--overwrite"]))
    return found


def _tell(text: str) -> None:
    print(f"  {text}", flush=True)
