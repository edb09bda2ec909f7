"""Cross-play in the Coin Game: each run against all runs, and bots."""

import csv
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

import dice_tf

from .bots import bot
from .coin_plot import draw_rewards
from .coin_settings import BOTS
from .coin_training import measurement

# More cells would be too small for numbers.
_MOST_NUMBERS = 20


class CoinCrossPlay(NamedTuple):
    """How the runs do against each other and against bots.

    A row meets a column once in each seat. Entries are means over both
    seatings: of R runs, and of the same runs and the bots.

    Attributes:
      opponents: names of the columns.
      rewards: `[R, R + 2]`, mean reward per step of the row.
      opponent_rewards: `[R, R + 2]`, of the column.
      shares: `[R, R + 2]`, of the row's pick-ups that were its own coins.
    """

    opponents: tuple[str, ...]
    rewards: np.ndarray
    opponent_rewards: np.ndarray
    shares: np.ndarray

    def summary(self) -> dict[str, float | None]:
        """Returns mean rewards per step, over runs, by kind of opponent."""
        num_runs = len(self.rewards)
        apart = ~np.eye(num_runs, dtype=bool)
        between = self.rewards[:, :num_runs][apart]
        return {
            "between_runs": float(between.mean()) if num_runs > 1 else None,
            **{
                f"against_{name}": float(self.rewards[:, column].mean())
                for column, name in enumerate(BOTS, num_runs)
            },
        }


def cross_play(
    objective: dice_tf.objectives.Objective, runs: Sequence[Any], seed: int
) -> CoinCrossPlay:
    """Lets each run play against all runs, itself included, and the bots.

    Args:
      objective: plays a batch of episodes of each pair.
      runs: for each run one list of parameters per player.
      seed: a whole number.
    """
    seatings = [
        _matches_of_seat(objective, runs, seat, seed) for seat in range(2)
    ]
    names = (*(f"run_{run}" for run in range(1, len(runs) + 1)), *BOTS)
    return CoinCrossPlay(names, *np.mean(seatings, axis=0))


def _matches_of_seat(
    objective: dice_tf.objectives.Objective,
    runs: Sequence[Any],
    seat: int,
    seed: int,
) -> np.ndarray:
    """Returns what the rows get in a seat, `[3, R, R + 2]`.

    Args:
      objective: as of `cross_play`.
      runs: as of `cross_play`.
      seat: that of the rows.
      seed: a whole number.

    Returns:
      The row's reward, the column's reward and the row's own-coin share.
    """
    # What plays, and with which parameters in the other seat.
    play = measurement(objective)
    columns = [(play, run[1 - seat]) for run in runs]
    for name in BOTS:
        policies = list(objective.policies)
        policies[1 - seat] = bot(objective.game, 1 - seat, name)
        play = measurement(objective.with_policies(policies))
        columns.append((play, []))
    entries = np.zeros([3, len(runs), len(columns)])
    for column, (play, opponent) in enumerate(columns):
        for row, run in enumerate(runs):
            params = [opponent, opponent]
            params[seat] = run[seat]
            match_seed = dice_tf.seeds.make_seed(seed, seat, row, column)
            measured = play(params, match_seed)
            entries[:, row, column] = (
                measured.rewards[seat],
                measured.rewards[1 - seat],
                measured.shares[seat],
            )
    return entries


def write_cross_play(path: pathlib.Path, played: CoinCrossPlay) -> None:
    """Writes a line for each row and column."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            ["row", "column", "reward", "opponent_reward", "own_coin_share"]
        )
        for row in range(len(played.rewards)):
            for column, name in enumerate(played.opponents):
                numbers = [f"{table[row, column]:.6g}" for table in played[1:]]
                writer.writerow([f"run_{row + 1}", name, *numbers])


def plot_cross_play(
    path: pathlib.Path, played: CoinCrossPlay, title: str
) -> None:
    """Draws the rewards of the rows as a table in colours."""
    num_runs, num_columns = played.rewards.shape
    figure = Figure(
        figsize=(2.8 + 0.55 * num_columns, 2.4 + 0.45 * num_runs),
        layout="constrained",
    )
    axes = figure.subplots()
    draw_rewards(axes, played.rewards, _MOST_NUMBERS, fontsize=8)
    labels = [name.replace("_", " ") for name in played.opponents]
    axes.set_xticks(range(num_columns), labels, rotation=45, ha="right")
    axes.set_yticks(range(num_runs), labels[:num_runs])
    axes.set_xlabel("against")
    axes.set_title(f"{title}\nmean reward per step of the row", fontsize=10)
    figure.savefig(path, dpi=120)
