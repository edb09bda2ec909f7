"""The picture of learning in the plane of reactive strategies."""

import math
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..results.pictures import ORANGE
from .reactive import Portrait

_NUM_COLUMNS = 3
# Light, so that arrows and paths can be seen.
_SHADES = LinearSegmentedColormap.from_list("returns", ["white", "#7fb3d5"])
_LEVELS = np.linspace(-2.0, -1.0, 11)
_TICKS = (0.0, 0.5, 1.0)
_START = {"marker": "o", "markersize": 4, "markerfacecolor": "white"}
_END = {"marker": "o", "markersize": 6, "markerfacecolor": ORANGE}


def plot_portraits(
    path: pathlib.Path,
    portraits: Mapping[str, Portrait],
    returns: np.ndarray,
    title: str,
) -> None:
    """Draws a panel for each learner.

    Args:
      path: file to write.
      portraits: by the name of the learner.
      returns: `[N, N]`, what two players of one strategy earn, by P(C after D)
        and P(C after C).
      title: of the picture.
    """
    num_columns = min(_NUM_COLUMNS, len(portraits))
    num_rows = math.ceil(len(portraits) / num_columns)
    figure = Figure(
        figsize=(3.0 * num_columns + 1.2, 2.9 * num_rows + 1.2),
        layout="constrained",
    )
    panels = figure.subplots(num_rows, num_columns, squeeze=False).ravel()
    for axes in panels[len(portraits) :]:
        axes.remove()
    panels = panels[: len(portraits)]
    # The colours of the outer cells go on to the edges.
    middles = (np.arange(len(returns)) + 0.5) / len(returns)
    places = np.concatenate([[0.0], middles, [1.0]])
    shaded = np.clip(np.pad(returns, 1, "edge"), _LEVELS[0], _LEVELS[-1])
    for index, (name, portrait) in enumerate(portraits.items()):
        axes = panels[index]
        shades = axes.contourf(places, places, shaded, _LEVELS, cmap=_SHADES)
        _draw_arrows(axes, portrait)
        _draw_paths(axes, portrait)
        axes.set_title(name, fontsize="medium")
        axes.set_aspect("equal")
        axes.set(xlim=(0.0, 1.0), xticks=_TICKS, ylim=(0.0, 1.0), yticks=_TICKS)
        if index % num_columns == 0:
            axes.set_ylabel("P(C after D)")
        if index + num_columns >= len(portraits):
            axes.set_xlabel("P(C after C)")
    figure.colorbar(
        shades,
        ax=panels,
        label="return of both players",
        aspect=30,
        shrink=0.8,
    )
    figure.suptitle(title, fontsize="medium")
    figure.legend(
        handles=_handles(),
        loc="outside lower center",
        ncols=num_columns,
        frameon=False,
    )
    figure.savefig(path, dpi=120)


def _draw_arrows(axes: Axes, portrait: Portrait) -> None:
    """Draws where an update leads, all arrows equally long."""
    speeds = np.linalg.norm(portrait.velocities, axis=1, keepdims=True)
    # An arrow of a strategy at rest has no length.
    x, y = (portrait.velocities / np.maximum(speeds, 1e-12)).T
    axes.quiver(
        *portrait.strategies.T,
        x,
        y,
        color="#404040",
        scale=20,
        width=0.005,
        pivot="mid",
    )


def _draw_paths(axes: Axes, portrait: Portrait) -> None:
    for path in np.moveaxis(portrait.paths, 1, 0):
        axes.plot(*path.T, color=ORANGE, linewidth=1.3)
        axes.plot(*path[0], markeredgecolor=ORANGE, **_START)
        # Ends lie at the edge of the plane.
        axes.plot(
            *path[-1], markeredgecolor="black", clip_on=False, zorder=5, **_END
        )


def _handles() -> list[Line2D]:
    entries: list[tuple[str, dict[str, Any]]] = [
        ("path of both players", {"color": ORANGE}),
        ("start", {"markeredgecolor": ORANGE, "linestyle": "none", **_START}),
        ("end", {"markeredgecolor": "black", "linestyle": "none", **_END}),
    ]
    return [Line2D([], [], label=label, **look) for label, look in entries]
