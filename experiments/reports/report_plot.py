"""The pictures of a report, as bytes of PNG files."""

import io
from collections.abc import Iterable

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..results.pictures import COLORS, LINES, tidy
from .comparison import Comparison
from .estimates import Interval

_DPI = 150
# Of the estimates: more would be too small for a phone.
_NUM_COLUMNS = 2


def png(figure: Figure) -> bytes:
    """Returns a figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    return buffer.getvalue()


def plot_estimates(comparison: Comparison) -> Figure:
    """Draws each estimate of each method as a point on its interval."""
    labels = [method.label for method in comparison.methods]
    names = list(comparison.estimates[labels[0]])
    num_rows = -(-len(names) // _NUM_COLUMNS)
    figure = Figure(
        figsize=(8.0, num_rows * (1.0 + 0.4 * len(labels))),
        layout="constrained",
    )
    panels = figure.subplots(
        num_rows, _NUM_COLUMNS, sharey=True, squeeze=False
    ).flat
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    for axes, name in zip(panels, names, strict=False):
        for place, label in enumerate(labels):
            found = comparison.estimates[label][name]
            color = COLORS[place % len(COLORS)]
            axes.plot(
                found[1:], [place] * 2, color=color, linewidth=6.0, alpha=0.35
            )
            axes.plot(found.value, place, "o", color=color)
        axes.set_title(name.replace("_", " "))
        axes.xaxis.set_major_locator(MaxNLocator(4))
        tidy(axes)
        axes.set_ylim(len(labels) - 0.5, -0.5)
        axes.set_yticks(range(len(labels)), labels)
    return figure


def plot_learning_curves(comparison: Comparison) -> Figure:
    """Draws the interquartile mean over the iterations, with its band."""
    figure = _lines(
        (
            (label, comparison.iterations[label], interval)
            for label, interval in comparison.curves.items()
        ),
        "iteration",
        "joint return (mean of the players)",
    )
    if comparison.best is not None:
        figure.axes[0].axhline(
            comparison.best, color="#808080", linestyle=":", linewidth=1.0
        )
    return figure


def plot_profiles(comparison: Comparison) -> Figure:
    """Draws the share of runs whose final return is above each threshold."""
    figure = _lines(
        (
            (label, comparison.thresholds, interval)
            for label, interval in comparison.profiles.items()
        ),
        "final joint return",
        "share of runs above it",
    )
    figure.axes[0].set_ylim(-0.02, 1.02)
    return figure


def _lines(
    series: Iterable[tuple[str, np.ndarray, Interval]], across: str, up: str
) -> Figure:
    """Draws lines over their bands, with a legend below."""
    figure = Figure(figsize=(8.0, 5.0), layout="constrained")
    axes = figure.subplots()
    for index, (label, places, interval) in enumerate(series):
        again, color = divmod(index, len(COLORS))
        axes.fill_between(
            places,
            interval.low,
            interval.high,
            color=COLORS[color],
            alpha=0.2,
            linewidth=0,
        )
        axes.plot(
            places,
            interval.value,
            color=COLORS[color],
            linestyle=LINES[again % len(LINES)],
            linewidth=2.0,
            label=label,
        )
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    tidy(axes)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def plot_improvements(comparison: Comparison) -> Figure:
    """Draws how likely a run of one method beats a run of another one."""
    pairs = comparison.improvements
    figure = Figure(
        figsize=(7.0, 1.2 + 0.32 * len(pairs)), layout="constrained"
    )
    axes = figure.subplots()
    for place, found in enumerate(pairs.values()):
        axes.plot(
            found[1:], [place] * 2, color=COLORS[0], linewidth=6.0, alpha=0.35
        )
        axes.plot(found.value, place, "o", color=COLORS[0])
    axes.axvline(0.5, color="#808080", linestyle=":", linewidth=1.0)
    names = [f"{first} > {second}" for first, second in pairs]
    tidy(axes)
    axes.set_yticks(range(len(pairs)), names)
    axes.set_ylim(len(pairs) - 0.5, -0.5)
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel("P(a run of the first has the higher final return)")
    return figure
