"""Tournaments as text: a table for people, CSV for programs."""

import csv
import io
from typing import Any

import numpy as np

from dice_tf.checks import check_kind
from dice_tf.evaluation.tournaments import TournamentResult

_COLUMNS = (
    "seat_0",
    "seat_1",
    "seat_0_return",
    "seat_1_return",
    "seat_0_standard_error",
    "seat_1_standard_error",
    "seat_0_cooperation_rate",
    "seat_1_cooperation_rate",
)


def tournament_table(result: TournamentResult) -> str:
    """Formats a tournament: ranking, scores and what each pair gets.

    Args:
      result: of `dice_tf.evaluation.tournament`.

    Returns:
      Lines of text, the best first: rank, name, score, its standard error
      (where it is sampled), cooperation rate, and the score against each
      entrant, named by its rank.
    """
    check_result(result)
    order = [result.names.index(name) for name in result.ranking]
    has_score = np.isfinite(result.scores)
    is_sampled = np.any(result.standard_errors[has_score] != 0.0)
    header = ["rank", "name", "score"]
    header += ["+-"] if is_sampled else []
    header += ["cooperation", *(f"vs {rank + 1}" for rank in range(len(order)))]
    rows = [header]
    for rank, i in enumerate(order, start=1):
        row = [str(rank), result.names[i], _number(result.scores[i], 3)]
        if is_sampled:
            row.append(_number(result.standard_errors[i], 3))
        row.append(_number(result.cooperation_rates[i], 2))
        row += [_number(score, 3) for score in result.pair_scores[i, order]]
        rows.append(row)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [cell.rjust(w) for cell, w in zip(row, widths, strict=True)]
        cells[1] = row[1].ljust(widths[1])
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def tournament_csv(result: TournamentResult) -> str:
    """Formats all seatings of a tournament as CSV, with a header.

    Args:
      result: of `dice_tf.evaluation.tournament`.

    Returns:
      One line per seating that was played: both names, and for each seat the
      mean return, its standard error and the cooperation rate; what is not
      a number is empty.
    """
    check_result(result)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    matches = result.matches
    fields = (
        matches.payoffs,
        matches.standard_errors,
        matches.cooperation_rates,
    )
    for i, j in np.ndindex(result.pair_scores.shape):
        if i != j or not np.isnan(result.pair_scores[i, j]):
            cells = [field[seat, i, j] for field in fields for seat in (0, 1)]
            writer.writerow(
                [result.names[i], result.names[j]]
                + ["" if np.isnan(cell) else f"{cell:.9g}" for cell in cells]
            )
    return text.getvalue()


def check_result(result: Any) -> TournamentResult:
    """Returns the result, or raises if it is not a `TournamentResult`."""
    expected = "a dice_tf.evaluation.TournamentResult"
    return check_kind("result", result, TournamentResult, expected)


def _number(value: float, digits: int) -> str:
    # Adding 0 turns -0 into 0.
    return (
        "-" if np.isnan(value) else f"{round(value, digits) + 0.0:.{digits}f}"
    )
