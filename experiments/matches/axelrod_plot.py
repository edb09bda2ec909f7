"""A picture of who gets what in a large tournament."""

import pathlib

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.matches.axelrod_play import Outcome

# With more competitors only the policies and some of the others are named.
_MOST_NAMES = 40
_NAMED = 12


def plot_payoffs(path: pathlib.Path, outcome: Outcome) -> None:
    """Draws payoff and cooperation of the row against the column.

    Competitors stand in the order of the ranking, the best first; policies
    are in bold red.

    Args:
      path: file to write.
      outcome: of the tournament.
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
    places = list(range(n))
    if n > _MOST_NAMES:
        # Names closer than this would lie on each other.
        gap = n / 30
        places = policies + [
            int(place)
            for place in np.linspace(0, n - 1, _NAMED)
            if all(abs(place - own) > gap for own in policies)
        ]
    labels = [
        f"{outcome.competitors[order[place]].name}  {place + 1}"
        for place in places
    ]
    axes.set_yticks(places, labels, fontsize="small")
    for place, label in zip(places, axes.get_yticklabels(), strict=True):
        if place in policies:
            label.set(color="crimson", fontweight="bold")
