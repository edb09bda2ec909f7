"""Critics: Keras models from observations to values.

A critic has one output, the value of the state. With `action_values` it has
one output per action of the seat, the value of taking that action; the value
of the state is then their mean by the policy that plays.
"""

from collections.abc import Sequence

import keras

from dice_tf.checks import (
    MOST_UNITS,
    check_flag,
    check_name,
    check_whole_number,
)
from dice_tf.games.game import Game, check_game_type
from dice_tf.policies.memory_networks import min_gru_network
from dice_tf.policies.networks import dense_stack, observation_input
from dice_tf.policies.recurrent_networks import cell_network

__all__ = [
    "gru_critic",
    "min_gru_critic",
    "mlp_critic",
    "recurrent_critic",
    "tabular_critic",
]


def tabular_critic(
    game: Game,
    player_id: int,
    *,
    action_values: bool = False,
    name: str | None = None,
) -> keras.Model:
    """A table of values of each observation, zero at first.

    Args:
      game: a game with observations of rank 1.
      player_id: the seat.
      action_values: whether it values each action instead of the state.
      name: name of the model.

    Returns:
      A `keras.Model` from `[B, num_observations]` to `[B, 1]`, or to
      `[B, num_actions]`.
    """
    inputs = observation_input(game, player_id)
    values = keras.layers.Dense(
        _num_values(game, player_id, action_values),
        use_bias=False,
        kernel_initializer="zeros",
        dtype=game.dtype.name,
        name="values",
    )(inputs)
    name = check_name("name", name) or f"tabular_critic_{player_id}"
    return keras.Model(inputs, values, name=name)


def mlp_critic(
    game: Game,
    player_id: int,
    *,
    hidden_units: Sequence[int] = (64, 64),
    activation: str = "tanh",
    action_values: bool = False,
    name: str | None = None,
) -> keras.Model:
    """A multi-layer perceptron from observations to a value.

    Args:
      game: the game.
      player_id: the seat.
      hidden_units: width of each hidden layer.
      activation: a Keras activation.
      action_values: whether it values each action instead of the state.
      name: name of the model.

    Returns:
      A `keras.Model` from `[B, ...]` to `[B, 1]`, or to `[B, num_actions]`.
    """
    inputs = observation_input(game, player_id)
    num_values = _num_values(game, player_id, action_values)
    values = dense_stack(inputs, hidden_units, activation, num_values)
    return keras.Model(
        inputs,
        values,
        name=check_name("name", name) or f"mlp_critic_{player_id}",
    )


def gru_critic(
    game: Game,
    player_id: int,
    *,
    units: int = 32,
    action_values: bool = False,
    name: str | None = None,
) -> keras.Model:
    """A recurrent critic of gated recurrent units.

    Args:
      game: the game.
      player_id: the seat.
      units: size of the state.
      action_values: whether it values each action instead of the state.
      name: name of the model.

    Returns:
      A `keras.Model` from `[observation [B, ...], state [B, units]]` to
      `[values [B, 1 or num_actions], state [B, units]]`, see
      `dice_tf.policies.gru`.
    """
    check_whole_number("units", units, 1, MOST_UNITS)
    cell = keras.layers.GRUCell(units, dtype=check_game_type(game).dtype.name)
    name = check_name("name", name) or f"gru_critic_{player_id}"
    return recurrent_critic(
        game, player_id, cell, action_values=action_values, name=name
    )


def recurrent_critic(
    game: Game,
    player_id: int,
    cell: keras.layers.Layer,
    *,
    action_values: bool = False,
    name: str | None = None,
) -> keras.Model:
    """A recurrent critic around a cell of Keras.

    Args:
      game: the game.
      player_id: the seat.
      cell: a Keras cell, see `dice_tf.policies.recurrent`.
      action_values: whether it values each action instead of the state.
      name: name of the model.

    Returns:
      A `keras.Model` from `[observation [B, ...], *states]` to
      `[values [B, 1 or num_actions], *states]`.

    Raises:
      TypeError: if `cell` is not a cell.
      ValueError: if the cell does not start from zeros.
    """
    inputs = observation_input(game, player_id)
    name = check_name("name", name) or f"recurrent_critic_{player_id}"
    num_values = _num_values(game, player_id, action_values)
    return cell_network(inputs, cell, num_values, name)


def min_gru_critic(
    game: Game,
    player_id: int,
    *,
    units: int = 32,
    action_values: bool = False,
    name: str | None = None,
) -> keras.Model:
    """A recurrent critic of minimal gated recurrent units.

    Args:
      game: the game.
      player_id: the seat.
      units: size of the state.
      action_values: whether it values each action instead of the state.
      name: name of the model.

    Returns:
      A `keras.Model` from `[observation [B, ...], state [B, units]]` to
      `[values [B, 1 or num_actions], state [B, units]]`, see
      `dice_tf.policies.min_gru`.
    """
    inputs = observation_input(game, player_id)
    name = check_name("name", name) or f"min_gru_critic_{player_id}"
    num_values = _num_values(game, player_id, action_values)
    return min_gru_network(inputs, units, num_values, name)


def _num_values(game: Game, player_id: int, action_values: bool) -> int:
    """Returns how many values a critic has of an observation.

    Raises:
      ValueError: if each action is to have one, but they are not a finite set.
    """
    if not check_flag("action_values", action_values):
        return 1
    num_actions = game.num_actions[player_id]
    if num_actions is None:
        raise ValueError(
            "`action_values` needs a finite set of actions, which player "
            f"{player_id} of this {type(game).__name__} does not have. "
            "Received: action_values=True."
        )
    return num_actions
