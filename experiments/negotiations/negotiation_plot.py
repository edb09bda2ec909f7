"""Pictures of the negotiation game: learning curves, and an episode."""

import pathlib
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

import dice_tf

from ..results.pictures import BLUE, GREY, ORANGE, tidy
from .negotiation_training import values_of

# What both earn a round if all always cooperate, or want everything.
COOPERATIVE, MAXIMAL = 0.5, 0.3

_COLORS = (ORANGE, BLUE)
_MOST = 5.0


def plot_progress(
    path: pathlib.Path, curves: np.ndarray, discount: float, title: str
) -> None:
    """Draws what every run earns a round in self-play, and their mean.

    Args:
      path: file to write.
      curves: `[num_iterations, num_runs, 2]`, mean rewards a round.
      discount: what a reward counts for a round later, in these means.
      title: what is drawn.
    """
    figure = Figure(figsize=(7.0, 4.0), layout="constrained")
    axes = figure.subplots()
    for level, label in (
        (COOPERATIVE, "always cooperate"),
        (MAXIMAL, "always want everything"),
    ):
        axes.axhline(level, color=GREY, linewidth=0.8)
        end = len(curves) - 1
        axes.annotate(label, (end, level), color=GREY, ha="right", va="bottom")
    rewards = curves.mean(axis=2)
    axes.plot(rewards, color=BLUE, alpha=0.35, linewidth=0.8)
    axes.plot(rewards.mean(axis=1), color=BLUE)
    axes.set_xlabel("updates")
    axes.set_ylabel(f"reward per round (discounted by {discount:g})")
    axes.set_title(title)
    tidy(axes)
    figure.savefig(path, dpi=120)


def plot_episode(
    path: pathlib.Path,
    game: dice_tf.games.Negotiation,
    episode: Any,
    num_rounds: int,
) -> None:
    """Draws both proposals for each item, in the first rounds of an episode.

    A filled bar is what a player wants of an item that it values more, an
    empty one what it wants of an item that the other player values more.

    Args:
      path: file to write.
      game: the game.
      episode: a `Trajectory`, of which the first episode is drawn.
      num_rounds: number of rounds, at most.
    """
    num_rounds = min(num_rounds, game.episode_length)
    figure = Figure(figsize=(0.45 * num_rounds + 1.5, 6.0))
    figure.subplots_adjust(
        left=0.08, right=0.98, top=0.94, bottom=0.17, hspace=0.25
    )
    grid = figure.subplots(game.num_items + 1, 1, sharex=True)
    rounds = np.arange(num_rounds)
    for player_id, color in enumerate(_COLORS):
        seen = np.asarray(episode.observations[player_id])[:num_rounds, 0]
        wanted = np.asarray(episode.actions[player_id])[:num_rounds, 0]
        is_valued = values_of(game, seen) > 3.0
        place = rounds + 0.2 * (2 * player_id - 1)
        for item, axes in enumerate(grid[:-1]):
            axes.bar(
                place,
                np.clip(wanted[:, item], 0.0, _MOST),
                width=0.36,
                edgecolor=color,
                color=[
                    color if valued else "none" for valued in is_valued[:, item]
                ],
            )
            axes.set_ylim(0.0, _MOST)
            axes.set_ylabel(f"item {item}")
        rewards = np.asarray(episode.rewards[player_id])[:num_rounds, 0]
        grid[-1].step(rounds, rewards, where="mid", color=color)
    grid[-1].set_ylabel("reward")
    grid[-1].set_xlabel("round")
    grid[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    grid[-1].set_ylim(bottom=0.0)
    for axes in grid:
        tidy(axes)
    figure.suptitle("what both players propose")
    _draw_legend(figure)
    figure.savefig(path, dpi=120)


def _draw_legend(figure: Figure) -> None:
    handles = [
        Line2D(
            [],
            [],
            linestyle="none",
            marker="s",
            markersize=9,
            markeredgecolor=color,
            markerfacecolor=face,
            label=f"player {player_id}, of what it values {how}",
        )
        for player_id, color in enumerate(_COLORS)
        for face, how in ((color, "more"), ("none", "less"))
    ]
    figure.legend(handles=handles, loc="lower center", ncols=2, frameon=False)
