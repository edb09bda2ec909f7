"""A league of the Coin Game: all matches, its files and its tables."""

import csv
import itertools
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from ..results.check_list import aligned
from ..results.outputs import OutputFolder, optional
from ..results.provenance import collect_results
from . import league_play, league_tables, ratings
from .coin_plot import draw_rewards
from .coin_settings import ALWAYS_DEFECT
from .league_settings import (
    UNTRAINED,
    CoinEntrant,
    LeagueSettings,
)

# More cells would be too small for numbers.
_MOST_NUMBERS = 30


class League(NamedTuple):
    """All that a league shows, of n entrants.

    The first axis of matches is the seat of the row.

    Attributes:
      entrants: who takes part.
      rewards: `[2, n, n]`, mean reward per step of the row.
      opponent_rewards: `[2, n, n]`, of the column.
      shares: `[2, n, n]`, of the row's pick-ups that were its own coins.
      elo: `[n]`.
      alpha_rank: what alpha-rank says.
      responses: by entrant what its best responder leads to, a mean over both
        seats.
      seconds: that it took.
    """

    entrants: tuple[CoinEntrant, ...]
    rewards: np.ndarray
    opponent_rewards: np.ndarray
    shares: np.ndarray
    elo: np.ndarray
    alpha_rank: ratings.AlphaRank
    responses: tuple[league_play.Exploited, ...]
    seconds: float

    @property
    def payoffs(self) -> np.ndarray:
        """What the row earns, means over both seatings, `[n, n]`."""
        return self.rewards.mean(axis=0)

    @property
    def self_play(self) -> np.ndarray:
        """What each entrant earns with itself in the other seat, `[n]`."""
        return np.diagonal(self.payoffs)


