"""Episodes of the common pool as an animation."""

import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..results.animations import write_animation
from ..results.pictures import BLUE, GREEN, ORANGE, tidy

MOST_PANELS = 3

_NUM_COLUMNS = 4
_EMPTY = "#eeeeee"
# Of the stock that stays, and of what each player takes.
_COLORS = (GREEN, ORANGE, BLUE)


class PoolEpisode(NamedTuple):
    """An episode, step by step.

    Attributes:
      stocks: `[T]`, before each step.
      taken: `[T, 2]`, by each player in the step.
    """

    stocks: np.ndarray
    taken: np.ndarray


def first_episode(episodes: Any) -> PoolEpisode:
    """Returns the first episode of a `Trajectory`."""
    taken = [np.asarray(rewards)[:, 0] for rewards in episodes.rewards]
    return PoolEpisode(
        np.asarray(episodes.states)[:, 0], np.stack(taken, axis=1).astype(int)
    )


def animate_episodes(
    path: pathlib.Path, capacity: int, episodes: Mapping[str, PoolEpisode]
) -> None:
    """Writes episodes side by side as a GIF, a picture for each step.

    A cell is a unit of the stock; the numbers in cells are players that take
    them. Below are the stocks up to the step.

    Args:
      path: file to write.
      capacity: the largest stock.
      episodes: by the name of the method.
    """
    num_panels = len(episodes)
    figure = Figure(figsize=(max(2.9 * num_panels + 0.4, 4.0), 4.6))
    figure.subplots_adjust(
        left=0.11 if num_panels > 1 else 0.2,
        right=0.97,
        bottom=0.19,
        top=0.87,
        hspace=0.18,
    )
    above, below = figure.subplots(
        2, num_panels, squeeze=False, height_ratios=(2.6, 1.0)
    )
    length = max(len(episode.stocks) for episode in episodes.values())
    title = figure.suptitle("")
    _draw_legend(figure)

    def draw(step: int) -> None:
        title.set_text(f"common pool, step {step}")
        panels = zip(above[:], below[:], episodes.items(), strict=True)
        for cells, curve, (name, episode) in panels:
            _draw_cells(cells, capacity, episode, step)
            cells.set_title(name, fontsize=9)
            _draw_curve(curve, capacity, episode, step, length)
        below[0].set_ylabel("stock")

    write_animation(path, figure, draw, length)


def _draw_cells(
    axes: Axes, capacity: int, episode: PoolEpisode, step: int
) -> None:
    """Draws the stock from the bottom up, what is taken on top."""
    axes.clear()
    axes.set_axis_off()
    rows = -(-capacity // _NUM_COLUMNS)
    axes.set(xlim=(0, _NUM_COLUMNS), ylim=(-1.0, rows))
    axes.set_aspect("equal")
    taken = episode.taken[step]
    owners = [0] * (int(episode.stocks[step]) - int(taken.sum()))
    owners += [1] * taken[0] + [2] * taken[1]
    for unit in range(capacity):
        row, column = divmod(unit, _NUM_COLUMNS)
        owner = owners[unit] if unit < len(owners) else None
        color = _EMPTY if owner is None else _COLORS[owner]
        place = (column + 0.06, row + 0.06)
        axes.add_patch(Rectangle(place, 0.88, 0.88, facecolor=color))
        if owner:
            axes.text(
                column + 0.5,
                row + 0.47,
                f"{owner - 1}",
                ha="center",
                va="center",
                color="white",
            )
    earned = episode.taken[: step + 1].sum(axis=0)
    axes.text(
        _NUM_COLUMNS / 2,
        -0.5,
        f"earned: {earned[0]} and {earned[1]}",
        ha="center",
        va="center",
        fontsize=9,
    )


def _draw_curve(
    axes: Axes, capacity: int, episode: PoolEpisode, step: int, length: int
) -> None:
    axes.clear()
    axes.plot(episode.stocks[: step + 1], color=GREEN, linewidth=1.8)
    axes.plot(step, episode.stocks[step], "o", color=GREEN)
    axes.set(xlim=(-1, length), ylim=(-0.5, capacity + 0.5), xlabel="step")
    tidy(axes)


def _draw_legend(figure: Figure) -> None:
    names = ("stock that stays", "player 0 takes", "player 1 takes")
    handles = [
        Rectangle((0, 0), 1, 1, facecolor=color, label=name)
        for name, color in zip(names, _COLORS, strict=True)
    ]
    figure.legend(
        handles=handles,
        loc="lower center",
        ncols=3,
        frameon=False,
        fontsize=8,
        handlelength=1.0,
        columnspacing=1.2,
    )
