"""A picture of who gets what against whom."""

import pathlib
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dice_tf import evaluation

# More entrants than this leave no room for numbers in the cells.
_MOST_NUMBERS = 16


def plot_cross_play(
    path: pathlib.Path, result: evaluation.TournamentResult, title: str
) -> None:
    """Draws returns and cooperation of the row against the column.

    Both are means over the two seatings; entrants stand in the order of the
    ranking.

    Args:
      path: file to write.
      result: of a tournament.
      title: what the picture is of.
    """
    order = [result.names.index(name) for name in result.ranking]
    rates = result.matches.cooperation_rates
    rates = (rates[0] + rates[1].T) / 2.0
    rates = np.where(np.isnan(result.pair_scores), np.nan, rates)
    labels = [
        f"{name}  ({_short(result.scores[i])})"
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
                    _short(value),
                    ha="center",
                    va="center",
                    fontsize="small",
                    color="black" if value > (low + high) / 2 else "white",
                )
    axes.tick_params(length=0)
    return image


def _short(value: float) -> str:
    return f"{round(value, 2) + 0:.2f}".replace("-", "\N{MINUS SIGN}")
