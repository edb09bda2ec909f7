"""Reads what finished runs have left, as scores and curves of methods.

Runs can be compared if they hold, by method, a curve of every run and a final
return of every run: those that train players in matrix games, in the Coin Game
and in the negotiation game.
"""

import csv
import json
import math
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..results.outputs import (
    CONFIG,
    CURVES,
    EXPERIMENT,
    SUMMARY,
    interrupted_run,
)
from ..settings.matrix_games import NAMED_GAMES

_COINS = "coins.csv"
# The final return of each run in summary.json: joint, or per round or step.
_SCORES = ("final_joint_return_per_run", "final_mean_reward_per_run")
_RETURNS = re.compile(r"player_\d+_(return|reward)")
# What a return of a game refers to.
_OF_RETURNS = ("payoffs", "episode_length", "discount")
# A reward a step does not depend on the discount.
_OF_REWARDS = ("episode_length",)
# Both players earn so much a round if each leaves the other what it values.
_BEST_DIVISION = 0.5
_MISREAD = (
    AttributeError,
    IndexError,
    KeyError,
    RecursionError,
    StopIteration,
    TypeError,
    ValueError,
    ZeroDivisionError,
)


class MethodRuns(NamedTuple):
    """The runs of one method in one folder, those left out that have failed.

    Attributes:
      label: what tables and pictures call it.
      folder: of the run.
      method: its name in the files.
      command: that started the run.
      game: by name, what makes returns comparable.
      best: the highest return that is possible, `None` if that is not known.
      iterations: `[K]`, when the returns were measured.
      returns: `[K, num_runs]`, mean over players.
      scores: `[num_runs]`, returns in the end.
      num_failed: number of runs that are not finite in the end.
    """

    label: str
    folder: str
    method: str
    command: str
    game: dict[str, Any]
    best: float | None
    iterations: np.ndarray
    returns: np.ndarray
    scores: np.ndarray
    num_failed: int


def read_folders(folders: Sequence[str]) -> list[MethodRuns]:
    """Reads all methods of several folders.

    Methods are called by their names, and if several folders hold the same
    one, by folder and name.

    Raises:
      ValueError: if a folder does not hold a finished run that can be compared,
        is given twice, or holds runs of another game, or a method has less
        than two runs.
    """
    paths = [os.path.realpath(folder) for folder in folders]
    for number, path in enumerate(paths):
        if path in paths[:number]:
            raise ValueError(
                f"The runs must differ. Received twice: {folders[number]!r}."
            )
    found = [method for folder in folders for method in read_folder(folder)]
    for method in found[1:]:
        _check_same_game(found[0], method)
    for method in found:
        _check_enough_runs(method)
    return _labelled(found)


def read_folder(folder: str) -> list[MethodRuns]:
    """Reads the methods of a folder, labelled by their names.

    Raises:
      ValueError: if the folder does not hold a finished run that can be
        compared.
    """
    place = pathlib.Path(folder)
    if not (place / SUMMARY).is_file():
        _refuse_unfinished(folder)
    try:
        config = json.loads((place / CONFIG).read_text(encoding="utf-8"))
        summary = json.loads((place / SUMMARY).read_text(encoding="utf-8"))
        experiment = config[EXPERIMENT].rpartition(".")[2]
        scores = read_scores(summary)
        names = (CURVES, _COINS)
        files = [place / name for name in names if (place / name).is_file()]
        if scores and files:
            curves = _read_curves(files[0])
            return [
                _method_runs(folder, experiment, config, name, *entry)
                for name, entry in _paired(scores, curves).items()
            ]
    except (OSError, *_MISREAD) as error:
        raise ValueError(
            f"{folder!r} does not hold the files of a run, or they are damaged "
            f"or of an earlier version ({type(error).__name__}: {error})."
        ) from error
    raise ValueError(
        f"{folder!r} is a run of {experiment}, which leaves no returns of "
        "methods to compare. Runs of ipd, compare_learners, lola_dice_figure, "
        "coin_game and negotiation do."
    )


def _refuse_unfinished(folder: str) -> None:
    if not os.path.isdir(folder):
        raise ValueError(f"{folder!r} is not a folder.")
    record = interrupted_run(folder)
    if record is not None:
        raise ValueError(
            f"The run in {folder!r} has not finished. To continue it:\n"
            f"  {record.command}"
        )
    raise ValueError(
        f"{folder!r} is not the folder of a finished run: it has no {SUMMARY}."
    )


