"""An Axelrod tournament: who takes part, its files and its table."""

import csv
import io
import pathlib
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import dice_tf

from ..results.check_list import aligned
from ..results.outputs import TOURNAMENT, OutputFolder, optional
from ..results.provenance import collect_results
from .axelrod_play import (
    Competitor,
    Outcome,
    field,
    mean_over_others,
)
from .entrants import Entrant
from .match_play import build_entrant
from .match_settings import AxelrodSettings

# The terminal shows so many of the best.
_SHOWN = 20
PAIRS = "pair_payoffs.csv"
# With more competitors only the policies and some of the others are named.
_MOST_NAMES = 40
_NAMED = 12


def competitors(settings: AxelrodSettings) -> tuple[Competitor, ...]:
    """Returns the policies, and then the field.

    Raises:
      ValueError: if a policy does not play the iterated prisoner's dilemma
        with memory of one step, a strategy is unknown, or two have one name.
    """
    everyone = []
    for entrant in settings.entrants:
        everyone += _policies(entrant)
    everyone += field(settings.strategies)
    names = [competitor.name for competitor in everyone]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                "All who take part must have different names. Received "
                f"{name!r} twice: put names of your own in front of "
                "--entrants, NAME=PATH."
            )
    return tuple(everyone)


def _policies(entrant: Entrant) -> list[Competitor]:
    """Returns the policy of each seat, a single one if both are the same."""
    game = dice_tf.games.iterated_prisoners_dilemma()
    tables = []
    for player_id, policy in enumerate(build_entrant(entrant, game)):
        table = dice_tf.evaluation.action_probabilities(game, policy, player_id)
        cooperation = np.clip(table[:, 0], 0.0, 1.0)
        tables.append(tuple(cooperation.tolist()))
    if tables[0] == tables[1]:
        return [Competitor(entrant.name, None, tables[0])]
    return [
        Competitor(f"{entrant.name} [{player_id}]", None, table)
        for player_id, table in enumerate(tables)
    ]


def write_files(
    folder: OutputFolder, settings: AxelrodSettings, outcome: Outcome
) -> str:
    """Writes all files, or none, and returns the table for the terminal."""
    ranking = rank(outcome)
    strategies = [
        competitor.strategy
        for competitor in outcome.competitors
        if competitor.strategy
    ]
    recorded = {"axelrod_tournament": settings._replace(strategies=strategies)}
    summary = {
        "ranking": ranking,
        "policies": [
            {**entry, "of": len(ranking)}
            for entry in ranking
            if entry["is_policy"]
        ],
        "seconds": outcome.seconds,
    }
    with collect_results(folder, recorded, summary) as stage:
        rows = [list(ranking[0]), *(entry.values() for entry in ranking)]
        (stage / TOURNAMENT).write_text(_csv(rows), encoding="utf-8")
        (stage / PAIRS).write_text(pair_csv(outcome), encoding="utf-8")
        picture = stage / "payoffs.png"
        with optional(picture):
            plot_payoffs(picture, outcome)
    return table(ranking)


def rank(outcome: Outcome) -> list[dict[str, Any]]:
    """Returns an entry per competitor, the best first.

    The standard error of a score is over the repetitions, with this field: it
    measures chance in the matches, and is 0 without chance.
    """
    scores = outcome.scores
    rates = mean_over_others(outcome.cooperation).mean(axis=0)
    errors = np.zeros(scores.shape[1])
    if len(scores) > 1:
        errors = scores.std(axis=0, ddof=1) / np.sqrt(len(scores))
    self_play = outcome.payoffs.mean(axis=0).diagonal()
    return [
        {
            "rank": place,
            "name": outcome.competitors[i].name,
            "score": round(float(scores[:, i].mean()), 6),
            "standard_error": round(float(errors[i]), 6),
            "cooperation_rate": round(float(rates[i]), 6),
            "self_play": round(float(self_play[i]), 6),
            "is_policy": outcome.competitors[i].strategy is None,
        }
        for place, i in enumerate(outcome.order, start=1)
    ]


