"""Pictures of what was learned."""

import pathlib
from collections.abc import Sequence

import numpy as np

import dice_tf
from experiments.settings.named_games import (
    NAMED_GAMES,
    action_letters,
    state_labels,
)


def plot_policies(
    path: pathlib.Path,
    tables: Sequence[np.ndarray],
    finals: np.ndarray,
    players: Sequence[str],
    game: str,
    title: str,
) -> None:
    """Draws the probability of actions: per state, player and run.

    Args:
      path: file to write.
      tables: per player `[num_runs, num_observations, num_actions]`.
      finals: `[num_runs]`, final joint returns.
      players: what each player is called.
      game: name of the game.
      title: what the picture is of.
    """
    num_actions = [table.shape[2] for table in tables]
    figure = dice_tf.evaluation.policy_figure(
        tables,
        run_labels=[
            f"run {run}  ({_short(final)})"
            for run, final in enumerate(finals, 1)
        ],
        run_title="run (final joint return)",
        player_labels=players,
        state_labels=[
            state_labels(game, num_actions, player_id)
            for player_id in range(len(tables))
        ],
        state_title="last round, own action first",
        action_labels=action_letters(game, max(num_actions)),
        shown=_shown(game, num_actions),
        title=title,
    )
    figure.savefig(path, dpi=150)


def _shown(game: str, num_actions: Sequence[int]) -> str:
    """Returns the action whose probability the colours show."""
    if max(num_actions) > 2:
        return "action 0, or the one named"
    return NAMED_GAMES[game].first if game in NAMED_GAMES else "action 0"


def _short(value: float) -> str:
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}")
