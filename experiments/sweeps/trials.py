"""Trials of a sweep: each is a run of its own, in a process of its own.

Whatever ends a trial, the sweep goes on; and a trial whose sweep was killed
goes on to its end, or from its checkpoint, with the next worker.
"""

import csv
import json
import math
import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import optuna

from ..reports.finished_runs import read_scores
from ..results.folder_lock import locked
from ..results.outputs import SUMMARY
from .search_space import arguments_of
from .study import COMPLETE, FAILED, PRUNED, StartedTrial, Sweep

LOG = "trial.log"
# How often, in seconds, a worker looks what a trial has logged.
_EVERY = 0.5
# Lines of a trial that has failed, which are shown.
_NUM_LINES = 3


class TrialProgram(NamedTuple):
    """What trials run.

    Attributes:
      module: of the experiment, such as `experiments.ipd`.
      arguments: flags that all trials share.
      trackers: of --log_to, to which csv is added.
      metric: the name of what is searched by in the logs.
    """

    module: str
    arguments: Sequence[str]
    trackers: Sequence[str]
    metric: str

    def command(self, started: StartedTrial) -> list[str]:
        """Returns the command that starts a trial, or goes on with it."""
        trackers = dict.fromkeys(["csv", *self.trackers])
        return [
            *(sys.executable, "-m", self.module),
            *self.arguments,
            *arguments_of(started.trial.params),
            f"--log_to={','.join(trackers)}",
            f"--output_dir={started.folder}",
            "--resume",
        ]


def work(sweep: Sweep, program: TrialProgram, num_trials: int) -> None:
    """Works on trials until there is nothing left to do.

    Trials that other workers still work on are left to them.
    """
    while True:
        with sweep.next_trial(num_trials) as started:
            if started is None:
                return
            number = started.trial.number
            tried = " ".join(arguments_of(started.trial.params))
            print(f"Trial {number}: {tried}", flush=True)
            value, state, text = run_trial(started, program)
            sweep.tell(number, value, state)
            print(f"Trial {number}: {text}", flush=True)


def run_trial(
    started: StartedTrial, program: TrialProgram
) -> tuple[float | None, optuna.trial.TrialState, str]:
    """Runs a trial to its end, or until it is pruned.

    Returns:
      The value, if it is complete, how it has ended, and that in words.
    """
    folder = started.folder
    folder.mkdir(exist_ok=True)
    _wait_for_earlier_process(folder)
    with open(folder / LOG, "a", encoding="utf-8") as log:
        # Ctrl-C reaches this process alone, which passes it on.
        process = subprocess.Popen(
            program.command(started),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        is_pruned = _watch(process, started, program.metric)
    finally:
        # It saves a checkpoint.
        if process.poll() is None:
            process.terminate()
        status = process.wait()
    if is_pruned:
        return None, PRUNED, "pruned"
    if status or not (folder / SUMMARY).is_file():
        lines = (folder / LOG).read_text(encoding="utf-8", errors="replace")
        last = " / ".join(lines.split("\n")[-_NUM_LINES - 1 :]).strip(" /")
        return None, FAILED, f"failed with status {status}: {last}"
    value = final_value(folder)
    if not math.isfinite(value):
        return None, FAILED, "failed: its returns are not finite"
    return value, COMPLETE, f"{value:.4f}"


def _wait_for_earlier_process(folder: pathlib.Path) -> None:
    """Waits for a process of this trial that has outlived its worker."""
    while True:
        try:
            with locked(folder, "a sweep"):
                return
        except ValueError:
            time.sleep(_EVERY)


def _watch(
    process: subprocess.Popen, started: StartedTrial, metric: str
) -> bool:
    """Reports what a trial logs until it ends, or is to be pruned.

    Returns:
      Whether it is to be pruned.
    """
    reported = {*started.reported}
    while True:
        # Look before reading: what it logs just before it ends is read, too.
        has_ended = process.poll() is not None
        for epoch, value in logged(started.folder, metric):
            if epoch in reported:
                continue
            reported.add(epoch)
            started.trial.report(value, epoch)
            if not has_ended and started.trial.should_prune():
                return True
        if has_ended:
            return False
        time.sleep(_EVERY)


def logged(folder: pathlib.Path, metric: str) -> Iterator[tuple[int, float]]:
    """Yields the epochs that a trial has logged, and the metric in each."""
    for path in sorted(folder.glob("logs/*/*.csv")):
        text = path.read_text(encoding="utf-8")
        # The last line may not be whole.
        lines = text[: text.rfind("\n") + 1].splitlines()
        for row in csv.DictReader(lines):
            if metric not in row:
                raise ValueError(
                    f"--metric must be one of {', '.join(row)}. Received: "
                    f"{metric!r}."
                )
            yield int(row["epoch"]), float(row[metric])


def final_value(folder: pathlib.Path) -> float:
    """Returns the mean final return of a run, NaN if a seed has failed."""
    content = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    (scores,) = read_scores(content).values()
    return float(np.mean(scores))
