"""Worker processes of environments that die, fail or leave.

The error must name the worker and say how it ended, all that is asked later
must say so, too, and no process may be left.
"""

import contextlib
import functools
import multiprocessing
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

import dice_tf
from benchmarks.trials import REFUSED, Trial, judged

_PART = "dead_workers"
_ROOT = pathlib.Path(__file__).resolve().parents[1]
_MAKING, _RESET, _STEP = "when it is made", "in reset", "in step"
_NUM_WORKERS = 2
# In seconds: for one fault, and until processes have ended by themselves.
_LONGEST = 120.0
_PATIENCE = 20.0

_ORPHANS = """
import multiprocessing, time
from benchmarks.dead_workers import Faulty
from dice_tf.bridges import PythonGame

if __name__ == "__main__":
    game = PythonGame(Faulty, 3, num_workers=2)
    pids = [child.pid for child in multiprocessing.active_children()]
    print(*pids, flush=True)
    time.sleep(600)
"""


def _raise(error: type[BaseException]) -> None:
    raise error("it broke")


# What a worker does, and what the error says of it.
_FAULTS: dict[str, tuple[Callable[[], Any], str]] = {
    **{
        f"{name}": (
            functools.partial(lambda number: os.kill(os.getpid(), number), n),
            name,
        )
        for name, n in (
            ("SIGKILL", signal.SIGKILL),
            ("SIGSEGV", signal.SIGSEGV),
            ("SIGTERM", signal.SIGTERM),
        )
    },
    "exit with 0": (lambda: os._exit(0), "exit code was 0"),
    "exit with 3": (lambda: os._exit(3), "exit code was 3"),
    "sys.exit": (lambda: sys.exit(4), "exit code was 4"),
    "an error": (lambda: _raise(ZeroDivisionError), "ZeroDivisionError"),
    "no memory": (lambda: _raise(MemoryError), "MemoryError"),
    "a generator": (lambda: (yield), "pickle"),
}


class Faulty(dice_tf.bridges.VectorEnvironment):
    """Two players who see nothing; it does what it is told at a moment.

    Args:
      fault: key of what it does; `""` for nothing.
      moment: when it does that.
    """

    num_actions = (2, 2)
    observation_shapes = ((1,), (1,))

    def __init__(self, fault: str = "", moment: str = ""):
        self._fault, self._moment = fault, moment
        self._is_at(_MAKING)

    def reset(self, seeds: np.ndarray) -> tuple[np.ndarray, ...]:
        self._num_episodes = len(seeds)
        return self._is_at(_RESET) or self._observations()

    def step(
        self, actions: tuple[np.ndarray, ...]
    ) -> dice_tf.bridges.VectorStep:
        rewards = np.zeros(self._num_episodes)
        return self._is_at(_STEP) or dice_tf.bridges.VectorStep(
            self._observations(),
            (rewards, rewards),
            np.ones(self._num_episodes, bool),
        )

    def _observations(self) -> tuple[np.ndarray, ...]:
        nothing = np.zeros([self._num_episodes, 1])
        return nothing, nothing

    def _is_at(self, moment: str) -> Any:
        return _FAULTS[self._fault][0]() if moment == self._moment else None


def dead_workers() -> list[Trial]:
    """Lets workers die of each fault at each moment, and of outside."""
    trials = []
    for fault, (_, words) in _FAULTS.items():
        for moment in (_MAKING, _RESET, _STEP):
            # What a generator is made of is not sent when it is made.
            if (fault, moment) != ("a generator", _MAKING):
                make = functools.partial(Faulty, fault, moment)
                wrong = _wrong(make, words)
                trials.append(
                    judged(_PART, f"{fault} {moment}", wrong, REFUSED)
                )
    for fault in ("SIGKILL", "SIGTERM"):
        number = signal.Signals[fault]
        wrong = _wrong(Faulty, fault, lambda: _signal_one(number))  # noqa: B023
        name = f"{fault} between steps"
        trials.append(judged(_PART, name, wrong, REFUSED))
    print(f"  {len(trials)} deaths.", flush=True)
    wrong = _orphans_left()
    return [*trials, judged(_PART, "SIGKILL of the first process", wrong)]


def _signal_one(number: int) -> None:
    child = multiprocessing.active_children()[0]
    os.kill(child.pid, number)
    child.join(_PATIENCE)


def _wrong(
    make: Callable[[], Faulty],
    words: str,
    disturb: Callable[[], None] = lambda: None,
) -> str:
    """Plays, and says what is wrong with the error that must come."""
    game, said = None, ""
    try:
        with _limited(_LONGEST):
            try:
                game = dice_tf.bridges.PythonGame(
                    make, 3, num_workers=_NUM_WORKERS
                )
                _play(game, disturb)
                return "nothing was said"
            except Exception as error:
                said = str(error)
            if game is not None:
                game.close()
    except TimeoutError:
        return "it did not end"
    if "Worker process " not in said or words not in said:
        return f"the error does not say it: {said[:500]}"
    left = _left(multiprocessing.active_children)
    return f"processes are left: {left}" if left else ""


def _play(game: Any, disturb: Callable[[], None]) -> None:
    state, _ = game.reset(tf.constant([0, 1]), 4)
    actions = (tf.zeros([4], tf.int32),) * 2
    state, _ = game.step(state, actions, tf.constant([0, 2]))
    disturb()
    game.step(state, actions, tf.constant([0, 3]))


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raises a `TimeoutError` after some time."""

    def stop(*_: Any) -> None:
        raise TimeoutError

    usual = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, usual)


def _left(find: Callable[[], list]) -> list:
    """Waits until nothing is found any longer; returns what is left."""
    end = time.monotonic() + _PATIENCE
    while (found := find()) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def _orphans_left() -> str:
    """Kills a process that has workers; these must end by themselves."""
    with subprocess.Popen(
        [sys.executable, "-c", _ORPHANS],
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as first:
        try:
            line = first.stdout.readline()
        finally:
            first.kill()
    workers = [int(pid) for pid in line.split()]
    if len(workers) != _NUM_WORKERS:
        return f"it did not start: {line!r}"
    left = _left(lambda: [pid for pid in workers if _is_alive(pid)])
    return f"processes are left: {left}" if left else ""


def _is_alive(pid: int) -> bool:
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    # A zombie has ended, and waits for somebody to ask how.
    return state.rpartition(")")[2].split()[0] != "Z"
