"""The settings of an Axelrod tournament: flags, checked and resolved."""

from typing import NamedTuple

from absl import flags

from experiments.matches.entrants import Entrant, find_entrants


class Settings(NamedTuple):
    """All that determines a tournament. The fields are the flags.

    Attributes:
      strategies: names of classes of the Axelrod library, `None` for all that
        are fast and play by the rules.
    """

    entrants: tuple[Entrant, ...]
    strategies: tuple[str, ...] | None
    num_turns: int
    num_repetitions: int
    seed: int
    num_processes: int


def resolve(values: flags.FlagValues) -> Settings:
    """Reads the flags.

    Raises:
      ValueError: if an entrant is not there, or there are too few in all.
    """
    strategies = None
    if values.strategies != ["all"]:
        strategies = tuple(name.strip() for name in values.strategies)
        if len(set(strategies)) < max(len(strategies), 1):
            raise ValueError(
                "--strategies must hold each name once. Received: "
                f"{','.join(strategies)!r}."
            )
    return Settings(
        entrants=find_entrants("entrants", values.entrants),
        strategies=strategies,
        num_turns=values.num_turns,
        num_repetitions=values.num_repetitions,
        seed=values.seed,
        num_processes=values.num_processes,
    )
