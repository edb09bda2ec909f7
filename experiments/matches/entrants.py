"""Entrants of a match: fixed policies, SavedModels, and policies of runs."""

import os
import pathlib
import re
from collections.abc import Sequence
from typing import NamedTuple

from ..results.outputs import SAVED_MODELS
from ..settings.line_up import OPPONENTS, is_saved_model

_NUM_SEATS = 2
_PLAYER = re.compile(r"player_(\d+)")
SYNTAX = (
    f"{', '.join(OPPONENTS)}, the path of a SavedModel, or that of a run of "
    "experiments.ipd, each with a name of yours in front if you like "
    "(NAME=PATH)"
)


class Entrant(NamedTuple):
    """Policies for both seats.

    Attributes:
      name: what tables and pictures call it.
      sources: for each seat the name of a fixed policy, or the path of a
        SavedModel.
    """

    name: str
    sources: tuple[str, str]


def find_entrants(texts: Sequence[str]) -> tuple[Entrant, ...]:
    """Finds the entrants of --entrants, without loading anything.

    Args:
      texts: one per entrant; a run of several methods brings several entrants.

    Raises:
      ValueError: if an entrant is not there, two have the same name, or a
        name cannot be written to a file.
    """
    entrants = [entrant for text in texts for entrant in _find(text.strip())]
    names = [entrant.name for entrant in entrants]
    for name in names:
        check_name(name)
        if names.count(name) > 1:
            raise ValueError(
                f"--entrants must hold each name once. Received {name!r} "
                f"{names.count(name)} times: put names of your own in front, "
                "NAME=PATH."
            )
    return tuple(entrants)


def check_name(name: str) -> None:
    """Raises if the name of an entrant cannot be written to a file."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError(
            "--entrants must have names in UTF-8. Put names of your own in "
            f"front, NAME=PATH. Received: {ascii(name)}."
        ) from None


def split_entrant(text: str) -> tuple[str, str]:
    """Returns the name in front of an entrant, if there is one, and the rest.

    Paths may hold an equals sign, too.
    """
    name, equals, source = text.partition("=")
    if not equals or os.path.exists(text):
        return "", text
    return name, source


def _find(text: str) -> list[Entrant]:
    name, source = split_entrant(text)
    if source in OPPONENTS:
        return [Entrant(name or source, (source,) * _NUM_SEATS)]
    if is_saved_model(source):
        name = name or _name_of_saved_model(source)
        return [Entrant(name, (source,) * _NUM_SEATS)]
    name = name or pathlib.Path(os.path.abspath(source)).name
    folder = pathlib.Path(source, SAVED_MODELS)
    if source and folder.is_dir():
        seats = _players(folder)
        if seats:
            return [Entrant(name, seats)]
        methods = sorted(path for path in folder.iterdir() if path.is_dir())
        found = {path.name: _players(path) for path in methods}
        if found and all(found.values()):
            return [
                Entrant(f"{name}/{method}", seats)
                for method, seats in found.items()
            ]
    raise ValueError(f"--entrants must be {SYNTAX}. Received: {text!r}.")


def _name_of_saved_model(path: str) -> str:
    """Returns `run/player_0` for a policy of a run, else the last folder."""
    parts = pathlib.Path(os.path.abspath(path)).parts
    if len(parts) > 3 and parts[-2] == SAVED_MODELS:
        return f"{parts[-3]}/{parts[-1]}"
    return parts[-1]


def _players(folder: pathlib.Path) -> tuple[str, ...]:
    """Returns the SavedModels of a folder in seat order, `()` without any."""
    found = {
        int(match[1]): str(path)
        for path in folder.iterdir()
        if (match := _PLAYER.fullmatch(path.name)) and is_saved_model(path)
    }
    if found and sorted(found) != list(range(_NUM_SEATS)):
        raise ValueError(
            f"--entrants must hold runs of {_NUM_SEATS} players. Received: "
            f"{str(folder)!r} with the policies of players {sorted(found)}."
        )
    return tuple(found[seat] for seat in sorted(found))
