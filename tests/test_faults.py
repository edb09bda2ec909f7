"""That `benchmarks.faults` sees what is lost: each judge on known cases."""

import csv
import os
import pathlib
import signal
import sys

import keras
import numpy as np
import pytest

from benchmarks import damaged_files, hostile_files, kill_resume, trials
from benchmarks.damaged_checkpoints import Fault
from benchmarks.disturbed_training import (
    Ended,
    Training,
    change_of,
    content_of,
)
from benchmarks.trials import (
    EXECUTED,
    LOST,
    NOT_TRIED,
    REFUSED,
    SURVIVED,
    Trial,
)

TRIED = [
    Trial("kills", "first", SURVIVED),
    Trial("kills", "second", LOST, "another curves.csv"),
    Trial("files", "pickle", EXECUTED, "mark"),
    Trial("files", "flip", REFUSED, "is damaged"),
    Trial("files", "disk", NOT_TRIED, "unshare is missing"),
]


def test_the_table_counts_what_came_of_each_part(tmp_path) -> None:
    assert trials.rows(TRIED) == [
        ["part", "tried", *trials.COLUMNS],
        ["kills", "2", "1", "0", "1", "0", "0"],
        ["files", "2", "0", "1", "0", "1", "0"],
        ["all", "4", "1", "1", "1", "1", "0"],
    ]
    trials.write(tmp_path, TRIED)
    with open(tmp_path / "faults.csv", newline="") as file:
        assert list(csv.reader(file)) == trials.rows(TRIED)
    with open(tmp_path / "faults_tried.csv", newline="") as file:
        assert [tuple(row) for row in csv.reader(file)][1:] == TRIED
    said = trials.report(TRIED)
    assert "lost: kills, second: another curves.csv" in said
    assert "not tried: files, disk: unshare is missing" in said


def test_nothing_may_be_lost_or_executed() -> None:
    failed = [check.name for check in trials.checks(TRIED) if not check.passed]
    assert failed == [
        "kills: lost",
        "files: executed",
        "all: lost",
        "all: executed",
    ]
    assert all(check.passed for check in trials.checks(TRIED[:1]))


def test_a_part_that_could_try_nothing_fails() -> None:
    (first, *_) = trials.checks(TRIED[-1:])
    assert first.name == "files: faults tried" and not first.passed


def test_all_faults_of_a_run_are_lost_with_it() -> None:
    kept = trials.lost_together(TRIED[:2], lambda: "")
    assert kept == TRIED[:2]
    lost = trials.lost_together(TRIED[:2], lambda: "no summary.json")
    assert [trial.outcome for trial in lost] == [LOST, LOST]
    assert lost[0].detail == "no summary.json"


@pytest.mark.parametrize(
    ("ended", "wrong"),
    [
        (Ended(130, "Continue with --resume"), ""),
        (Ended(1, "Continue with --resume"), "exit status 1"),
        (Ended(130, ""), "nothing about 'Continue'"),
        (Ended(None, "Continue"), "it did not end"),
        (
            Ended(130, "Continue\nTraceback (most recent call last):\nx"),
            "a traceback",
        ),
    ],
)
def test_the_end_of_a_process_is_judged(ended: Ended, wrong: str) -> None:
    assert ended.wrong([130, 143], "Continue").startswith(wrong)
    assert bool(ended.wrong([130, 143], "Continue")) == bool(wrong)


def test_processes_heed_ctrl_c_also_if_this_one_does_not(tmp_path) -> None:
    """As what a shell starts in the background."""
    code = (
        "import signal; "
        "print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    )
    training = Training(tmp_path)
    usual = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        command = [sys.executable, "-c", code]
        assert training.run(tmp_path / "run", command).said == "True\n"
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, usual)


def test_a_process_without_an_end_is_ended(tmp_path) -> None:
    training = Training(tmp_path)
    training.limit = 0.2
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    assert training.run(tmp_path / "run", command).status is None
    child = training.start(tmp_path / "run", command)
    training.close()
    assert child.poll() == -signal.SIGKILL


def test_changes_of_a_folder_are_seen(tmp_path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mine").write_text("mine")
    (tmp_path / "link").symlink_to("a")
    before = content_of(tmp_path)
    assert change_of(before, tmp_path) == ""
    (tmp_path / "a" / "mine").write_text("more")
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("b")
    (tmp_path / "new").touch()
    assert change_of(before, tmp_path) == "changed: ['a/mine', 'link', 'new']"
    assert change_of(before, tmp_path, ["new", "link"]).endswith("['a/mine']")
    os.unlink(tmp_path / "a" / "mine")
    assert "a/mine" in change_of(before, tmp_path)


def _read(content: bytes) -> np.ndarray:
    if content == b"refused":
        raise ValueError("is damaged")
    if content == b"endless":
        raise ValueError("x" * 10**5)
    if content == b"key":
        raise KeyError("x")
    return np.frombuffer(content, np.uint8)


@pytest.mark.parametrize(
    ("content", "outcome"),
    [
        (b"whole", SURVIVED),
        (b"other", LOST),
        (b"refused", REFUSED),
        (b"endless", LOST),
        (b"key", LOST),
    ],
)
def test_a_damaged_file_is_judged(content: bytes, outcome: str) -> None:
    faults = [Fault("flip", content)]
    expected = np.frombuffer(b"whole", np.uint8)
    (trial,) = damaged_files.judge("file", faults, _read, expected)
    assert trial.outcome == outcome
    (trial,) = damaged_files.judge(
        "file", faults, _read, expected, lambda: "changed: mine"
    )
    assert trial.outcome == LOST


def test_a_mark_is_left_where_code_runs(tmp_path) -> None:
    """With Keras' safe mode off, the file that is refused does its work."""

    def load(path) -> None:
        model = keras.saving.load_model(path, safe_mode=False)
        model(np.zeros([1, 5]))

    attack = next(iter(hostile_files.attacks()))
    assert attack.name == "Lambda layer"
    for read, outcome in ((attack.read, REFUSED), (load, EXECUTED)):
        folder = tmp_path / outcome
        folder.mkdir()
        trial = hostile_files.attempt(attack._replace(read=read), folder)
        assert trial.outcome == outcome


class _NoTraining:
    """Ends as it is told, without a process."""

    def __init__(self, difference: str):
        self.place, self.undisturbed = pathlib.Path(), pathlib.Path()
        self._difference = difference

    def finish(self, folder: pathlib.Path) -> str:
        return self._difference


@pytest.mark.parametrize(
    ("died_of", "difference", "failed"),
    [
        (None, "", []),
        (None, "another curves.csv", ["differing results"]),
        (0, "", ["kills"]),
        (1, "", ["kills", "attempts that failed"]),
    ],
)
def test_kills_are_judged(monkeypatch, died_of, difference, failed) -> None:
    kills = [
        kill_resume.Kill(number % 2 == 0, number, None) for number in range(5)
    ]
    kills.append(kill_resume.Kill(False, 5, died_of))
    monkeypatch.setattr(kill_resume, "kill_again_and_again", lambda *_: kills)
    checks = kill_resume.measure(
        kill_resume.KillSettings(6, 0, ()), _NoTraining(difference)
    )
    assert [check.name for check in checks if not check.passed] == failed
