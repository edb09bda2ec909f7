"""A tournament: what its policies are like, its files and its tables."""

import pathlib
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import dice_tf
from dice_tf import evaluation

from ..building.builders import build_game
from ..results.check_list import aligned
from ..results.outputs import TOURNAMENT, OutputFolder, optional
from ..results.pictures import minus_sign
from ..results.provenance import collect_results
from ..settings.matrix_games import state_labels, title
from .match_play import build_entrant
from .match_settings import TournamentSettings

# More observations than this leave no room for their probabilities.
_MOST_STATES = 5
# More entrants than this leave no room for numbers in the cells.
_MOST_NUMBERS = 16


class Portrait(NamedTuple):
    """What one policy is like.

    Attributes:
      entrant: whose it is.
      player_id: the seat.
      probabilities: per observation (own action first) `[num_observations,
        num_actions]`.
      name: of the strategy, `None` in games without two actions per player.
      shown_name: the same, by what self-play shows: observations weigh as
        often as they are made there.
      value: its return in self-play.
      best_response_value: the return of a best responder against it, in the
        other seat.
      gain: how much more than the actual partner the best responder gets.
    """

    entrant: str
    player_id: int
    probabilities: list[list[float]]
    name: evaluation.StrategyName | None
    shown_name: evaluation.StrategyName | None
    value: float
    best_response_value: float
    gain: float


class Outcome(NamedTuple):
    """All that a tournament shows.

    Attributes:
      result: scores and matches.
      portraits: of all policies.
      seconds: that it took.
    """

    result: evaluation.TournamentResult
    portraits: tuple[Portrait, ...]
    seconds: float


def play(settings: TournamentSettings) -> Outcome:
    """Plays a tournament."""
    started = time.monotonic()
    game = build_game(settings)
    entrants = {
        entrant.name: build_entrant(entrant, game)
        for entrant in settings.entrants
    }
    result = evaluation.tournament(
        game,
        entrants,
        discount=settings.discount,
        episode_length=settings.episode_length,
        batch_size=settings.batch_size,
        seed=dice_tf.seeds.make_seed(settings.seed),
        with_itself=settings.with_itself,
    )
    portraits = []
    for name, policies in entrants.items():
        portraits += _portraits(settings, game, name, policies)
    return Outcome(result, tuple(portraits), time.monotonic() - started)


def _portraits(
    settings: TournamentSettings,
    game: dice_tf.games.FiniteGame,
    entrant: str,
    policies: Sequence[keras.Model],
) -> list[Portrait]:
    """Returns a portrait of each of an entrant's two policies."""
    horizon = {
        "discount": settings.discount,
        "episode_length": settings.episode_length,
    }
    gaps = evaluation.exploitability(game, policies, **horizon)
    portraits = []
    for player_id, policy in enumerate(policies):
        names = (None, None)
        if game.num_actions == (2, 2):
            visits = evaluation.visit_frequencies(
                game, policies, player_id, **horizon
            )
            names = [
                evaluation.name_policy(
                    game,
                    policy,
                    player_id,
                    discount=settings.discount,
                    weights=weights,
                )
                for weights in (None, visits)
            ]
        table = evaluation.action_probabilities(game, policy, player_id)
        opponent_id = 1 - player_id
        portraits.append(
            Portrait(
                entrant,
                player_id,
                table.tolist(),
                *names,
                float(gaps.values[player_id]),
                float(gaps.best_response_values[opponent_id]),
                float(gaps.gains[opponent_id]),
            )
        )
    return portraits


def write_files(
    folder: OutputFolder, settings: TournamentSettings, outcome: Outcome
) -> str:
    """Writes all files, or none, and returns the tables for the terminal."""
    result, portraits = outcome.result, outcome.portraits
    heading = f"{title(settings.game)}: {_horizon(settings)}"
    recorded = {"tournament": settings}
    with collect_results(folder, recorded, summary(outcome)) as stage:
        (stage / TOURNAMENT).write_text(
            evaluation.tournament_csv(result), encoding="utf-8"
        )
        picture = stage / "cross_play.png"
        with optional(picture):
            plot_cross_play(picture, result, heading)
    ranking = evaluation.tournament_table(result)
    return f"{ranking}\n\n{portrait_table(settings.game, portraits)}"


def summary(outcome: Outcome) -> dict[str, Any]:
    """Returns the content of summary.json."""
    result = outcome.result
    order = [result.names.index(name) for name in result.ranking]
    return {
        "ranking": [
            {
                "name": result.names[i],
                "score": float(result.scores[i]),
                "standard_error": float(result.standard_errors[i]),
                "cooperation_rate": float(result.cooperation_rates[i]),
            }
            for i in order
        ],
        "pair_scores": {
            result.names[i]: {
                result.names[j]: float(result.pair_scores[i, j]) for j in order
            }
            for i in order
        },
        "policies": outcome.portraits,
        "seconds": outcome.seconds,
    }