def play(
    settings: LeagueSettings,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> League:
    """Lets all entrants meet each other and themselves, in both seatings.

    Args:
      settings: the entrants, and the matches.
      on_progress: called with the numbers of entrants that have met all, and
        of all entrants.

    Raises:
      ValueError: if a SavedModel does not fit.
    """
    started = time.monotonic()
    rules = league_play.dynamics()
    entrants = (*settings.entrants, *league_tables.untrained_entrants())
    seats = _seats(rules, entrants)
    following = league_play.outcomes(rules)
    generator = np.random.default_rng(settings.seed)
    num_entrants = len(entrants)
    rewards, opponent_rewards, shares = np.zeros(
        [3, 2, num_entrants, num_entrants]
    )
    wins = np.full([num_entrants] * 2, 0.5)
    for i in range(num_entrants):
        for j in range(num_entrants):
            match = (rules, seats[i][0], seats[j][1])
            earned, taken = league_play.play_exactly(
                *match, settings.episode_length
            )
            with np.errstate(invalid="ignore"):
                of_own = taken[:, 0] / taken.sum(axis=1)
            for seat, (row, column) in enumerate([(i, j), (j, i)]):
                rewards[seat, row, column] = earned[seat]
                opponent_rewards[seat, row, column] = earned[1 - seat]
                shares[seat, row, column] = of_own[seat]
            if i == j:
                continue
            won = league_play.share_of_wins(
                rules,
                following,
                *match[1:],
                episode_length=settings.episode_length,
                num_episodes=settings.num_episodes,
                generator=generator,
            )
            # Each pair meets in both seatings, which weigh one half.
            wins[i, j] += 0.5 * (won - 0.5)
            wins[j, i] -= 0.5 * (won - 0.5)
        on_progress(i + 1, num_entrants)
    matches = 2 * settings.num_episodes
    return League(
        entrants,
        rewards,
        opponent_rewards,
        shares,
        ratings.elo(ratings.with_draws(wins, matches)),
        ratings.alpha_rank(rewards.mean(axis=0)),
        _responses(rules, seats, settings.episode_length),
        time.monotonic() - started,
    )


def _seats(
    rules: league_play.Dynamics, entrants: Sequence[CoinEntrant]
) -> list[list[np.ndarray]]:
    """Returns for each entrant its tables in both seats."""
    found = []
    for entrant in entrants:
        if entrant.name in UNTRAINED:
            tables = [league_tables.untrained_table(entrant.name)] * 2
        else:
            tables = league_tables.tables_of(entrant)
        found.append(
            [
                league_play.in_seat(rules, table, seat)
                for seat, table in enumerate(tables)
            ]
        )
    return found


def _responses(
    rules: league_play.Dynamics,
    seats: Sequence[Sequence[np.ndarray]],
    episode_length: int,
) -> tuple[league_play.Exploited, ...]:
    """Returns what best responders lead to, means over both seats."""
    found = []
    for tables in seats:
        by_seat = [
            league_play.best_response(rules, table, seat, episode_length)
            for seat, table in enumerate(tables)
        ]
        found.append(league_play.Exploited(*np.mean(by_seat, axis=0).tolist()))
    return tuple(found)


def ranking(league: League) -> list[dict[str, Any]]:
    """Returns the rows of ratings.csv, the highest rating first."""
    num_entrants = len(league.entrants)
    # Without the matches of entrants with themselves.
    others = (league.payoffs.sum(axis=1) - league.self_play) / (
        num_entrants - 1
    )
    masses = league.alpha_rank.masses
    rows = []
    for i in np.argsort(-league.elo, kind="stable"):
        entrant, response = league.entrants[i], league.responses[i]
        with_itself = float(league.self_play[i])
        rows.append(
            {
                "name": entrant.name,
                "kind": entrant.kind,
                "learner": entrant.learner,
                "elo": float(league.elo[i]),
                "alpha_rank": None if masses is None else float(masses[i]),
                "mean_reward": float(others[i]),
                "self_play_reward": with_itself,
                "best_response_reward": response.response_reward,
                "reward_against_best_response": response.reward,
                "gain_of_best_response": response.response_reward - with_itself,
                "loss_to_best_response": with_itself - response.reward,
            }
        )
    return rows


def kinds(league: League) -> dict[str, dict[str, Any]]:
    """Returns by kind of learned entrants what they earn, in means over runs.

    `difference_to_always_defect` is the reward of the run minus that of the
    bot, in the matches of the two.
    """
    groups = itertools.groupby(
        enumerate(league.entrants), lambda entry: entry[1].kind
    )
    names = [entrant.name for entrant in league.entrants]
    payoffs, opponents = league.payoffs, league.opponent_rewards.mean(axis=0)
    defector = names.index(ALWAYS_DEFECT)
    found = {}
    for kind, group in groups:
        if kind in UNTRAINED:
            continue
        runs = [i for i, _ in group]
        apart = ~np.eye(len(runs), dtype=bool)
        among = payoffs[np.ix_(runs, runs)][apart]
        differences = (payoffs - opponents)[runs, defector]
        found[kind] = {
            "learner": league.entrants[runs[0]].learner,
            "num_runs": len(runs),
            "self_play": float(league.self_play[runs].mean()),
            "between_runs": float(among.mean()) if len(runs) > 1 else None,
            **{
                f"against_{name}": float(
                    payoffs[runs, names.index(name)].mean()
                )
                for name in UNTRAINED
            },
            "difference_to_always_defect": float(differences.mean()),
            "worst_difference_to_always_defect": float(differences.min()),
            "loss_to_best_response": float(
                np.mean(
                    [
                        league.self_play[i] - league.responses[i].reward
                        for i in runs
                    ]
                )
            ),
        }
    return found


def write_files(
    folder: OutputFolder, settings: LeagueSettings, league: League
) -> str:
    """Writes all files, or none, and returns the tables for the terminal."""
    rows, by_kind = ranking(league), kinds(league)
    summary = {
        "ranking": rows,
        "kinds": by_kind,
        "alpha_rank_missing": league.alpha_rank.missing,
        "seconds": league.seconds,
    }
    recorded = {"coin_league": settings}
    with collect_results(folder, recorded, summary) as stage:
        _write_matches(stage / "league.csv", league)
        _write_rows(stage / "ratings.csv", rows)
        picture = stage / "league.png"
        with optional(picture):
            plot_league(picture, league)
    tables = f"{_table(rows, 'name')}\n\n{_kind_table(by_kind)}"
    if league.alpha_rank.missing is not None:
        tables += f"\n\nalpha-rank is left out: {league.alpha_rank.missing}"
    return tables


def _write_matches(path: pathlib.Path, league: League) -> None:
    """Writes a line for each row, column and seat of the row."""
    names = [entrant.name for entrant in league.entrants]
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        columns = ["reward", "opponent_reward", "own_coin_share"]
        writer.writerow(["row", "column", "row_seat", *columns])
        tables = (league.rewards, league.opponent_rewards, league.shares)
        for (row, first), (column, second) in itertools.product(
            enumerate(names), repeat=2
        ):
            for seat in range(2):
                numbers = [
                    f"{table[seat, row, column]:.6g}" for table in tables
                ]
                writer.writerow([first, second, seat, *numbers])


def _write_rows(path: pathlib.Path, rows: Sequence[dict[str, Any]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(rows[0])
        for row in rows:
            writer.writerow(
                f"{value:.6g}" if isinstance(value, float) else value
                for value in row.values()
            )


def _table(rows: Sequence[dict[str, Any]], name: str) -> str:
    """Returns names and numbers as text, three digits behind the point."""
    columns = [
        key
        for key, value in rows[0].items()
        if key == name or isinstance(value, float)
    ]
    lines = [[column.replace("_", " ") for column in columns]]
    for row in rows:
        lines.append([_cell(row[column], column) for column in columns])
    return aligned(lines)


def _cell(value: Any, column: str) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    # Adding 0 turns -0 into 0.
    return f"{value:.0f}" if column == "elo" else f"{round(value, 3) + 0:.3f}"


def _kind_table(by_kind: dict[str, dict[str, Any]]) -> str:
    """Returns a line for each number of the kinds, which are the columns."""
    lines = [["", *by_kind]]
    for name in next(iter(by_kind.values())):
        cells = [entry[name] for entry in by_kind.values()]
        lines.append(
            [
                name.replace("_", " "),
                *(
                    str(cell) if isinstance(cell, int) else _cell(cell, name)
                    for cell in cells
                ),
            ]
        )
    return aligned(lines)


def plot_league(path: pathlib.Path, league: League) -> None:
    """Draws the rewards of the rows as a table in colours, by rating."""
    order = np.argsort(-league.elo, kind="stable")
    payoffs = league.payoffs[np.ix_(order, order)]
    num_entrants = len(order)
    figure = Figure(
        figsize=(3.6 + 0.5 * num_entrants, 2.8 + 0.42 * num_entrants),
        layout="constrained",
    )
    axes = figure.subplots()
    draw_rewards(axes, payoffs, _MOST_NUMBERS, fontsize=7)
    names = [league.entrants[i].name.replace("_", " ") for i in order]
    labels = [
        f"{name}  ({league.elo[i]:.0f})"
        for name, i in zip(names, order, strict=True)
    ]
    axes.set_xticks(range(num_entrants), names, rotation=45, ha="right")
    axes.set_yticks(range(num_entrants), labels)
    axes.set_xlabel("against")
    axes.set_ylabel("entrant (Elo)")
    axes.set_title("Coin Game: mean reward per step of the row", fontsize=10)
    figure.savefig(path, dpi=120)
