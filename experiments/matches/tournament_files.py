"""The files of a tournament, and its tables on the terminal."""

from collections.abc import Sequence
from typing import Any

from dice_tf import evaluation
from experiments.matches.tournament_play import Outcome, Portrait
from experiments.matches.tournament_plot import plot_cross_play
from experiments.matches.tournament_settings import Settings
from experiments.results import outputs
from experiments.results.provenance import config
from experiments.results.text_tables import aligned
from experiments.settings.named_games import state_labels, title

# More observations than this leave no room for their probabilities.
_MOST_STATES = 5


def write_files(
    folder: outputs.OutputFolder, settings: Settings, outcome: Outcome
) -> str:
    """Writes all files, or none.

    Args:
      folder: where to.
      settings: all flags.
      outcome: of the tournament.

    Returns:
      The tables for the terminal.
    """
    recorded = settings._replace(
        entrants=[entrant._asdict() for entrant in settings.entrants]
    )
    with folder.collect() as stage:
        outputs.write_json(
            stage / outputs.CONFIG,
            config({"tournament": recorded}, folder.path),
        )
        (stage / outputs.TOURNAMENT).write_text(
            evaluation.tournament_csv(outcome.result), encoding="utf-8"
        )
        plot_cross_play(
            stage / "cross_play.png",
            outcome.result,
            f"{title(settings.game)}: {_horizon(settings)}",
        )
        outputs.write_json(stage / outputs.SUMMARY, summary(outcome))
    ranking = evaluation.tournament_table(outcome.result)
    return f"{ranking}\n\n{portrait_table(settings.game, outcome.portraits)}"


def summary(outcome: Outcome) -> dict[str, Any]:
    """Returns what summary.json holds."""
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
        "policies": [_as_entry(own) for own in outcome.portraits],
        "seconds": outcome.seconds,
    }


def portrait_table(game: str, portraits: Sequence[Portrait]) -> str:
    """Returns a line per policy: its name, and what can be taken from it.

    Args:
      game: name of the game.
      portraits: of all policies. Both of an entrant share a line where they
        are the same.
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
    for own in portraits:
        seats.setdefault(own.entrant, []).append(own)
    for entrant, (first, second) in seats.items():
        is_same = _cells(first) == _cells(second)
        for own in (first,) if is_same else (first, second):
            label = entrant if is_same else f"{entrant} [{own.player_id}]"
            rows.append([label, *_cells(own)])
    num_actions = [len(own.probabilities[0]) for own in portraits[:2]]
    if len(portraits[0].probabilities) <= _MOST_STATES:
        labels = state_labels(game, num_actions, 0)
        rows[0][1] = f"P(action 0) after {' '.join(labels)}"
    return aligned(rows)


def _cells(own: Portrait) -> list[str]:
    chances = "-"
    if len(own.probabilities) <= _MOST_STATES:
        chances = " ".join(f"{row[0]:.2f}" for row in own.probabilities)
    name, distance, shown = "-", "-", "-"
    if own.name is not None:
        name, distance = own.name.name, f"{own.name.distance:.2f}"
        if name != own.name.nearest:
            distance += f" to {own.name.nearest}"
        shown = own.shown_name.name
        if own.shown_name.also:
            shown += f" or {len(own.shown_name.also)} others"
    numbers = (own.value, own.best_response_value, own.gain)
    # Adding 0 turns -0 into 0.
    return [
        chances,
        name,
        distance,
        shown,
        *(f"{round(x, 3) + 0:.3f}" for x in numbers),
    ]


def _as_entry(own: Portrait) -> dict[str, Any]:
    """Returns a portrait as JSON."""
    entry = own._asdict()
    if own.name is not None:
        entry["name"] = _as_named(own.name)
        entry["shown_name"] = _as_named(own.shown_name)
    return entry


def _as_named(name: evaluation.StrategyName) -> dict[str, Any]:
    entry = name._asdict()
    for share in ("extortion", "generosity"):
        entry[share] = entry[share] and entry[share]._asdict()
    return entry


def _horizon(settings: Settings) -> str:
    length = settings.episode_length
    rounds = "endless" if length is None else f"{length} rounds"
    returns = (
        "exact returns"
        if settings.batch_size is None
        else f"{settings.batch_size} episodes each"
    )
    return f"{rounds}, discount {settings.discount:g}, {returns}"
