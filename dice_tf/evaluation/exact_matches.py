"""Matches in closed form, in games of few states."""

import functools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dice_tf.checks import check_player_id
from dice_tf.evaluation.matches import MatchResult
from dice_tf.evaluation.tables import (
    check_finite_game,
    log_prob_tables,
    observation_of_state,
)
from dice_tf.games.finite import FiniteGame
from dice_tf.play.exact_values import (
    OF_THE_GAME,
    EpisodeLength,
    Horizon,
    check_horizon,
    initial_values,
    state_visits,
)


def exact_match(
    game: FiniteGame,
    policies: Sequence[keras.Model],
    *,
    discount: float = 0.96,
    episode_length: EpisodeLength = OF_THE_GAME,
) -> MatchResult:
    """Returns what a match of infinitely many episodes would show.

    The limit of `dice_tf.evaluation.play_match`, computed in float64.

    Args:
      game: a `FiniteGame`, such as every iterated matrix game.
      policies: one `keras.Model` per player.
      discount: in [0, 1], below 1 with an infinite horizon.
      episode_length: number of steps, or `None` for an infinite horizon.
        Default: that of the game.

    Returns:
      A `MatchResult` without `returns` and `actions`.

    Raises:
      TypeError: if the game is not a `FiniteGame`, or a policy is not a
        `keras.Model`.
      ValueError: if a policy does not fit its seat, or a number is outside
        of its range.

    Example:
      >>> match = dice_tf.evaluation.exact_match(
      ...     game, policies, discount=0.96, episode_length=None
      ... )
      >>> match.mean.shape, match.cooperation_rates.shape
      ((2,), (2,))
    """
    check_finite_game(game)
    horizon = check_horizon(game, discount, episode_length)
    return match_tables(game, log_prob_tables(game, policies), horizon)


def match_tables(
    game: FiniteGame, tables: Sequence[tf.Tensor], horizon: Horizon
) -> MatchResult:
    """Returns the exact match of policies given as log-probabilities.

    Args:
      game: the game.
      tables: one per player, float64 `[S, num_actions]`, by state.
      horizon: a checked one.
    """
    values, rates = _compiled(game, horizon)(list(tables))
    mean = horizon.return_scale * values.numpy()
    mean = np.where(np.isfinite(mean), mean, np.nan)
    rates = tuple(shares.numpy() for shares in rates)
    errors = np.where(np.isnan(mean), np.nan, 0.0)
    return MatchResult(mean, errors, rates, None, None)


def visit_frequencies(
    game: FiniteGame,
    policies: Sequence[keras.Model],
    player_id: int,
    *,
    discount: float = 0.96,
    episode_length: EpisodeLength = OF_THE_GAME,
) -> np.ndarray:
    """Returns how often a player makes each observation, exactly.

    What a policy does after observations that are never made can be
    anything: weigh its probabilities with these when it is named.

    Args:
      game: a `FiniteGame` in which the player sees the state one-hot, such as
        every iterated matrix game.
      policies: one `keras.Model` per player; twice the same for self-play.
      player_id: who observes.
      discount: as of `exact_match`; a visit at step t counts `discount^t`.
      episode_length: as of `exact_match`.

    Returns:
      `[num_observations]`, float64, of sum 1.

    Raises:
      TypeError, ValueError: as of `exact_match`, and if observations are not
        one-hot.
    """
    check_finite_game(game)
    player_id = check_player_id(player_id, game.num_players)
    horizon = check_horizon(game, discount, episode_length)
    numbers = observation_of_state(game, player_id)
    visits = state_visits(
        game,
        log_prob_tables(game, policies),
        horizon.discount,
        horizon.episode_length,
    )
    by_observation = np.empty(game.num_states)
    by_observation[numbers] = visits.numpy()
    return by_observation


@functools.lru_cache(maxsize=16)
def _compiled(game: FiniteGame, horizon: Horizon) -> Any:
    """Returns a function of tables to values `[N]` and action rates."""
    discount, length, _ = horizon

    @tf.function(autograph=False)
    def match(tables: list[tf.Tensor]) -> Any:
        values = initial_values(game, tables, discount, length)
        # In an episode that ends, every step counts the same.
        decay = discount if length is None else 1.0
        visits = state_visits(game, tables, decay, length)
        rates = [tf.linalg.matvec(tf.exp(t), visits, True) for t in tables]
        return tf.stack(values), rates

    return match
