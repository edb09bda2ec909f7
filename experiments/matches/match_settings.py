"""The settings of matches and tournaments: flags, checked and resolved."""

from typing import NamedTuple

from absl import flags

from ..command_line.flag_parsers import check_product, read_settings
from ..settings.line_up import OPPONENTS, is_saved_model
from ..settings.matrix_games import given_game
from .entrants import Entrant, find_entrants


class MatchSettings(NamedTuple):
    """All that determines a match. The fields are flags."""

    game: str
    payoffs: list | None
    episode_length: int
    discount: float
    batch_size: int
    seed: int
    policy: str
    opponent: str
    player_id: int
    num_moves: int


class TournamentSettings(NamedTuple):
    """All that determines a tournament. The fields are flags.

    An `episode_length` of `None` is an infinite horizon, and with a
    `batch_size` of `None` values are exact.
    """

    game: str
    payoffs: list | None
    episode_length: int | None
    discount: float
    batch_size: int | None
    seed: int
    with_itself: bool
    entrants: tuple[Entrant, ...]


class AxelrodSettings(NamedTuple):
    """All that determines an Axelrod tournament. The fields are flags.

    `strategies` are names of classes of the Axelrod library, `None` for all
    that are fast and play by its rules.
    """

    entrants: tuple[Entrant, ...]
    strategies: tuple[str, ...] | None
    num_turns: int
    num_repetitions: int
    seed: int
    num_processes: int


def resolve_match(values: flags.FlagValues) -> MatchSettings:
    """Reads the flags of `experiments.play`.

    Raises:
      ValueError: if they do not fit each other, or a policy is not there.
    """
    for flag in ("policy", "opponent"):
        source = values[flag].value
        if source not in OPPONENTS and not is_saved_model(source):
            raise ValueError(
                f"--{flag} must be one of {', '.join(OPPONENTS)}, or the path "
                f"of a SavedModel. Received: {source!r}."
            )
    check_product(
        batch_size=values.batch_size, episode_length=values.episode_length
    )
    return read_settings(MatchSettings, values, **_game_of_two(values))


def resolve_tournament(values: flags.FlagValues) -> TournamentSettings:
    """Reads the flags of `experiments.tournament`.

    Raises:
      ValueError: if they do not fit each other, or an entrant is not there.
    """
    changes = _game_of_two(values)
    if values.episode_length is None and values.batch_size is not None:
        raise ValueError(
            "--episode_length=none needs exact returns, --batch_size=none. "
            f"Received: --batch_size={values.batch_size}."
        )
    if values.episode_length is None and values.discount == 1.0:
        raise ValueError(
            "--episode_length=none needs a --discount below 1. Received: 1."
        )
    check_product(
        batch_size=values.batch_size or 1,
        episode_length=values.episode_length or 1,
    )
    changes["entrants"] = find_entrants(values.entrants)
    return read_settings(TournamentSettings, values, **changes)


def resolve_axelrod(values: flags.FlagValues) -> AxelrodSettings:
    """Reads the flags of `experiments.axelrod_tournament`.

    Raises:
      ValueError: if an entrant is not there, or a strategy stands twice.
    """
    strategies = None
    if values.strategies != ["all"]:
        strategies = tuple(name.strip() for name in values.strategies)
        if len(set(strategies)) < max(len(strategies), 1):
            raise ValueError(
                "--strategies must hold each name once. Received: "
                f"{','.join(strategies)!r}."
            )
    entrants = find_entrants(values.entrants)
    return read_settings(
        AxelrodSettings, values, entrants=entrants, strategies=strategies
    )


def _game_of_two(values: flags.FlagValues) -> dict:
    game, payoffs = given_game(values)
    if payoffs is not None and len(payoffs) != 2:
        raise ValueError(
            "--payoffs must be those of two players, who meet in pairs. "
            f"Received: {len(payoffs)} players."
        )
    return {"game": game, "payoffs": payoffs}
