"""Worker processes: what is said when one fails, and that none is left."""

import os
import pathlib
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from dice_tf.bridges import PythonGame
from dice_tf.bridges.workers import WorkerEnvironment
from tests.bridges.environments import (
    Counting,
    Fragile,
    Killed,
    Slow,
    Unpicklable,
    vanishing,
)

ROOT = pathlib.Path(__file__).parents[2]
SEEDS = np.arange(4)
ACTIONS = (np.zeros(4, np.int32), np.zeros(4, np.int32))

UNGUARDED = """
from dice_tf.bridges import PythonGame
from tests.bridges.environments import Counting

PythonGame(Counting, 3, num_workers=2)
"""


@pytest.fixture
def started(monkeypatch):
    """All worker processes of the test, which must have ended after it."""
    processes = []
    start = WorkerEnvironment._start_process

    def recorded(environment, context):
        start(environment, context)
        processes.append(environment._processes[-1])

    monkeypatch.setattr(WorkerEnvironment, "_start_process", recorded)
    yield processes
    assert processes
    assert not any(process.is_alive() for process in processes)


def test_a_worker_that_is_killed_is_named_with_its_signal(started):
    environment = WorkerEnvironment(Killed, 2)
    environment.reset(SEEDS)
    environment.step(ACTIONS)
    with pytest.raises(
        RuntimeError,
        match=rf"Worker process 1 of 2 \(process id {started[0].pid}\) ended "
        "without an answer in `step`: it was ended by the signal SIGKILL.*mem",
    ):
        environment.step(ACTIONS)
    with pytest.raises(
        RuntimeError, match="have ended: Worker process 1 of 2.*Make the game"
    ):
        environment.step(ACTIONS)


def test_a_worker_that_was_killed_between_steps_is_named(started):
    environment = WorkerEnvironment(Counting, 2)
    environment.reset(SEEDS)
    started[1].kill()
    started[1].join()
    with pytest.raises(RuntimeError, match="Worker process 2 of 2.*SIGKILL"):
        environment.step(ACTIONS)


def test_a_worker_that_leaves_is_named_with_its_exit_code(started):
    with pytest.raises(
        RuntimeError,
        match="when it made its environment: its exit code was 1, .*num_workers"
        "=0",
    ):
        PythonGame(vanishing, 3, num_workers=2)


def test_a_worker_that_fails_shows_its_traceback(started):
    environment = WorkerEnvironment(Fragile, 2)
    environment.reset(SEEDS)
    environment.step(ACTIONS)
    with pytest.raises(
        RuntimeError, match="Worker process 1 of 2 .* failed in `step`: ZeroDi"
    ) as failure:
        environment.step(ACTIONS)
    assert 'raise ZeroDivisionError("it broke")' in str(failure.value)


def test_an_answer_that_cannot_be_sent_is_a_failure(started):
    environment = WorkerEnvironment(Unpicklable, 1)
    with pytest.raises(RuntimeError, match="failed in `reset`: .*pickle"):
        environment.reset(SEEDS)


def test_a_kind_that_is_no_environment_is_a_failure(started):
    with pytest.raises(
        RuntimeError, match="TypeError: `make_environment` must"
    ):
        WorkerEnvironment(dict, 1)


def test_a_function_of_a_notebook_is_told_from_others(started, monkeypatch):
    def make():
        return Counting()

    main = sys.modules["__main__"]
    monkeypatch.setattr(make, "__module__", "__main__")
    monkeypatch.setattr(make, "__qualname__", "make")
    monkeypatch.setattr(main, "make", make, raising=False)
    with pytest.raises(
        RuntimeError,
        match="`make_environment` cannot be found: .*In a notebook",
    ):
        WorkerEnvironment(make, 1)


def test_a_function_without_a_name_is_refused():
    with pytest.raises(
        TypeError, match="`make_environment` must be a function that worker"
    ):
        WorkerEnvironment(lambda: Counting(), 1)


def test_an_interrupt_ends_all_workers(started):
    environment = WorkerEnvironment(Slow, 2)
    environment.reset(SEEDS)
    interrupt = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    interrupt.start()
    with pytest.raises(KeyboardInterrupt):
        environment.step(ACTIONS)
    with pytest.raises(RuntimeError, match="have ended: KeyboardInterrupt"):
        environment.step(ACTIONS)


def test_an_interrupt_of_the_whole_terminal_lets_workers_finish(started):
    environment = WorkerEnvironment(Counting, 2)
    environment.reset(SEEDS)
    for process in started:
        os.kill(process.pid, signal.SIGINT)
    assert environment.step(ACTIONS).continues.all()
    environment.close()
    with pytest.raises(RuntimeError, match="have ended: it was closed"):
        environment.reset(SEEDS)


def test_a_script_without_a_guard_says_what_it_lacks(tmp_path):
    path = tmp_path / "unguarded.py"
    path.write_text(UNGUARDED)
    run = subprocess.run(
        [sys.executable, str(path)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    message = run.stderr.split("RuntimeError: ", 1)[1]
    assert message.startswith("Worker process 1 of 2 (process id ")
    assert 'under `if __name__ == "__main__":`' in message
    # The traceback of one error, and nothing of the workers.
    assert run.stderr.count("Traceback") <= 2
    assert len(run.stderr.splitlines()) < 50
