"""A tournament, and what its policies are like."""

import time
from typing import NamedTuple

import dice_tf
from dice_tf import evaluation
from experiments.building.game_builder import build_named_game
from experiments.matches.match_policies import build_entrants
from experiments.matches.tournament_settings import Settings


class Portrait(NamedTuple):
    """What one policy is like.

    Attributes:
      entrant: whose it is.
      player_id: the seat.
      probabilities: per observation (own action first) `[num_observations,
        num_actions]`.
      name: of the strategy, `None` in games of another kind.
      shown_name: the same by what self-play shows: observations count as
        often as they are made there.
      value: its return in self-play.
      best_response_value: the return of a best responder against it, in the
        other seat.
      gain: what the best responder gets beyond the actual partner.
    """

    entrant: str
    player_id: int
    probabilities: list[list[float]]
    name: evaluation.StrategyName | None
    shown_name: evaluation.StrategyName | None
    value: float
    best_response_value: float
    gain: float


class Outcome(NamedTuple):
    """All that a tournament shows.

    Attributes:
      result: scores and matches.
      portraits: of all policies.
      seconds: that it took.
    """

    result: evaluation.TournamentResult
    portraits: tuple[Portrait, ...]
    seconds: float


def play(settings: Settings) -> Outcome:
    """Plays a tournament.

    Args:
      settings: all flags.
    """
    started = time.monotonic()
    # The game needs some length; with an infinite horizon it has no part.
    length = settings.episode_length
    game = build_named_game(settings.game, settings.payoffs, length or 1)
    entrants = build_entrants(settings.entrants, game)
    result = evaluation.tournament(
        game,
        entrants,
        discount=settings.discount,
        episode_length=length,
        batch_size=settings.batch_size,
        seed=(0, settings.seed),
        with_itself=settings.with_itself,
    )
    portraits = []
    for name, policies in entrants.items():
        portraits += _portraits(settings, game, name, policies)
    return Outcome(result, tuple(portraits), time.monotonic() - started)


def _portraits(
    settings: Settings,
    game: dice_tf.games.FiniteGame,
    entrant: str,
    policies: list,
) -> list[Portrait]:
    """Returns a portrait of each of an entrant's two policies."""
    gaps = evaluation.exploitability(
        game,
        policies,
        discount=settings.discount,
        episode_length=settings.episode_length,
    )
    portraits = []
    for player_id, policy in enumerate(policies):
        names = (None, None)
        if game.num_actions == (2, 2):
            visits = evaluation.visit_frequencies(
                game,
                policies,
                player_id,
                discount=settings.discount,
                episode_length=settings.episode_length,
            )
            names = [
                evaluation.name_policy(
                    game,
                    policy,
                    player_id,
                    discount=settings.discount,
                    weights=weights,
                )
                for weights in (None, visits)
            ]
        table = evaluation.action_probabilities(game, policy, player_id)
        other = 1 - player_id
        portraits.append(
            Portrait(
                entrant,
                player_id,
                table.tolist(),
                *names,
                float(gaps.values[player_id]),
                float(gaps.best_response_values[other]),
                float(gaps.gains[other]),
            )
        )
    return portraits
