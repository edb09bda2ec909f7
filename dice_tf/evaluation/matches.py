"""Matches: policies that play a game, and how each of them does."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from dice_tf.checks import check_number
from dice_tf.estimators.returns import (
    discounted_rewards,
    return_scale,
    running_steps,
)
from dice_tf.evaluation.tables import log_prob_table
from dice_tf.games.finite import FiniteGame, acts_by_state
from dice_tf.games.game import Game
from dice_tf.models.seat_models import Weights
from dice_tf.play.actors import seat_actors
from dice_tf.play.rollouts import check_play_size, sample_trajectory
from dice_tf.policies.sampling import nan_where
from dice_tf.seeds import Seed, as_seed

# Compiled matches that are kept, with their games and policies.
_MOST_COMPILED = 16


class MatchResult(NamedTuple):
    """How the players of a match did. Arrays are NumPy float64.

    Returns are reported ones: `1 - discount` times the discounted sum of
    rewards, the mean reward per step at discount 1.

    Attributes:
      mean: `[num_players]`, returns; expected ones where they are exact. NaN
        where a policy's probabilities are, or sums of rewards overflow.
      standard_error: `[num_players]`, of the mean: zeros where it is exact,
        NaN for a single episode and where the mean is NaN.
      action_rates: for each player `[num_actions]`, the share of steps at
        which it took each action, `None` where actions are not a finite set.
        With an infinite horizon step t counts `discount^t`.
      returns: `[B, num_players]`, of each episode, `None` where exact.
        An episode in which probabilities were NaN has none, but NaN.
      actions: for each player int32 `[T, B]` (`[T, B, ...]` where actions are
        not a finite set), what was played; `None` where exact.
    """

    mean: np.ndarray
    standard_error: np.ndarray
    action_rates: tuple[np.ndarray | None, ...]
    returns: np.ndarray | None
    actions: tuple[np.ndarray, ...] | None

    @property
    def cooperation_rates(self) -> np.ndarray:
        """Shares of action 0, `[num_players]`; NaN without finite actions."""
        return np.array(
            [
                np.nan if rates is None else rates[0]
                for rates in self.action_rates
            ]
        )


def play_match(
    game: Game,
    policies: Sequence[keras.Model],
    *,
    discount: float = 0.96,
    batch_size: int,
    seed: Seed,
) -> MatchResult:
    """Plays `batch_size` episodes and measures every player.

    The first call compiles a program, which serves all seeds, discounts and
    weights. In a `FiniteGame` it serves all policies without memory too;
    elsewhere it belongs to the given ones, and does not see a head that is
    attached to one of them later. The last 16 programs are kept, with their
    games and policies.

    Args:
      game: any game, hashable as objects are unless they say otherwise.
      policies: one `keras.Model` per player.
      discount: in [0, 1].
      batch_size: B.
      seed: int32 `[2]`. The same seed gives the same play.

    Returns:
      A `MatchResult`, of the episodes played.

    Raises:
      TypeError: if the game is not a `Game`, a policy is not a `keras.Model`,
        or a number has the wrong type.
      ValueError: if a policy does not fit its seat, or a number is outside
        of its range.

    Example:
      >>> game = dice_tf.games.iterated_prisoners_dilemma()
      >>> policies = [
      ...     dice_tf.policies.tit_for_tat(game, 0),
      ...     dice_tf.policies.random(game, 1),
      ... ]
      >>> match = dice_tf.evaluation.play_match(
      ...     game, policies, batch_size=256, seed=(0, 1)
      ... )
      >>> match.returns.shape, match.standard_error.shape
      ((256, 2), (2,))
    """
    actors = seat_actors(game, policies)
    batch_size = check_play_size(game, batch_size)
    seed = as_seed(seed)
    discount = check_number("discount", discount, 0.0, 1.0)
    if acts_by_state(game, (actor.has_memory for actor in actors)):
        tables = [log_prob_table(actor) for actor in actors]
        return play_tables(
            game, tables, batch_size=batch_size, seed=seed, discount=discount
        )
    play = compiled_play(game, tuple(policies), batch_size)
    weights = [actor.model.weights() for actor in actors]
    return _measure(game, play, weights, seed, discount)


def play_tables(
    game: FiniteGame,
    tables: Sequence[tf.Tensor],
    *,
    discount: float,
    batch_size: int,
    seed: Seed,
) -> MatchResult:
    """Plays a match of policies that are given as log-probabilities.

    Args:
      game: the game.
      tables: one per player, float64 `[S, num_actions]`, by state.
      discount: as of `play_match`.
      batch_size: as of `play_match`.
      seed: as of `play_match`.
    """
    play = compiled_play(game, None, batch_size)
    weights = [Weights([table], []) for table in tables]
    return _measure(game, play, weights, seed, discount)


class _TableActor:
    """An actor whose only weight is its table, in any seat."""

    has_memory = False

    def log_prob_table(self, weights: Weights) -> tf.Tensor:
        return weights.params[0]


@functools.lru_cache(maxsize=_MOST_COMPILED)
def compiled_play(
    game: Game, policies: tuple[keras.Model, ...] | None, batch_size: int
) -> Any:
    """Returns a compiled function that plays.

    Args:
      game: the game.
      policies: one per player; `None` for any, given as tables.
      batch_size: B.

    Returns:
      A function of weights, seed and discount (float64) to discounted
      returns `[B, num_players]`, whether each step belongs to an episode
      `[T, B]`, and actions per player.
    """
    if policies is None:
        actors = [_TableActor()] * game.num_players
    else:
        actors = seat_actors(game, policies)

    @tf.function(autograph=False)
    def play(weights: Any, seed: tf.Tensor, discount: tf.Tensor) -> Any:
        trajectory = sample_trajectory(
            game,
            # Of a finite game, which asks actors for their tables only.
            actors,  # type: ignore[arg-type]
            weights,
            batch_size=batch_size,
            seed=seed,
        )
        running = tf.cast(trajectory.discounts, tf.float64)
        returns = []
        for rewards in trajectory.rewards:
            discounted = discounted_rewards(
                tf.cast(rewards, tf.float64), discount * running
            )
            returns.append(tf.reduce_sum(discounted, axis=0))
        returns = tf.stack(returns, axis=1)
        if policies is None:
            # A table of NaNs plays the first action.
            tables = [tf.reduce_sum(table.params[0]) for table in weights]
            returns = nan_where(tf.math.is_nan(tf.add_n(tables)), returns)
        return returns, running_steps(running), trajectory.actions

    return play


def _measure(
    game: Game, play: Any, weights: Any, seed: Seed, discount: float
) -> MatchResult:
    seed = as_seed(seed)
    returns, is_played, actions = tf.nest.map_structure(
        np.asarray, play(weights, seed, tf.constant(discount, tf.float64))
    )
    scale = return_scale(discount, game.episode_length)
    returns = scale * np.where(np.isfinite(returns), returns, np.nan)
    if len(returns) > 1:
        error = returns.std(axis=0, ddof=1) / np.sqrt(len(returns))
    else:
        error = np.full(game.num_players, np.nan)
    rates = tuple(
        None
        if count is None
        else np.bincount(played[is_played], minlength=count) / is_played.sum()
        for played, count in zip(actions, game.num_actions, strict=True)
    )
    if np.any(np.isnan(returns)):
        rates = tuple(
            None if shares is None else np.full_like(shares, np.nan)
            for shares in rates
        )
    return MatchResult(returns.mean(axis=0), error, rates, returns, actions)