def pair_csv(outcome: Outcome) -> str:
    """Returns what each gets against each, in the order of the ranking."""
    order = outcome.order
    names = [outcome.competitors[i].name for i in order]
    means = outcome.payoffs.mean(axis=0)[np.ix_(order, order)]
    rows = [
        [name, *(f"{value:.4f}" for value in row)]
        for name, row in zip(names, means, strict=True)
    ]
    return _csv([["payoff of", *names], *rows])


def table(ranking: list[dict[str, Any]]) -> str:
    """Returns the best of the field, and every policy."""
    rows = [["rank", "name", "score", "cooperation", "self-play"]]
    for entry in ranking:
        if entry["rank"] <= _SHOWN or entry["is_policy"]:
            mark = " *" if entry["is_policy"] else ""
            rows.append(
                [
                    f"{entry['rank']}",
                    entry["name"] + mark,
                    f"{entry['score']:.3f} ± {entry['standard_error']:.3f}",
                    f"{entry['cooperation_rate']:.2f}",
                    f"{entry['self_play']:.3f}",
                ]
            )
    return (
        f"{aligned(rows)}\n\n{len(ranking)} competitors; * marks policies. "
        "Scores are mean payoffs per turn against all others."
    )


def _csv(rows: list[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def plot_payoffs(path: pathlib.Path, outcome: Outcome) -> None:
    """Draws payoff and cooperation of the row against the column.

    Competitors stand in the order of the ranking, the best first; policies
    are in bold red.
    """
    order = outcome.order
    figure = Figure(figsize=(15.0, 7.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, values, label, limits in (
        (left, outcome.payoffs, "payoff per turn of the row", (0.0, 5.0)),
        (right, outcome.cooperation, "cooperation of the row", (0.0, 1.0)),
    ):
        image = axes.imshow(
            values.mean(axis=0)[np.ix_(order, order)],
            vmin=limits[0],
            vmax=limits[1],
            cmap="cividis",
            interpolation="nearest",
        )
        axes.set_title(label, fontsize="medium")
        axes.set_xlabel("against the column, in the same order")
        axes.set_xticks([])
        _name_rows(axes, outcome)
        figure.colorbar(image, ax=axes, shrink=0.8)
    repetitions, n, _ = outcome.payoffs.shape
    figure.suptitle(
        f"Axelrod tournament of {n}, {repetitions} repetitions, best on top"
    )
    figure.savefig(path, dpi=150)


def _name_rows(axes: Axes, outcome: Outcome) -> None:
    order = outcome.order
    n = len(order)
    policies = [
        place
        for place, i in enumerate(order)
        if outcome.competitors[i].strategy is None
    ]
    groups = [[place] for place in range(n)]
    if n > _MOST_NAMES:
        # Names closer than this would overlap.
        gap = n / 30
        groups = _close_together(policies, gap)
        groups += [
            [int(place)]
            for place in np.linspace(0, n - 1, _NAMED)
            if all(
                abs(place - np.mean(group)) > gap * (1 + len(group)) / 2
                for group in groups
            )
        ]
    labels = [
        "\n".join(
            f"{outcome.competitors[order[place]].name}  {place + 1}"
            for place in group
        )
        for group in groups
    ]
    axes.set_yticks(
        [float(np.mean(group)) for group in groups], labels, fontsize="small"
    )
    for group, label in zip(groups, axes.get_yticklabels(), strict=True):
        if group[0] in policies:
            label.set(color="crimson", fontweight="bold")


def _close_together(places: list[int], gap: float) -> list[list[int]]:
    """Groups sorted places that are less than a gap apart."""
    groups: list[list[int]] = []
    for place in places:
        if groups and place - groups[-1][-1] < gap:
            groups[-1].append(place)
        else:
            groups.append([place])
    return groups
