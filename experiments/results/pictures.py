"""Pictures of learning curves, and what all pictures share."""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .curves import joint_returns
from .published import LABELS, published_curves

# Okabe and Ito's colours, which the colour-blind can tell apart.
BLUE, ORANGE, GREEN, PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
GREY = "#808080"
COLORS = (BLUE, ORANGE, GREEN, PINK, "#E69F00", "#56B4E9", "#000000")
# Lines of the first seven methods, of the next seven, and so on.
LINES = ("-", "--", ":")
_DASHES = (":", "-.", "--", "-")

# The bootstrap has a fixed seed, so that equal curves have equal pictures.
_NUM_RESAMPLES = 2000
_SEED = 0

# More single runs than this would hide the band.
_MOST_RUNS = 10


def plot_curves(
    path: pathlib.Path,
    curves: Mapping[str, np.ndarray],
    title: str,
    with_published: bool,
) -> None:
    """Draws the joint return of each method, with its confidence band.

    Runs that stop being finite have no part in means and bands; the legend
    counts them.

    Args:
      path: file to write.
      curves: by method `[num_iterations, num_runs, num_players]`.
      title: name of the game.
      with_published: whether to draw the published curves behind, in grey.
    """
    figure = Figure(figsize=(8.0, 5.0), layout="constrained")
    axes = figure.subplots()
    longest = max(len(values) for values in curves.values())
    for index, (method, values) in enumerate(curves.items()):
        again, color = divmod(index, len(COLORS))
        line = LINES[again % len(LINES)]
        _draw_method(axes, method, values, COLORS[color], line)
    if with_published:
        _draw_published(axes, longest)
    runs = sorted({values.shape[1] for values in curves.values()})
    axes.set_title(_title(title, runs))
    axes.set_xlabel("iteration")
    axes.set_ylabel("normalised joint return (mean of the players)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlim(0, max(longest - 1, 1))
    tidy(axes)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(path, dpi=150)


def tidy(axes: Axes) -> None:
    """Draws a light grid, and no frame on top and on the right."""
    axes.grid(color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def minus_sign(value: float) -> str:
    """Returns a number with two digits, as pictures show it."""
    # Adding 0 turns -0 into 0.
    return f"{round(value, 2) + 0:.2f}".replace("-", "\N{MINUS SIGN}")


def confidence_band(values: np.ndarray) -> np.ndarray:
    """Returns a 95 % confidence interval of the mean over runs.

    By the percentile bootstrap, which unlike a multiple of the standard error
    never leaves the range of what was seen.

    Args:
      values: `[num_iterations, num_runs]`.

    Returns:
      `[2, num_iterations]`: the lower and the upper end.
    """
    num_runs = values.shape[1]
    shares = np.random.default_rng(_SEED).multinomial(
        num_runs, np.full(num_runs, 1.0 / num_runs), size=_NUM_RESAMPLES
    )
    means = values @ (shares.T / num_runs)
    return np.quantile(means, [0.025, 0.975], axis=1)


def _draw_method(
    axes: Axes, method: str, curves: np.ndarray, color: str, line: str
) -> None:
    joint = joint_returns(curves)
    if 1 < joint.shape[1] <= _MOST_RUNS:
        axes.plot(joint, color=color, linewidth=0.5, alpha=0.45)
    are_finite = np.all(np.isfinite(joint), axis=0)
    if not np.all(are_finite):
        num_failed = np.count_nonzero(~are_finite)
        method += f" (without {num_failed} of {len(are_finite)} runs: failed)"
    if np.any(are_finite):
        joint = joint[:, are_finite]
    band = confidence_band(joint) if joint.shape[1] > 1 else None
    _draw_mean(
        axes,
        joint.mean(axis=1),
        band,
        alpha=0.2,
        color=color,
        linestyle=line,
        linewidth=2.2,
        label=method,
    )


def _draw_published(axes: Axes, num_iterations: int) -> None:
    published = published_curves()
    for (method, label), dash in zip(LABELS.items(), _DASHES, strict=True):
        _draw_mean(
            axes,
            published[method].mean[:num_iterations],
            published[method].band[:, :num_iterations],
            alpha=0.12,
            color=GREY,
            linestyle=dash,
            linewidth=1.2,
            zorder=1.5,
            label=f"published: {label}",
        )


def _draw_mean(
    axes: Axes,
    mean: np.ndarray,
    band: np.ndarray | None,
    alpha: float,
    color: str,
    **options: Any,
) -> None:
    """Draws a curve over its band `[2, num_iterations]`, if it has one."""
    if band is not None:
        iterations = np.arange(len(mean))
        axes.fill_between(
            iterations, *band, color=color, alpha=alpha, linewidth=0
        )
    axes.plot(mean, color=color, **options)


def _title(game: str, runs: list[int]) -> str:
    if runs == [1]:
        return f"{game}: one run"
    count = str(runs[0]) if len(runs) == 1 else f"{runs[0]} to {runs[-1]}"
    return f"{game}: mean of {count} runs, 95 % confidence band"
