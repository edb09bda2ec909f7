"""Timing programs against each other, one run after the other."""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

# How often `alternate` calls a program in a turn.
CALLS_PER_TURN = 2


class Timing(NamedTuple):
    """Seconds of one iteration of a program.

    Attributes:
      median_seconds, min_seconds, max_seconds: over the turns.
    """

    median_seconds: float
    min_seconds: float
    max_seconds: float


def seconds_in_turns(
    programs: Mapping[str, Callable[[int], Any]], num_turns: int
) -> tuple[dict[str, np.ndarray], dict[str, list[Any]]]:
    """Runs programs turn by turn, so that what disturbs one disturbs all.

    Args:
      programs: by name a function of the number of the turn.
      num_turns: how often each is called.

    Returns:
      Seconds of each call, and what it returned, by name.
    """
    seconds = {name: np.zeros(num_turns) for name in programs}
    results = {name: [] for name in programs}
    for turn in range(num_turns):
        for name, program in programs.items():
            start = time.perf_counter()
            results[name].append(program(turn))
            seconds[name][turn] = time.perf_counter() - start
    return seconds, results


def alternate(
    programs: Mapping[str, tuple[Callable[[], None], int]], num_turns: int
) -> dict[str, Timing]:
    """Times programs in turns, each after a call of its own that is not timed.

    Else the program pays for the one before it: JAX gives its memory back to
    the system while the next one runs.

    Args:
      programs: by name a function that has been called before (compiled), and
        the number of iterations that one call makes.
      num_turns: how many calls of each are timed.

    Returns:
      By name, the seconds of one iteration.
    """
    calls = {}
    for name, (call, _) in programs.items():
        calls[f"{name}, before"] = calls[name] = lambda _, call=call: call()
    seconds, _ = seconds_in_turns(calls, num_turns)
    timings = {}
    for name, (_, num_iterations) in programs.items():
        turns = seconds[name] / num_iterations
        timings[name] = Timing(
            float(np.median(turns)), float(turns.min()), float(turns.max())
        )
    return timings
