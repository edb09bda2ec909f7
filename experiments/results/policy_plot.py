"""Pictures of what was learned."""

import pathlib
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.settings.named_games import (
    NAMED_GAMES,
    action_letters,
    state_labels,
)

# More columns or rows than this leave no room for numbers in the cells.
_MOST_COLUMNS = 12
_MOST_ROWS = 40


def plot_policies(
    path: pathlib.Path,
    tables: Sequence[np.ndarray],
    finals: np.ndarray,
    players: Sequence[str],
    game: str,
    title: str,
) -> None:
    """Draws the probability of actions: per state, player and run.

    Of two actions, one panel per player shows the first; of more, there is a
    row of panels with one per action.

    Args:
      path: file to write.
      tables: per player `[num_runs, num_observations, num_actions]`.
      finals: `[num_runs]`, final joint returns.
      players: what each player is called.
      game: name of the game.
      title: what the picture is of.
    """
    num_actions = [table.shape[2] for table in tables]
    panels = [
        (player_id, action)
        for player_id, count in enumerate(num_actions)
        for action in range(1 if count == 2 else count)
    ]
    num_runs, num_states = tables[0].shape[:2]
    width = 1.6 + len(panels) * max(3.0, 0.55 * min(num_states, 30))
    height = max(2.1 + 0.36 * min(num_runs, 60), 3.0)
    figure = Figure(figsize=(width, height), layout="constrained")
    all_axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (player_id, action) in zip(all_axes, panels, strict=True):
        image = _draw_panel(axes, tables[player_id][:, :, action])
        _label_states(axes, state_labels(game, num_actions, player_id))
        name = f"player {player_id}\n{players[player_id]}"
        if num_actions[player_id] > 2:
            letters = action_letters(game, num_actions[player_id])
            name += f", action {letters[action]}"
        axes.set_title(name, fontsize="medium")
    all_axes[0].set_yticks(
        np.arange(num_runs),
        [
            f"run {run}  ({_short(final)})"
            for run, final in enumerate(finals, 1)
        ],
    )
    all_axes[0].set_ylabel("run (final joint return)")
    figure.colorbar(
        image,
        ax=all_axes,
        label=f"probability of {_shown(game, num_actions)}",
        aspect=10 * height,
    )
    figure.suptitle(title)
    figure.savefig(path, dpi=150)


def _draw_panel(axes: Axes, probabilities: np.ndarray):
    """Draws `[num_runs, num_observations]` as a heat map with numbers."""
    image = axes.imshow(
        probabilities, vmin=0.0, vmax=1.0, cmap="cividis", aspect="auto"
    )
    num_runs, num_states = probabilities.shape
    if num_states <= _MOST_COLUMNS and num_runs <= _MOST_ROWS:
        for (run, state), value in np.ndenumerate(probabilities):
            axes.text(
                state,
                run,
                f"{value:.2f}",
                ha="center",
                va="center",
                fontsize="small",
                color="black" if value > 0.5 else "white",
            )
    axes.tick_params(length=0)
    return image


def _label_states(axes: Axes, labels: Sequence[str]) -> None:
    are_long = sum(map(len, labels)) > 40
    axes.set_xticks(
        np.arange(len(labels)), labels, rotation=90 if are_long else 0
    )
    axes.set_xlabel("last round, own action first")


def _shown(game: str, num_actions: Sequence[int]) -> str:
    """Returns the action whose probability the colours show."""
    if max(num_actions) > 2:
        return "action 0, or the one named"
    return NAMED_GAMES[game].first if game in NAMED_GAMES else "action 0"


def _short(value: float) -> str:
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}")
