"""One match of two policies: played, and told."""

from typing import Any, NamedTuple

import numpy as np

from dice_tf import evaluation
from experiments.building.game_builder import build_named_game
from experiments.matches.match_policies import build_policy
from experiments.matches.match_settings import Settings
from experiments.results.text_tables import aligned
from experiments.settings.named_games import action_letters, title


class PlayedMatch(NamedTuple):
    """A match, as it was sampled and as it is expected.

    Attributes:
      names: who sits in each seat.
      sampled: of the episodes played.
      exact: of infinitely many.
    """

    names: tuple[str, ...]
    sampled: evaluation.MatchResult
    exact: evaluation.MatchResult


def play(settings: Settings) -> PlayedMatch:
    """Plays a match."""
    names = [settings.opponent] * 2
    names[settings.player_id] = settings.policy
    game = build_named_game(
        settings.game, settings.payoffs, settings.episode_length
    )
    policies = [
        build_policy(name, game, player_id)
        for player_id, name in enumerate(names)
    ]
    return PlayedMatch(
        tuple(names),
        evaluation.play_match(
            game,
            policies,
            batch_size=settings.batch_size,
            seed=(0, settings.seed),
            discount=settings.discount,
        ),
        evaluation.exact_match(game, policies, discount=settings.discount),
    )


def report(settings: Settings, match: PlayedMatch) -> str:
    """Returns the text for the terminal."""
    rows = [["seat", "policy", "return", "expected", "cooperation", "expected"]]
    sampled, exact = match.sampled, match.exact
    for seat, name in enumerate(match.names):
        mean = f"{sampled.mean[seat]:.3f}"
        if settings.batch_size > 1:
            mean += f" +- {sampled.standard_error[seat]:.3f}"
        row = [str(seat), name, mean, f"{exact.mean[seat]:.3f}"]
        row += [
            f"{own.cooperation_rates[seat]:.3f}" for own in (sampled, exact)
        ]
        rows.append(row)
    header = (
        f"{title(settings.game)}: {settings.batch_size} episodes of "
        f"{settings.episode_length} rounds, discount {settings.discount:g}"
    )
    moves = [
        f"seat {seat}  {''.join(opening(settings, match, seat))}"
        for seat in range(2)
    ]
    return "\n".join(
        [
            header,
            "",
            aligned(rows),
            "",
            "First episode, from the start:",
            *moves,
        ]
    )


def opening(
    settings: Settings, match: PlayedMatch, player_id: int
) -> list[str]:
    """Returns a player's opening moves of the first episode, as letters."""
    num_actions = len(match.sampled.action_rates[player_id])
    letters = action_letters(settings.game, num_actions)
    moves = match.sampled.actions[player_id][: settings.num_moves, 0]
    # Numbers of several digits would run together.
    gap = " " if num_actions > 10 else ""
    return [gap + letters[move] for move in moves]


def summary(settings: Settings, match: PlayedMatch) -> dict[str, Any]:
    """Returns what summary.json holds."""
    sampled, exact = match.sampled, match.exact
    return {
        "players": [
            {
                "policy": name,
                "return_mean": float(sampled.mean[seat]),
                "return_standard_error": float(sampled.standard_error[seat]),
                "return_exact": float(exact.mean[seat]),
                "action_rates": np.asarray(sampled.action_rates[seat]).tolist(),
                "action_rates_exact": np.asarray(
                    exact.action_rates[seat]
                ).tolist(),
                "opening_moves": "".join(opening(settings, match, seat)),
            }
            for seat, name in enumerate(match.names)
        ]
    }