def portrait_table(game: str, portraits: Sequence[Portrait]) -> str:
    """Returns a line per policy: its name, and what can be taken from it.

    The two policies of an entrant share a line if they are the same.
    """
    rows = [
        [
            "policy",
            "P(action 0)",
            "name",
            "distance",
            "shown in self-play",
            "self-play",
            "best response",
            "gain",
        ]
    ]
    seats = {}
    for portrait in portraits:
        seats.setdefault(portrait.entrant, []).append(portrait)
    for entrant, (first, second) in seats.items():
        is_same = _cells(first) == _cells(second)
        for portrait in (first,) if is_same else (first, second):
            label = entrant if is_same else f"{entrant} [{portrait.player_id}]"
            rows.append([label, *_cells(portrait)])
    num_actions = [len(portrait.probabilities[0]) for portrait in portraits[:2]]
    if len(portraits[0].probabilities) <= _MOST_STATES:
        labels = state_labels(game, num_actions, 0)
        rows[0][1] = f"P(action 0) after {' '.join(labels)}"
    return aligned(rows)


def _cells(portrait: Portrait) -> list[str]:
    chances = name = distance = shown = "-"
    if len(portrait.probabilities) <= _MOST_STATES:
        chances = " ".join(f"{row[0]:.2f}" for row in portrait.probabilities)
    if portrait.name is not None:
        name, distance = portrait.name.name, f"{portrait.name.distance:.2f}"
        if name != portrait.name.nearest:
            distance += f" to {portrait.name.nearest}"
        shown = portrait.shown_name.name
        if portrait.shown_name.also:
            shown += f" or {len(portrait.shown_name.also)} others"
    numbers = (portrait.value, portrait.best_response_value, portrait.gain)
    # Adding 0 turns -0 into 0.
    cells = [f"{round(number, 3) + 0:.3f}" for number in numbers]
    return [chances, name, distance, shown, *cells]


def _horizon(settings: TournamentSettings) -> str:
    length = settings.episode_length
    rounds = "endless" if length is None else f"{length} rounds"
    returns = (
        "exact returns"
        if settings.batch_size is None
        else f"{settings.batch_size} episodes each"
    )
    return f"{rounds}, discount {settings.discount:g}, {returns}"


def plot_cross_play(
    path: pathlib.Path, result: evaluation.TournamentResult, title: str
) -> None:
    """Draws returns and cooperation of the row against the column.

    Both are means over the two seatings; entrants stand in the order of the
    ranking.
    """
    order = [result.names.index(name) for name in result.ranking]
    rates = result.matches.cooperation_rates
    rates = (rates[0] + rates[1].T) / 2.0
    rates = np.where(np.isnan(result.pair_scores), np.nan, rates)
    labels = [
        f"{name}  ({minus_sign(result.scores[i])})"
        for name, i in zip(result.ranking, order, strict=True)
    ]
    size = max(0.62 * min(len(order), 30), 2.5)
    margin = 0.1 * max(map(len, labels))
    figure = Figure(
        figsize=(2 * size + margin + 3.0, size + margin + 1.2),
        layout="constrained",
    )
    left, right = figure.subplots(1, 2, sharey=True)
    panels = (
        (left, result.pair_scores, "return of the row", None),
        (right, rates, "action 0 (cooperation) of the row", (0.0, 1.0)),
    )
    for axes, values, label, limits in panels:
        image = _draw(axes, values[np.ix_(order, order)], limits)
        axes.set_title(label, fontsize="medium")
        axes.set_xticks(np.arange(len(order)), result.ranking, rotation=90)
        axes.set_xlabel("against the column")
        figure.colorbar(image, ax=axes, shrink=0.8)
    left.set_yticks(np.arange(len(order)), labels)
    left.set_ylabel("entrant (score)")
    figure.suptitle(title)
    figure.savefig(path, dpi=150)


def _draw(axes: Axes, values: np.ndarray, limits: Sequence[float] | None):
    """Draws `[n, n]` as a heat map with numbers; NaN stays empty."""
    low, high = limits or (np.nanmin(values), np.nanmax(values))
    image = axes.imshow(values, vmin=low, vmax=high, cmap="cividis")
    if len(values) <= _MOST_NUMBERS:
        for (row, column), value in np.ndenumerate(values):
            if not np.isnan(value):
                axes.text(
                    column,
                    row,
                    minus_sign(value),
                    ha="center",
                    va="center",
                    fontsize="small",
                    color="black" if value > (low + high) / 2 else "white",
                )
    axes.tick_params(length=0)
    return image
