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
    groups = [[place] for place in range(n)]
    if n > _MOST_NAMES:
        # Names closer than this would lie on each other.
        gap = n / 30
        groups = _close_together(policies, gap)
        groups += [
            [int(place)]
            for place in np.linspace(0, n - 1, _NAMED)
            if all(
                abs(place - np.mean(own)) > gap * (1 + len(own)) / 2
                for own in groups
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
