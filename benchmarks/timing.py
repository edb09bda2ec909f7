"""Timing programs against each other, one run after the other."""

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np


class Timing(NamedTuple):
    """Seconds of one iteration of a program.

    Attributes:
      median_seconds, min_seconds, max_seconds: over the turns.
    """

    median_seconds: float
    min_seconds: float
    max_seconds: float


def alternate(
    programs: Mapping[str, tuple[Callable[[], None], int]], num_turns: int
) -> dict[str, Timing]:
    """Times programs in turns, so that what disturbs one disturbs all.

    Args:
      programs: by name a function that has been called before (compiled), and
        the number of iterations that one call makes.
      num_turns: how often each is called.

    Returns:
      By name, the seconds of one iteration.
    """
    seconds = {name: [] for name in programs}
    for _ in range(num_turns):
        for name, (call, num_iterations) in programs.items():
            start = time.perf_counter()
            call()
            elapsed = time.perf_counter() - start
            seconds[name].append(elapsed / num_iterations)
    return {
        name: Timing(
            float(np.median(own)), float(np.min(own)), float(np.max(own))
        )
        for name, own in seconds.items()
    }