def read_scores(summary: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Returns the final return of each run, by method; null becomes NaN."""
    found = {}
    for method, entry in summary.items():
        for name in _SCORES if isinstance(entry, dict) else ():
            if name in entry:
                found[method] = np.array(entry[name], np.float64)
                break
    return found


def _read_curves(path: pathlib.Path) -> dict[str, tuple[Any, np.ndarray]]:
    """Returns by method iterations `[K]` and joint returns `[K, num_runs]`."""
    with open(path, encoding="utf-8", newline="") as file:
        lines = csv.reader(file)
        header = next(lines)
        columns = [
            place
            for place, name in enumerate(header)
            if _RETURNS.fullmatch(name)
        ]
        rows: dict[str, dict[int, dict[int, float]]] = {}
        for line in lines:
            method, run, iteration = line[0], int(line[1]), int(line[2])
            # Methods with fewer players leave the last columns empty.
            values = [float(line[i]) for i in columns if i < len(line)]
            mean = math.fsum(values) / len(values)
            rows.setdefault(method, {}).setdefault(run, {})[iteration] = mean
    return {
        method: (
            np.array([*runs[min(runs)]]),
            np.array([[*runs[run].values()] for run in sorted(runs)]).T,
        )
        for method, runs in rows.items()
    }


def _paired(
    scores: Mapping[str, np.ndarray],
    curves: Mapping[str, tuple[Any, np.ndarray]],
) -> dict[str, tuple]:
    """Returns scores, iterations and curves of the same methods and runs."""
    paired = {}
    for method, values in scores.items():
        iterations, returns = curves[method]
        if returns.shape != (len(iterations), len(values)):
            raise ValueError(
                f"the files count the runs of {method} differently"
            )
        paired[method] = (values, iterations, returns)
    return paired


def _method_runs(
    folder: str,
    experiment: str,
    config: Mapping[str, Any],
    method: str,
    scores: np.ndarray,
    iterations: np.ndarray,
    returns: np.ndarray,
) -> MethodRuns:
    flags = config["flags"]
    if isinstance(config["method"], list):
        flags = flags[method]
    names = _OF_REWARDS if experiment == "coin_game" else _OF_RETURNS
    game = {"game": flags.get("game", experiment)}
    game |= {name: flags.get(name) for name in names}
    # A run may fail by its very last update, which the curves do not show.
    are_finite = np.isfinite(scores) & np.isfinite(returns).all(axis=0)
    return MethodRuns(
        label=method,
        folder=folder,
        method=method,
        command=" ".join(map(str, config["command"])),
        game=game,
        best=best_return(game),
        iterations=iterations,
        returns=returns[:, are_finite],
        scores=scores[are_finite],
        num_failed=int(np.count_nonzero(~are_finite)),
    )


def best_return(game: Mapping[str, Any]) -> float | None:
    """Returns the highest joint return of a game, `None` if it is not known.

    In a matrix game the best is to play the joint action with the highest mean
    payoff in every round. A reported return is `(1 - discount)` times the
    discounted sum of rewards, so that of `T` rounds it is
    `1 - discount^T` times that payoff.

    Args:
      game: that of `MethodRuns`.
    """
    name, payoffs = game["game"], game.get("payoffs")
    if payoffs is None and name in NAMED_GAMES:
        # It takes a while, and who only wants scores does not need it.
        import dice_tf

        payoffs = getattr(dice_tf.games, f"iterated_{name}")().rewards
    if payoffs is not None:
        best = float(np.max(np.mean(np.array(payoffs, np.float64), axis=0)))
    elif name == "negotiation":
        best = _BEST_DIVISION
    else:
        return None
    discount, length = game["discount"], game["episode_length"]
    if length is None or discount == 1.0:
        return best
    return (1.0 - discount**length) * best


def _check_same_game(first: MethodRuns, second: MethodRuns) -> None:
    names = dict.fromkeys([*first.game, *second.game])
    differences = [
        f"`{name}` is {first.game.get(name)!r} in {first.folder!r} and "
        f"{second.game.get(name)!r} in {second.folder!r}"
        for name in names
        if first.game.get(name) != second.game.get(name)
    ]
    if differences:
        raise ValueError(
            "Runs of different games cannot stand in one table: "
            f"{'; '.join(differences)}."
        )


def _check_enough_runs(method: MethodRuns) -> None:
    if len(method.scores) < 2:
        failed = f", {method.num_failed} failed" if method.num_failed else ""
        raise ValueError(
            "An interval needs at least two runs of a method (--num_seeds). "
            f"{method.folder!r} holds {len(method.scores)} of {method.method}"
            f"{failed}."
        )


def _labelled(methods: Sequence[MethodRuns]) -> list[MethodRuns]:
    """Returns methods whose labels differ."""
    names = [method.method for method in methods]
    bases = [os.path.basename(os.path.realpath(x.folder)) for x in methods]
    pairs = list(zip(bases, names, strict=True))
    labelled = []
    for method, pair in zip(methods, pairs, strict=True):
        label = method.method
        if names.count(label) > 1:
            place = pair[0] if pairs.count(pair) == 1 else method.folder
            label = f"{label} ({place})"
        labelled.append(method._replace(label=label))
    return labelled
