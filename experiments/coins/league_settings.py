"""Who takes part in a league of the Coin Game, found without loading it."""

import json
import os
import pathlib
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from absl import flags

from ..command_line.flag_parsers import check_some, read_settings
from ..matches.entrants import check_name, split_entrant
from ..results.outputs import CONFIG, SAVED_MODELS, SUMMARY
from ..settings.line_up import is_saved_model
from ..settings.training_flags import TABULAR
from .coin_settings import BOTS, RECURRENT

# Entrants that are there in each league, and no run has trained.
RANDOM = "random"
UNTRAINED = (*BOTS, RANDOM)

_RUN = re.compile(r"run_(\d+)")
# What tells a summary of experiments.coin_game from those of other commands.
_SHARE = "final_own_coin_share_per_run"
_EXPECTED = (
    "--entrants must hold folders of finished runs of experiments.coin_game, "
    "each with a name of yours in front if you like (NAME=PATH)"
)


class CoinEntrant(NamedTuple):
    """Who takes part in a league.

    Attributes:
      name: what tables and pictures call it.
      kind: the folder of runs that it comes from, by its name in the league.
      learner: how it has learned.
      sources: paths of its SavedModels in seat order, a single one if it sits
        in both seats.
    """

    name: str
    kind: str
    learner: str
    sources: tuple[str, ...]


class LeagueSettings(NamedTuple):
    """All that determines a league. The fields are flags."""

    entrants: tuple[CoinEntrant, ...]
    episode_length: int
    num_episodes: int
    seed: int


def resolve(values: flags.FlagValues) -> LeagueSettings:
    """Reads the flags of `experiments.coin_league`.

    Raises:
      ValueError: if an entrant is not there or does not fit.
    """
    texts = check_some("entrants", values.entrants)
    entrants = find_runs(texts, values.episode_length)
    return read_settings(LeagueSettings, values, entrants=entrants)


def find_runs(
    texts: Sequence[str], episode_length: int
) -> tuple[CoinEntrant, ...]:
    """Finds the runs of --entrants, without loading anything.

    Args:
      texts: folders of runs, or NAME=PATH.
      episode_length: of the league.

    Raises:
      ValueError: if a folder holds no finished runs, these have learned in
        episodes of another length or have memories of their own, or two
        folders have the same name.
    """
    found = [_named(text.strip()) for text in texts]
    kinds = [kind for kind, _ in found]
    for kind in kinds:
        if kinds.count(kind) > 1 or kind in UNTRAINED:
            raise ValueError(
                f"--entrants must have names that differ from each other and "
                f"from {', '.join(UNTRAINED)}. Received: {kind!r}, for more "
                "than one. Put names of your own in front, NAME=PATH."
            )
    return tuple(
        entrant
        for kind, folder in found
        for entrant in _runs_of(kind, folder, episode_length)
    )


def _named(text: str) -> tuple[str, pathlib.Path]:
    """Returns the name of a folder in the league, and its path."""
    name, source = split_entrant(text)
    folder = pathlib.Path(source)
    if not source or not folder.is_dir():
        raise ValueError(f"{_EXPECTED}. Received: {text!r}.")
    name = name or pathlib.Path(os.path.abspath(source)).name
    check_name(name)
    return name, folder


def _runs_of(
    kind: str, folder: pathlib.Path, episode_length: int
) -> list[CoinEntrant]:
    """Returns the entrants that the runs of a folder bring."""
    if not (folder / SUMMARY).exists():
        raise ValueError(
            f"{_EXPECTED}. Received: {str(folder)!r}, which has no {SUMMARY}: "
            "no run has finished there."
        )
    learner, settings = _recorded(folder)
    if settings["policy"] in RECURRENT:
        raise ValueError(
            "--entrants must hold policies without memory, or tables: exact "
            "values need finitely many inputs. Received: "
            f"{str(folder)!r}, runs of --policy={settings['policy']}."
        )
    length = settings["episode_length"]
    # Tables have learned over an infinite horizon, and played for measurements.
    if settings["policy"] != TABULAR and length != episode_length:
        raise ValueError(
            "--entrants must hold runs that have learned in episodes of "
            f"--episode_length={episode_length}. Received: {str(folder)!r}, "
            f"runs of --episode_length={length}."
        )
    saved = folder / SAVED_MODELS
    runs = {
        int(match[1]): path
        for path in (saved.iterdir() if saved.is_dir() else ())
        if (match := _RUN.fullmatch(path.name))
        and is_saved_model(str(path / "player_0"))
    }
    if not runs:
        raise ValueError(
            f"{_EXPECTED}. Received: {str(folder)!r}, which has no policies in "
            f"{SAVED_MODELS}/run_<r>: all runs have failed, or an earlier "
            "version of the command has made them."
        )
    return [
        CoinEntrant(f"{kind}/run_{run}", kind, learner, _sources(runs[run]))
        for run in sorted(runs)
    ]


def _sources(run: pathlib.Path) -> tuple[str, ...]:
    paths = [str(run / f"player_{seat}") for seat in range(2)]
    return tuple(path for path in paths if is_saved_model(path))


def _recorded(folder: pathlib.Path) -> tuple[str, dict[str, Any]]:
    """Returns the learner and the flags that a finished run tells."""
    try:
        summary, config = (
            json.loads((folder / name).read_text(encoding="utf-8"))
            for name in (SUMMARY, CONFIG)
        )
        learner, settings = config["method"], config["flags"]
        has_shares = _SHARE in summary[learner]
        settings = {
            name: settings[name] for name in ("policy", "episode_length")
        }
    except (OSError, RecursionError, TypeError, ValueError, KeyError):
        has_shares = False
    if not has_shares:
        raise ValueError(
            f"{_EXPECTED}. Received: {str(folder)!r}, whose {CONFIG} and "
            f"{SUMMARY} are not those of such a run."
        )
    return str(learner), settings
