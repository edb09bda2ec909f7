"""Critics: state values as Keras models from observations to one output."""

from collections.abc import Sequence

import keras

from dice_tf.checks import MOST_UNITS, check_name, check_whole_number
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
    game: Game, player_id: int, *, name: str | None = None
) -> keras.Model:
    """A table of values, one per observation, zero at first.

    Args:
      game: a game with observations of rank 1.
      player_id: the seat.
      name: name of the model.

    Returns:
      A `keras.Model` from `[B, num_observations]` to `[B, 1]`.
    """
    inputs = observation_input(game, player_id)
    values = keras.layers.Dense(
        1,
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
    name: str | None = None,
) -> keras.Model:
    """A multi-layer perceptron from observations to a value.

    Args:
      game: the game.
      player_id: the seat.
      hidden_units: width of each hidden layer.
      activation: a Keras activation.
      name: name of the model.

    Returns:
      A `keras.Model` from `[B, ...]` to `[B, 1]`.
    """
    inputs = observation_input(game, player_id)
    values = dense_stack(inputs, hidden_units, activation, 1)
    return keras.Model(
        inputs,
        values,
        name=check_name("name", name) or f"mlp_critic_{player_id}",
    )


def gru_critic(
    game: Game, player_id: int, *, units: int = 32, name: str | None = None
) -> keras.Model:
    """A recurrent critic of gated recurrent units.

    Args:
      game: the game.
      player_id: the seat.
      units: size of the state.
      name: name of the model.

    Returns:
      A `keras.Model` from `[observation [B, ...], state [B, units]]` to
      `[value [B, 1], state [B, units]]`, see `dice_tf.policies.gru`.
    """
    check_whole_number("units", units, 1, MOST_UNITS)
    cell = keras.layers.GRUCell(units, dtype=check_game_type(game).dtype.name)
    name = check_name("name", name) or f"gru_critic_{player_id}"
    return recurrent_critic(game, player_id, cell, name=name)


def recurrent_critic(
    game: Game,
    player_id: int,
    cell: keras.layers.Layer,
    *,
    name: str | None = None,
) -> keras.Model:
    """A recurrent critic around a cell of Keras.

    Args:
      game: the game.
      player_id: the seat.
      cell: a Keras cell, see `dice_tf.policies.recurrent`.
      name: name of the model.

    Returns:
      A `keras.Model` from `[observation [B, ...], *states]` to
      `[value [B, 1], *states]`.

    Raises:
      TypeError: if `cell` is not a cell.
      ValueError: if the cell does not start from zeros.
    """
    inputs = observation_input(game, player_id)
    name = check_name("name", name) or f"recurrent_critic_{player_id}"
    return cell_network(inputs, cell, 1, name)


def min_gru_critic(
    game: Game, player_id: int, *, units: int = 32, name: str | None = None
) -> keras.Model:
    """A recurrent critic of minimal gated recurrent units.

    Args:
      game: the game.
      player_id: the seat.
      units: size of the state.
      name: name of the model.

    Returns:
      A `keras.Model` from `[observation [B, ...], state [B, units]]` to
      `[value [B, 1], state [B, units]]`, see `dice_tf.policies.min_gru`.
    """
    inputs = observation_input(game, player_id)
    name = check_name("name", name) or f"min_gru_critic_{player_id}"
    return min_gru_network(inputs, units, 1, name)
