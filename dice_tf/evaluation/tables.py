"""Policies as tables of probabilities, in a game of few states."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dice_tf.checks import check_kind, check_player_id
from dice_tf.games.finite import FiniteGame
from dice_tf.play.actors import Actor, seat_actors


def action_probabilities(
    game: FiniteGame, policy: keras.Model, player_id: int
) -> np.ndarray:
    """Returns what a policy does, per observation.

    Args:
      game: a `FiniteGame` in which the player sees the state one-hot, such as
        every iterated matrix game.
      policy: the player's `keras.Model`.
      player_id: the seat.

    Returns:
      `[num_observations, num_actions]`, float64, rows of sum 1, in the order
      of the player's observations: `[CC, CD, DC, DD, start]`, own action
      first, with two players of two actions.

    Raises:
      TypeError: if the game is not a `FiniteGame`, or the policy is not a
        `keras.Model`.
      ValueError: if the policy does not fit the seat, or observations are
        not one-hot.

    Example:
      >>> table = dice_tf.evaluation.action_probabilities(game, policy, 0)
      >>> cooperation = table[:, 0]
      >>> cooperation.shape
      (5,)
    """
    check_finite_game(game)
    player_id = check_player_id(player_id, game.num_players)
    actor = Actor(game, policy, player_id)
    by_state = np.exp(log_prob_table(actor).numpy())
    by_observation = np.empty_like(by_state)
    by_observation[observation_of_state(game, player_id)] = by_state
    return by_observation


def log_prob_table(actor: Actor) -> tf.Tensor:
    """Returns log-probabilities `[S, num_actions]` by state, in float64."""
    table = actor.log_prob_table(actor.model.weights())
    # Rounded to float32 they do not quite sum to 1.
    return tf.nn.log_softmax(tf.cast(table, tf.float64))


def log_prob_tables(
    game: FiniteGame, policies: Sequence[keras.Model]
) -> list[tf.Tensor]:
    """Returns the `log_prob_table` of each player's policy."""
    return [log_prob_table(actor) for actor in seat_actors(game, policies)]


def check_finite_game(game: Any) -> FiniteGame:
    """Returns the game, or raises if it has no tables."""
    expected = (
        "a dice_tf.games.FiniteGame: what is exact needs its tables of states "
        "and actions"
    )
    return check_kind("game", game, FiniteGame, expected)


def observation_of_state(game: FiniteGame, player_id: int) -> np.ndarray:
    """Returns the number of what a player sees in each state, int `[S]`.

    Raises:
      ValueError: if it does not see the state one-hot, in any order.
    """
    seen = game.observations[player_id]
    size = game.num_states
    numbers = np.argmax(seen.reshape(size, -1), axis=1)
    if seen.shape != (size, size) or not (
        np.array_equal(seen, np.eye(size)[numbers])
        and len(set(numbers)) == size
    ):
        raise ValueError(
            f"`game` must show player {player_id} its {size} states one-hot, "
            "each as another observation. Received observations of shape "
            f"{seen.shape[1:]}."
        )
    return numbers
