"""Fixed policies: the classical strategies, as parameterless models.

They are ordinary policies, with logits instead of parameters, so that they can
take any seat, be exported and be pictured.
"""

from typing import Any

import keras
import numpy as np

from dice_tf.checks import as_float_array, check_name, check_player_id
from dice_tf.games.game import Game, check_game_type
from dice_tf.policies.action_masks import seated
from dice_tf.policies.networks import observation_input

# The logit of an action that is never taken: exp(-100) is 0 beside 1 in
# float32 and float64, and unlike -inf it has finite products.
_NEVER = -100.0

# Probabilities of cooperation after [CC, CD, DC, DD], own action first, and
# at the start, for two players with two actions.
MEMORY_ONE = {
    "tit_for_tat": (1.0, 0.0, 1.0, 0.0, 1.0),
    "grim_trigger": (1.0, 0.0, 0.0, 0.0, 1.0),
    "win_stay_lose_shift": (1.0, 0.0, 0.0, 1.0, 1.0),
}


def fixed_policy(
    game: Game,
    player_id: int,
    probabilities: Any,
    *,
    name: str = "fixed_policy",
) -> keras.Model:
    """A policy with given probabilities for each observation.

    Args:
      game: a game with one-hot observations, such as a matrix game.
      player_id: the seat.
      probabilities: `[num_observations, num_actions]`, each row of sum 1.
      name: name of the model.

    Returns:
      A `keras.Model` from one-hot observations to logits, without trainable
      variables.

    Raises:
      ValueError: if the probabilities do not fit the seat or do not sum to 1.
    """
    inputs = observation_input(game, player_id)
    probabilities = as_float_array("probabilities", probabilities)
    expected = (*game.observation_shapes[player_id],)
    expected += (game.num_actions[player_id],)
    if probabilities.shape != expected:
        raise ValueError(
            f"`probabilities` must have shape {expected}, one row per "
            "observation and one column per action. Received shape "
            f"{probabilities.shape}."
        )
    if not (
        np.all(probabilities >= 0)
        and np.allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    ):
        raise ValueError(
            "`probabilities` must not be negative and sum to 1 in each row. "
            f"Received rows that sum to {probabilities.sum(axis=1)}."
        )
    logits = np.maximum(np.log(np.maximum(probabilities, 1e-300)), _NEVER)
    layer = keras.layers.Dense(
        probabilities.shape[1],
        use_bias=False,
        trainable=False,
        dtype=game.dtype.name,
        name="logits",
    )
    policy = keras.Model(inputs, layer(inputs), name=check_name("name", name))
    layer.set_weights([logits])
    return seated(policy, game, player_id)


def always_cooperate(game: Game, player_id: int) -> keras.Model:
    """Always takes action 0.

    Args:
      game: a game with one-hot observations.
      player_id: the seat.
    """
    return _always(game, player_id, 0, "always_cooperate")


def always_defect(game: Game, player_id: int) -> keras.Model:
    """Always takes action 1.

    Args:
      game: a game with one-hot observations.
      player_id: the seat.
    """
    return _always(game, player_id, 1, "always_defect")


def random(game: Game, player_id: int) -> keras.Model:
    """Takes every action with the same probability.

    Args:
      game: a game with one-hot observations.
      player_id: the seat.
    """
    rows, num_actions = _table_shape(game, player_id)
    table = np.full((rows, num_actions), 1.0 / num_actions)
    return fixed_policy(game, player_id, table, name="random")


def tit_for_tat(game: Game, player_id: int) -> keras.Model:
    """Cooperates first, then does what the other player did last.

    Args:
      game: a two-player game of two actions with memory-one observations.
      player_id: the seat.
    """
    return _memory_one(game, player_id, "tit_for_tat")


def grim_trigger(game: Game, player_id: int) -> keras.Model:
    """Cooperates until anyone has defected, then defects for ever.

    With a memory of one step: cooperates at the start and after mutual
    cooperation only, to which a player that defects cannot return.

    Args:
      game: a two-player game of two actions with memory-one observations.
      player_id: the seat.
    """
    return _memory_one(game, player_id, "grim_trigger")


def win_stay_lose_shift(game: Game, player_id: int) -> keras.Model:
    """Repeats its action if the other cooperated, else changes it (Pavlov).

    Args:
      game: a two-player game of two actions with memory-one observations.
      player_id: the seat.
    """
    return _memory_one(game, player_id, "win_stay_lose_shift")


def _always(game: Game, player_id: int, action: int, name: str) -> keras.Model:
    rows, num_actions = _table_shape(game, player_id)
    if action >= num_actions:
        raise ValueError(
            f"{name} takes action {action}, but player {player_id} has "
            f"{num_actions} action."
        )
    table = np.tile(np.eye(num_actions)[action], (rows, 1))
    return fixed_policy(game, player_id, table, name=name)


def _table_shape(game: Game, player_id: int) -> tuple[int, int]:
    player_id = check_player_id(player_id, check_game_type(game).num_players)
    shape = game.observation_shapes[player_id]
    num_actions = game.num_actions[player_id]
    if len(shape) != 1 or num_actions is None:
        raise ValueError(
            "A fixed policy needs one-hot observations and finitely many "
            f"actions. Player {player_id} observes shape {shape} and has "
            f"{num_actions} actions."
        )
    return shape[0], num_actions


def _memory_one(game: Game, player_id: int, name: str) -> keras.Model:
    """Builds one of the strategies of `MEMORY_ONE`."""
    player_id = check_player_id(player_id, check_game_type(game).num_players)
    if game.num_actions != (2, 2) or game.observation_shapes[player_id] != (5,):
        raise ValueError(
            f"{name} needs an iterated game of two players with two actions "
            "each and the observations [CC, CD, DC, DD, start]. Received "
            f"num_actions={game.num_actions} and observations of shape "
            f"{game.observation_shapes[player_id]}."
        )
    cooperates = np.array(MEMORY_ONE[name])
    table = np.stack([cooperates, 1.0 - cooperates], axis=1)
    return fixed_policy(game, player_id, table, name=name)


FIXED_POLICIES = {
    builder.__name__: builder
    for builder in (
        always_cooperate,
        always_defect,
        tit_for_tat,
        grim_trigger,
        win_stay_lose_shift,
        random,
    )
}
