"""One match of two policies: played, and reported."""

import importlib.util
import pathlib
from typing import Any, NamedTuple

import keras
import numpy as np

import dice_tf
from dice_tf import evaluation

from ..building.builders import build_game, fixed_opponent
from ..results.check_list import aligned
from ..results.outputs import optional
from ..settings.line_up import OPPONENTS, seat_name
from ..settings.matrix_games import action_letters, title
from .entrants import Entrant
from .match_settings import MatchSettings


class PlayedMatch(NamedTuple):
    """A match, as it was sampled and as it is expected.

    Attributes:
      names: the policy of each seat.
      tables: for each seat `[num_observations, num_actions]`, probabilities.
      sampled: of the episodes played.
      exact: of infinitely many.
    """

    names: tuple[str, ...]
    tables: list[np.ndarray]
    sampled: evaluation.MatchResult
    exact: evaluation.MatchResult


def build_entrant(
    entrant: Entrant, game: dice_tf.games.FiniteGame
) -> list[keras.Model]:
    """Returns the policy of each seat.

    Raises:
      ValueError: if a SavedModel does not fit its seat, or its probabilities
        are not finite.
    """
    policies = []
    for player_id, source in enumerate(entrant.sources):
        policy = fixed_opponent(source, game, player_id)
        policies.append(policy)
        if source in OPPONENTS:
            continue
        table = evaluation.action_probabilities(game, policy, player_id)
        if not np.all(np.isfinite(table)):
            raise ValueError(
                f"The SavedModel {source!r} must give finite probabilities, "
                "and gives NaN, as after a training that has diverged. Leave "
                "it out."
            )
    return policies


def play(settings: MatchSettings) -> PlayedMatch:
    """Plays a match."""
    names = [settings.opponent] * 2
    names[settings.player_id] = settings.policy
    game = build_game(settings)
    policies = build_entrant(Entrant("match", tuple(names)), game)
    discount = settings.discount
    return PlayedMatch(
        tuple(names),
        [
            evaluation.action_probabilities(game, policy, player_id)
            for player_id, policy in enumerate(policies)
        ],
        evaluation.play_match(
            game,
            policies,
            batch_size=settings.batch_size,
            seed=dice_tf.seeds.make_seed(settings.seed),
            discount=discount,
        ),
        evaluation.exact_match(game, policies, discount=discount),
    )


def report(settings: MatchSettings, match: PlayedMatch) -> str:
    """Returns the text for the terminal."""
    rows = [["seat", "policy", "return", "expected", "cooperation", "expected"]]
    sampled, exact = match.sampled, match.exact
    for seat, name in enumerate(match.names):
        mean = f"{sampled.mean[seat]:.3f}"
        if settings.batch_size > 1:
            mean += f" +- {sampled.standard_error[seat]:.3f}"
        rows.append(
            [
                str(seat),
                name,
                mean,
                f"{exact.mean[seat]:.3f}",
                f"{sampled.cooperation_rates[seat]:.3f}",
                f"{exact.cooperation_rates[seat]:.3f}",
            ]
        )
    moves = [
        f"seat {seat}  {''.join(opening(settings, match, seat))}"
        for seat in range(2)
    ]
    return (
        f"{title(settings.game)}: {settings.batch_size} episodes of "
        f"{settings.episode_length} rounds, discount {settings.discount:g}\n\n"
        f"{aligned(rows)}\n\nFirst episode, from the start:\n"
        + "\n".join(moves)
    )


def opening(
    settings: MatchSettings, match: PlayedMatch, player_id: int
) -> list[str]:
    """Returns a player's opening moves of the first episode, as letters."""
    num_actions = len(match.sampled.action_rates[player_id])
    letters = action_letters(settings.game, num_actions)
    moves = match.sampled.actions[player_id][: settings.num_moves, 0]
    # Numbers of several digits would run together.
    gap = " " if num_actions > 10 else ""
    return [gap + letters[move] for move in moves]


def draw_states(
    stage: pathlib.Path, settings: MatchSettings, match: PlayedMatch
) -> None:
    """Draws a match of two actions as a state diagram, into a folder."""
    if importlib.util.find_spec("matplotlib") is None:
        return
    from ..results.state_diagram import DIAGRAM, has_diagram, plot_states

    if has_diagram(match.tables):
        with optional(stage / DIAGRAM):
            plot_states(
                stage / DIAGRAM,
                match.tables,
                action_letters(settings.game, 2),
                [seat_name(name, None) for name in match.names],
                title(settings.game),
            )


def summary(settings: MatchSettings, match: PlayedMatch) -> dict[str, Any]:
    """Returns the content of summary.json."""
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
