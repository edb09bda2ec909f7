"""Strategies of the Axelrod library, and a player of our own among them.

Nothing here needs TensorFlow: the processes that play import only this.
"""

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import axelrod
import numpy as np
from axelrod.strategies.meta import MetaPlayer

_ACTIONS = (axelrod.Action.C, axelrod.Action.D)
_START = 4
# Fifteen times slower than the others: the two would take half of the time.
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
            own, other = self.history[-1], opponent.history[-1]
            observation = 2 * _ACTIONS.index(own) + _ACTIONS.index(other)
        chance = self._cooperation[observation]
        # Players without chance are given no random numbers.
        if chance in (0.0, 1.0):
            return _ACTIONS[0] if chance else _ACTIONS[1]
        return self._random.random_choice(chance)


def available() -> tuple[str, ...]:
    """Returns the names of the strategies that play by the rules and fast.

    Left out are those that change their opponent, those that the library
    itself marks as slow, two that it should, and teams, which ask all of their
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
    first: Competitor,
    second: Competitor,
    num_turns: int,
    num_repetitions: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Plays all repetitions of one pair.

    A match of two players without chance is played once. What a pair draws
    depends on the seed and on their names, not on who else takes part.

    Args:
      first: one competitor.
      second: the other, or the same.
      num_turns: turns of a match.
      num_repetitions: number of matches.
      seed: whole number.

    Returns:
      Payoff per turn and share of cooperation, `[2, num_repetitions]` each.
    """
    if first.name > second.name:
        payoffs, rates = play_pair(
            second, first, num_turns, num_repetitions, seed
        )
        return payoffs[::-1], rates[::-1]
    names = [zlib.crc32(own.name.encode()) for own in (first, second)]
    payoffs, rates = [], []
    for repetition in range(num_repetitions):
        sequence = np.random.SeedSequence([seed, *names, repetition])
        players = (_build(first), _build(second))
        match = axelrod.Match(
            players, turns=num_turns, seed=int(sequence.generate_state(1)[0])
        )
        match.play()
        payoffs.append(match.final_score_per_turn())
        rates.append(match.normalised_cooperation())
        if not any(map(axelrod.Classifiers["stochastic"], players)):
            payoffs *= num_repetitions
            rates *= num_repetitions
            break
    return np.transpose(payoffs), np.transpose(rates)


def _build(competitor: Competitor) -> axelrod.Player:
    if competitor.strategy is None:
        return MemoryOneCompetitor(competitor.cooperation)
    return getattr(axelrod, competitor.strategy)()
