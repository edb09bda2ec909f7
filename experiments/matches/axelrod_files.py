"""The files of an Axelrod tournament, and its table on the terminal."""

import csv
import io
from typing import Any

import numpy as np

from experiments.matches.axelrod_play import Outcome, mean_over_others
from experiments.matches.axelrod_plot import plot_payoffs
from experiments.matches.axelrod_settings import Settings
from experiments.results import outputs
from experiments.results.provenance import config
from experiments.results.text_tables import aligned

# Of the field, the terminal shows the best.
_SHOWN = 20
PAIRS = "pair_payoffs.csv"


def write_files(
    folder: outputs.OutputFolder, settings: Settings, outcome: Outcome
) -> str:
    """Writes all files, or none.

    Args:
      folder: where to.
      settings: all flags.
      outcome: of the tournament.

    Returns:
      The table for the terminal.
    """
    ranking = rank(outcome)
    recorded = settings._replace(
        entrants=[entrant._asdict() for entrant in settings.entrants],
        strategies=[
            own.strategy for own in outcome.competitors if own.strategy
        ],
    )
    with folder.collect() as stage:
        outputs.write_json(
            stage / outputs.CONFIG,
            config({"axelrod_tournament": recorded}, folder.path),
        )
        (stage / outputs.TOURNAMENT).write_text(
            _csv([list(ranking[0]), *(own.values() for own in ranking)]),
            encoding="utf-8",
        )
        (stage / PAIRS).write_text(pair_csv(outcome), encoding="utf-8")
        plot_payoffs(stage / "payoffs.png", outcome)
        outputs.write_json(
            stage / outputs.SUMMARY,
            {
                "ranking": ranking,
                "policies": [
                    {**own, "of": len(ranking)}
                    for own in ranking
                    if own["is_policy"]
                ],
                "seconds": outcome.seconds,
            },
        )
    return table(ranking)


def rank(outcome: Outcome) -> list[dict[str, Any]]:
    """Returns an entry per competitor, the best first.

    Its standard error is that of the repetitions: chance in the matches, the
    field being what it is. Without chance it is 0.
    """
    scores = outcome.scores
    rates = mean_over_others(outcome.cooperation).mean(axis=0)
    errors = np.zeros(scores.shape[1])
    if len(scores) > 1:
        errors = scores.std(axis=0, ddof=1) / np.sqrt(len(scores))
    own_payoffs = outcome.payoffs.mean(axis=0).diagonal()
    return [
        {
            "rank": place,
            "name": outcome.competitors[i].name,
            "score": round(float(scores[:, i].mean()), 6),
            "standard_error": round(float(errors[i]), 6),
            "cooperation_rate": round(float(rates[i]), 6),
            "self_play": round(float(own_payoffs[i]), 6),
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
    for own in ranking:
        if own["rank"] <= _SHOWN or own["is_policy"]:
            mark = " *" if own["is_policy"] else ""
            rows.append(
                [
                    f"{own['rank']}",
                    own["name"] + mark,
                    f"{own['score']:.3f} ± {own['standard_error']:.3f}",
                    f"{own['cooperation_rate']:.2f}",
                    f"{own['self_play']:.3f}",
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
