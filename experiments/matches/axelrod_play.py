"""A round robin of policies and strategies of the Axelrod library.

Nothing here needs TensorFlow: the processes that play import only this.
"""

import concurrent.futures
import itertools
import multiprocessing
import signal
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import axelrod
import numpy as np
from axelrod.strategies.meta import MetaPlayer

from .match_settings import AxelrodSettings

# Pairs that a process plays before it reports.
_CHUNK = 50
_ACTIONS = (axelrod.Action.C, axelrod.Action.D)
_START = 4
# These two are fifteen times slower than the others, and would take half of
# the time.
_SLOW = {"FirstByGraaskamp", "SecondByTranquilizer"}


class Competitor(NamedTuple):
    """Who takes part.

    Attributes:
      name: what tables and pictures call it.
      strategy: name of a class of the Axelrod library, `None` for a policy.
      cooperation: of a policy, P(cooperate) after CC, CD, DC, DD (its own
        action first) and at the start.
    """

    name: str
    strategy: str | None
    cooperation: tuple[float, ...] | None


class MemoryOneCompetitor(axelrod.Player):
    """Plays by a table of five probabilities.

    The library's own memory-one player has none for its first move.

    Args:
      cooperation: as of `Competitor`.
    """

    name = "Policy"
    classifier = {
        "memory_depth": 1,
        "stochastic": True,
        "long_run_time": False,
        "inspects_source": False,
        "manipulates_source": False,
        "manipulates_state": False,
    }

    def __init__(self, cooperation: Sequence[float] = (0.5,) * 5) -> None:
        super().__init__()
        self._cooperation = tuple(cooperation)
        has_chance = any(0 < chance < 1 for chance in self._cooperation)
        self.classifier = {**self.classifier, "stochastic": has_chance}

    def strategy(self, opponent: axelrod.Player) -> axelrod.Action:
        observation = _START
        if self.history:
            last = (self.history[-1], opponent.history[-1])
            first, second = map(_ACTIONS.index, last)
            observation = 2 * first + second
        chance = self._cooperation[observation]
        # Players without chance are given no random numbers.
        if chance in (0.0, 1.0):
            return _ACTIONS[0] if chance else _ACTIONS[1]
        return self._random.random_choice(chance)


def available() -> tuple[str, ...]:
    """Returns the names of the strategies that are fast and keep to the rules.

    Strategies that change their opponent are left out. So are slow ones: those
    that the library marks as slow, two more, and teams, which ask all of their
    members each turn.
    """
    return tuple(
        strategy.__name__
        for strategy in axelrod.short_run_time_strategies
        if strategy.__name__ not in _SLOW
        and not issubclass(strategy, MetaPlayer)
        and axelrod.Classifiers.obey_axelrod(strategy())
    )


def field(strategies: Sequence[str] | None) -> tuple[Competitor, ...]:
    """Returns competitors from names of classes; `None` means all available.

    Raises:
      ValueError: if the library has no such strategy.
    """
    known = {strategy.__name__: strategy for strategy in axelrod.strategies}
    if strategies is None:
        strategies = available()
    unknown = [name for name in strategies if name not in known]
    if unknown:
        raise ValueError(
            "--strategies must hold names of classes of the Axelrod library, "
            f"such as TitForTat. Received: {unknown[0]!r}."
        )
    return tuple(
        Competitor(known[name].name, name, None) for name in strategies
    )


def play_pair(
    first: Competitor, second: Competitor, settings: AxelrodSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Plays all repetitions of one pair.

    A match of two players without chance is played once. The random numbers
    of a pair depend on the seed and on the two names, not on who else takes
    part.

    Returns:
      Payoff per turn and share of cooperation, `[2, num_repetitions]` each.
    """
    if first.name > second.name:
        payoffs, rates = play_pair(second, first, settings)
        return payoffs[::-1], rates[::-1]
    names = [zlib.crc32(side.name.encode()) for side in (first, second)]
    payoffs, rates = [], []
    for repetition in range(settings.num_repetitions):
        sequence = np.random.SeedSequence([settings.seed, *names, repetition])
        players = (_build(first), _build(second))
        match = axelrod.Match(
            players,
            turns=settings.num_turns,
            seed=int(sequence.generate_state(1)[0]),
        )
        match.play()
        payoffs.append(match.final_score_per_turn())
        rates.append(match.normalised_cooperation())
        if not any(map(axelrod.Classifiers["stochastic"], players)):
            payoffs *= settings.num_repetitions
            rates *= settings.num_repetitions
            break
    return np.transpose(payoffs), np.transpose(rates)


def _build(competitor: Competitor) -> axelrod.Player:
    if competitor.strategy is None:
        return MemoryOneCompetitor(competitor.cooperation)
    return getattr(axelrod, competitor.strategy)()


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
    """Averages `[..., n, n]` over all columns but that of the row itself."""
    n = table.shape[-1]
    with_itself = np.diagonal(table, axis1=-2, axis2=-1)
    return (table.sum(axis=-1) - with_itself) / (n - 1)


def play(
    competitors: Sequence[Competitor],
    settings: AxelrodSettings,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Outcome:
    """Lets all competitors, at least two, meet each other and themselves.

    Args:
      competitors: all competitors.
      settings: the matches, and the number of processes; 1 is this one.
      on_progress: called with the numbers of pairs played, and of all pairs.

    Raises:
      ChildProcessError: if one of the processes dies.
    """
    started = time.monotonic()
    n = len(competitors)
    pairs = list(itertools.combinations_with_replacement(range(n), 2))
    # Slow strategies are neighbours: shuffled, chunks take equally long.
    np.random.default_rng(0).shuffle(pairs)
    jobs = [(competitors[i], competitors[j], settings) for i, j in pairs]
    payoffs, cooperation = np.zeros([2, settings.num_repetitions, n, n])
    for done, ((i, j), result) in enumerate(
        zip(pairs, _results(jobs, settings.num_processes), strict=True), start=1
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
    # A forked process would inherit the threads of TensorFlow, which is unsafe.
    context = multiprocessing.get_context("spawn")
    # Ctrl-C ends these processes without stack traces of theirs.
    executor = concurrent.futures.ProcessPoolExecutor(
        num_processes,
        context,
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        yield from executor.map(_play_job, jobs, chunksize=_CHUNK)
    except concurrent.futures.process.BrokenProcessPool as error:
        raise ChildProcessError(
            f"One of {num_processes} processes that played has died, perhaps "
            "for lack of memory. Try a smaller --num_processes."
        ) from error
    finally:
        # After an error or Ctrl-C, what has not begun is not played.
        executor.shutdown(cancel_futures=True)


def _play_job(job: tuple) -> tuple[np.ndarray, np.ndarray]:
    return play_pair(*job)
