"""How far policies are from a Nash equilibrium, exactly."""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np

from dice_tf.evaluation.best_responses import respond
from dice_tf.evaluation.exact_matches import match_tables
from dice_tf.evaluation.tables import check_finite_game, log_prob_tables
from dice_tf.games.finite import FiniteGame
from dice_tf.play.exact_values import OF_THE_GAME, EpisodeLength, check_horizon


class Exploitability(NamedTuple):
    """What players could gain by leaving their policies.

    Reported returns, NumPy float64: `1 - discount` times the discounted sum
    of rewards, the mean reward per step at discount 1.

    Attributes:
      values: `[num_players]`, with the policies as they are.
      best_response_values: `[num_players]`, of each player's best response to
        the others, as they are; NaN where their probabilities are.
      gains: `[num_players]`, `best_response_values - values`, negative only
        by rounding. Of two players, entry i tells how much a best
        responder in seat i takes out of the *other* player's policy, beyond
        what the actual partner gets.
      nash_conv: the sum of the gains, 0 in a Nash equilibrium.
    """

    values: np.ndarray
    best_response_values: np.ndarray
    gains: np.ndarray
    nash_conv: float


def exploitability(
    game: FiniteGame,
    policies: Sequence[keras.Model],
    *,
    discount: float = 0.96,
    episode_length: EpisodeLength = OF_THE_GAME,
) -> Exploitability:
    """Measures what each player could gain by a best response to the others.

    Args:
      game: a `FiniteGame` in which players see the state one-hot, such as
        every iterated matrix game. Any number of players.
      policies: one `keras.Model` per player; twice the same for self-play.
      discount: in [0, 1], below 1 with an infinite horizon.
      episode_length: number of steps, or `None` for an infinite horizon.
        Default: that of the game. In an episode no policy without a clock
        knows the last step, so that some gain is left to the best of them.

    Returns:
      An `Exploitability`.

    Raises:
      TypeError: if the game is not a `FiniteGame`, or a policy is not a
        `keras.Model`.
      ValueError: if a policy does not fit its seat, a number is outside of
        its range, or observations are not one-hot.

    Example:
      >>> policy = dice_tf.policies.tit_for_tat(game, 0)
      >>> dice_tf.evaluation.exploitability(
      ...     game, [policy, policy], episode_length=None
      ... ).nash_conv
      0.0

    References:
      Lanctot et al. 2017 (A Unified Game-Theoretic Approach to Multiagent
      Reinforcement Learning), for NashConv.
    """
    check_finite_game(game)
    horizon = check_horizon(game, discount, episode_length)
    tables = log_prob_tables(game, policies)
    values = match_tables(game, tables, horizon).mean
    probabilities = [np.exp(table.numpy()) for table in tables]
    best = np.full(game.num_players, np.nan)
    for player_id in range(game.num_players):
        others = np.delete(np.arange(game.num_players), player_id)
        if all(np.all(np.isfinite(probabilities[seat])) for seat in others):
            best[player_id] = respond(
                game, probabilities, player_id, horizon
            ).value
    gains = best - values
    return Exploitability(values, best, gains, float(gains.sum()))
