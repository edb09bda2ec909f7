"""Pictures of the Coin Game: learning curves, and an episode cell by cell."""

import pathlib
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

import dice_tf

from ..results.animations import write_animation
from ..results.pictures import BLUE, GREY, ORANGE, minus_sign
from .coin_training import Progress

_COLORS = (ORANGE, BLUE)
_NUM_COLUMNS = 8
# The reward a step at which colours end: all cooperate, and more.
_BRIGHTEST = 0.4


def draw_rewards(
    axes: Axes, rewards: np.ndarray, most_numbers: int, fontsize: int
) -> None:
    """Draws mean rewards per step as a table in colours.

    Args:
      axes: where.
      rewards: `[rows, columns]`, of the rows.
      most_numbers: columns beyond which cells are too small for numbers.
      fontsize: of the numbers.
    """
    image = axes.imshow(rewards, cmap="RdBu", vmin=-_BRIGHTEST, vmax=_BRIGHTEST)
    axes.figure.colorbar(image, ax=axes)
    if rewards.shape[1] > most_numbers:
        return
    for (row, column), reward in np.ndenumerate(rewards):
        is_dark = abs(reward) > 0.7 * _BRIGHTEST
        axes.text(
            column,
            row,
            minus_sign(reward),
            ha="center",
            va="center",
            fontsize=fontsize,
            color="white" if is_dark else "black",
        )


def plot_progress(path: pathlib.Path, progress: Progress, title: str) -> None:
    """Draws how each run learns, and the means over runs."""
    figure = Figure(figsize=(12.0, 3.6), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    for axes, values, label, level in (
        (left, progress.shares, "own-coin share", 0.5),
        (middle, progress.returns.mean(axis=2), "mean reward per step", 0.0),
        (right, progress.pick_ups, "coins per step and player", 0.0),
    ):
        axes.axhline(level, color=GREY, linewidth=0.8)
        axes.plot(progress.iterations, values, color=BLUE, alpha=0.3)
        axes.plot(progress.iterations, values.mean(axis=1), color=BLUE)
        axes.set_xlabel("updates")
        axes.set_ylabel(label)
    figure.suptitle(title)
    figure.savefig(path, dpi=120)


def plot_episode(
    path: pathlib.Path,
    game: dice_tf.games.CoinGame,
    progress: Progress,
    num_steps: int,
) -> None:
    """Draws the first steps of an episode as a filmstrip.

    Squares are players and circles are coins, the player's own in its colour.
    Below is what each player earns in the step that follows. The legend says
    so.
    """
    episode = progress.episode
    num_steps = min(num_steps, game.episode_length)
    state = game.state_of(episode.observations[0][:num_steps, :1])
    rows = -(-num_steps // _NUM_COLUMNS)
    # The legend takes the last 0.6 inches.
    height = 1.6 * rows + 0.6
    figure = Figure(figsize=(1.3 * _NUM_COLUMNS, height))
    figure.subplots_adjust(bottom=1.0 / height)
    grid = figure.subplots(rows, _NUM_COLUMNS, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    for step, axes in enumerate(grid[:num_steps]):
        _draw_step(axes, game, state, step)
        earned = [int(rewards[step, 0]) for rewards in episode.rewards]
        axes.set_title(f"{step}", fontsize=8)
        if np.any(earned):
            axes.text(1, 2.9, f"{earned[0]:+d} / {earned[1]:+d}", ha="center")
    legend = "above: step; below: rewards of player 0 / player 1 in it"
    _draw_legend(figure, title=legend)
    figure.savefig(path, dpi=120)


def animate_episode(
    path: pathlib.Path, game: dice_tf.games.CoinGame, progress: Progress
) -> None:
    """Writes an episode as a GIF, a picture for each step.

    Above is what both have earned before the step.
    """
    episode = progress.episode
    state = game.state_of(episode.observations[0][:, :1])
    earned = np.array([rewards[:, 0] for rewards in episode.rewards])
    before = np.cumsum(earned, axis=1) - earned
    figure = Figure(figsize=(4.2, 3.4))
    figure.subplots_adjust(bottom=0.24, top=0.88)
    axes = figure.subplots()
    _draw_legend(figure, ncols=2)

    def draw(step: int) -> None:
        axes.clear()
        _draw_step(axes, game, state, step)
        first, second = before[:, step]
        axes.set_title(
            f"step {step}, earned so far: {first:.0f} / {second:.0f}",
            fontsize=9,
        )

    write_animation(path, figure, draw, earned.shape[1])


def _draw_step(
    axes: Axes, game: dice_tf.games.CoinGame, state: Any, step: int
) -> None:
    """Draws where everything lies before a step of the first episode."""
    _draw_cells(axes, game.grid_size)
    for i in range(2):
        coin = int(state.coins[i][step, 0])
        if coin >= 0:
            _draw(axes, game, coin, "o", i, 0.0)
        # Players may share a cell.
        _draw(axes, game, int(state.players[i][step, 0]), "s", i, 0.22)


def _draw_legend(figure: Figure, **options: Any) -> None:
    """Explains the marks, with other options of Matplotlib's legends."""
    marks = [
        (f"{what} {player_id}", marker, player_id)
        for what, marker in (("player", "s"), ("coin of player", "o"))
        for player_id in range(2)
    ]
    handles = [
        Line2D(
            [],
            [],
            color=_COLORS[player_id],
            marker=marker,
            markersize=8,
            markeredgecolor=_edge(marker),
            linestyle="none",
            label=label,
        )
        for label, marker, player_id in marks
    ]
    options = {"ncols": len(handles), **options}
    figure.legend(handles=handles, loc="lower center", frameon=False, **options)


def _edge(marker: str) -> str:
    return "black" if marker == "s" else "none"


def _draw_cells(axes: Axes, size: int) -> None:
    axes.set_axis_on()
    axes.set_xlim(-0.5, size - 0.5)
    axes.set_ylim(size - 0.5, -0.5)
    axes.set_aspect("equal")
    axes.set_xticks(np.arange(size - 1) + 0.5, [""] * (size - 1))
    axes.set_yticks(np.arange(size - 1) + 0.5, [""] * (size - 1))
    axes.tick_params(length=0)
    axes.grid(color="#c0c0c0")


def _draw(
    axes: Axes,
    game: dice_tf.games.CoinGame,
    cell: int,
    marker: str,
    player_id: int,
    aside: float,
) -> None:
    row, column = divmod(cell, game.grid_size)
    x = column + (2 * player_id - 1) * aside
    size = 110 if marker == "o" else 55
    axes.scatter(
        x,
        row,
        s=size,
        c=_COLORS[player_id],
        marker=marker,
        edgecolors=_edge(marker),
    )
