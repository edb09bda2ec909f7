"""The settings of a tournament: flags, checked and resolved."""

from typing import NamedTuple

from absl import flags

from experiments.matches.entrants import Entrant, find_entrants
from experiments.settings.named_games import CUSTOM
from experiments.settings.payoffs import given_payoffs


class Settings(NamedTuple):
    """All that determines a tournament. The fields are the flags.

    Attributes:
      payoffs: `None` where the game has a name.
      episode_length: `None` for an infinite horizon.
      batch_size: `None` for exact values.
    """

    game: str
    payoffs: list | None
    episode_length: int | None
    discount: float
    batch_size: int | None
    seed: int
    with_itself: bool
    entrants: tuple[Entrant, ...]


def resolve(values: flags.FlagValues) -> Settings:
    """Reads the flags.

    Raises:
      ValueError: if they do not fit each other, or an entrant is not there.
    """
    payoffs = given_payoffs(values)
    if payoffs is not None and len(payoffs) != 2:
        raise ValueError(
            "--payoffs must be those of two players, who meet in pairs. "
            f"Received: {len(payoffs)} players."
        )
    if values.episode_length is None and values.batch_size is not None:
        raise ValueError(
            "--episode_length=none needs exact returns, --batch_size=none. "
            f"Received: --batch_size={values.batch_size}."
        )
    if values.episode_length is None and values.discount == 1.0:
        raise ValueError(
            "--episode_length=none needs a --discount below 1. Received: 1."
        )
    return Settings(
        game=values.game if payoffs is None else CUSTOM,
        payoffs=None if payoffs is None else payoffs.tolist(),
        episode_length=values.episode_length,
        discount=values.discount,
        batch_size=values.batch_size,
        seed=values.seed,
        with_itself=values.with_itself,
        entrants=find_entrants("entrants", values.entrants),
    )
