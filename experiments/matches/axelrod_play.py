"""A round robin of policies and strategies, in several processes."""

import itertools
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from experiments.matches.axelrod_field import Competitor, play_pair

# Pairs that a process plays before it reports.
_CHUNK = 50


class Outcome(NamedTuple):
    """Who did how well. n competitors, R repetitions.

    Attributes:
      competitors: all who took part, n.
      payoffs: payoff per turn of the row against the column, `[R, n, n]`.
      cooperation: share of the row's cooperative moves, `[R, n, n]`.
      seconds: that it took.
    """

    competitors: tuple[Competitor, ...]
    payoffs: np.ndarray
    cooperation: np.ndarray
    seconds: float

    @property
    def scores(self) -> np.ndarray:
        """Mean payoff per turn against all others, `[R, n]`."""
        return mean_over_others(self.payoffs)

    @property
    def order(self) -> np.ndarray:
        """The competitors' numbers, the best first; draws in given order."""
        # Sums in another order differ by rounding.
        scores = np.round(self.scores.mean(axis=0), 9)
        return np.argsort(-scores, kind="stable")


def mean_over_others(table: np.ndarray) -> np.ndarray:
    """Averages `[..., n, n]` over all columns but the row's own."""
    n = table.shape[-1]
    own = np.diagonal(table, axis1=-2, axis2=-1)
    return (table.sum(axis=-1) - own) / (n - 1)


def play(
    competitors: Sequence[Competitor],
    *,
    num_turns: int,
    num_repetitions: int,
    seed: int,
    num_processes: int,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Outcome:
    """Lets everyone meet everyone, itself included.

    Args:
      competitors: all who take part, at least two.
      num_turns: turns of a match.
      num_repetitions: matches of a pair.
      seed: whole number.
      num_processes: 1 plays in this one.
      on_progress: called with the pairs played, and the pairs in all.
    """
    started = time.monotonic()
    n = len(competitors)
    pairs = list(itertools.combinations_with_replacement(range(n), 2))
    # Slow strategies stand side by side: shuffled, chunks take equally long.
    np.random.default_rng(0).shuffle(pairs)
    jobs = [
        (competitors[i], competitors[j], num_turns, num_repetitions, seed)
        for i, j in pairs
    ]
    payoffs, cooperation = np.zeros([2, num_repetitions, n, n])
    for done, ((i, j), result) in enumerate(
        zip(pairs, _results(jobs, num_processes), strict=True), start=1
    ):
        for table, values in zip((payoffs, cooperation), result, strict=True):
            # Against itself a competitor has two seats.
            table[:, i, j] = values[0] if i != j else values.mean(axis=0)
            table[:, j, i] = values[1] if i != j else values.mean(axis=0)
        on_progress(done, len(pairs))
    seconds = time.monotonic() - started
    return Outcome(tuple(competitors), payoffs, cooperation, seconds)


def _results(jobs: list[tuple], num_processes: int) -> Iterator[tuple]:
    if num_processes == 1:
        yield from itertools.starmap(play_pair, jobs)
        return
    # Not forked: this process may hold the threads of TensorFlow.
    context = multiprocessing.get_context("spawn")
    with context.Pool(num_processes) as pool:
        yield from pool.imap(_play_job, jobs, chunksize=_CHUNK)


def _play_job(job: tuple) -> tuple[np.ndarray, np.ndarray]:
    return play_pair(*job)
