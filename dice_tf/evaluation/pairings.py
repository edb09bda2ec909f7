"""Matches of all pairs of two lists of policies."""

import functools
import itertools
import numbers
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from dice_tf.checks import check_number
from dice_tf.evaluation.exact_matches import match_tables
from dice_tf.evaluation.matches import MatchResult, play_match, play_tables
from dice_tf.evaluation.tables import log_prob_table
from dice_tf.games.finite import FiniteGame, acts_by_state
from dice_tf.games.game import Game, check_game_type
from dice_tf.models.recurrent_models import has_memory
from dice_tf.play.actors import Actor
from dice_tf.play.exact_values import OF_THE_GAME, EpisodeLength, check_horizon
from dice_tf.play.rollouts import check_play_size
from dice_tf.seeds import Seed, as_seed, split_seed

# Episodes of each pair, if values are not exact and no size is given.
_BATCH_SIZE = 1024

# The policies of seat 0, and those of seat 1.
Seats = tuple[Sequence[keras.Model], Sequence[keras.Model]]


def check_two_players(game: Any) -> Game:
    """Returns the game, or raises if it does not have two players."""
    check_game_type(game)
    if game.num_players != 2:
        raise ValueError(
            "`game` must have two players, one for the rows and one for the "
            f"columns. Received: num_players={game.num_players}."
        )
    return game


def play_pairs(
    game: Game,
    policies: Seats,
    *,
    discount: float,
    episode_length: EpisodeLength,
    batch_size: int | None,
    seed: Seed,
) -> list[MatchResult]:
    """Plays every policy of seat 0 against every policy of seat 1.

    Args:
      game: a game of two players.
      policies: those of seat 0, and those of seat 1.
      discount: as of `dice_tf.evaluation.cross_play`.
      episode_length: as of `dice_tf.evaluation.cross_play`.
      batch_size: as of `dice_tf.evaluation.cross_play`.
      seed: as of `dice_tf.evaluation.cross_play`.

    Returns:
      One match per pair, row-major.
    """
    pairs = list(itertools.product(*policies))
    play: Callable[..., MatchResult] = functools.partial(play_match, game)
    tabulated = None
    if acts_by_state(game, map(has_memory, itertools.chain(*policies))):
        tabulated = game
        play = functools.partial(play_tables, game)
        # Each policy is evaluated once, not once per pair.
        pairs = list(itertools.product(*_tables(game, policies)))
    if batch_size is not None:
        check_play_size(game, batch_size)
    if tabulated is not None and batch_size is None:
        horizon = check_horizon(tabulated, discount, episode_length)
        return [match_tables(tabulated, pair, horizon) for pair in pairs]
    if episode_length is not OF_THE_GAME and not (
        isinstance(episode_length, numbers.Integral)
        and episode_length == game.episode_length
    ):
        raise ValueError(
            "`episode_length` can only be that of the game "
            f"({game.episode_length}) where episodes are played. Received: "
            f"episode_length={episode_length!r}."
        )
    discount = check_number("discount", discount, 0.0, 1.0)
    size = _BATCH_SIZE if batch_size is None else batch_size
    seeds = split_seed(as_seed(seed), len(pairs))
    return [
        play(pair, discount=discount, batch_size=size, seed=pair_seed)
        for pair, pair_seed in zip(pairs, seeds, strict=True)
    ]


def _tables(game: FiniteGame, policies: Seats) -> list[list[tf.Tensor]]:
    return [
        [log_prob_table(Actor(game, policy, seat)) for policy in seat_policies]
        for seat, seat_policies in enumerate(policies)
    ]
