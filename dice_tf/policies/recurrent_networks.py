"""Policy networks with memory, around any recurrent cell of Keras."""

from typing import Any

import keras
import numpy as np

from dice_tf.checks import (
    MOST_UNITS,
    check_kind,
    check_name,
    check_whole_number,
    described,
    naming,
)
from dice_tf.games.game import Game, check_game_type
from dice_tf.policies.action_masks import seated
from dice_tf.policies.networks import dense_stack, seat_input


def gru(
    game: Game, player_id: int, *, units: int = 32, name: str | None = None
) -> keras.Model:
    """A recurrent policy of gated recurrent units.

    It is a functional model with explicit state,

      `[observation [B, ...], state [B, units]]
          -> [logits [B, num_outputs], state [B, units]]`,

    which starts from zeros in every episode. Any functional `keras.Model` of
    that form, with one state or several after the observation, is a policy
    with memory; a Keras cell is its core, as here.

    Args:
      game: a game with finitely many actions.
      player_id: the seat.
      units: size of the state.
      name: name of the model.

    Returns:
      A `keras.Model`, with one output (the log-odds of action 0) for two
      actions, else one logit per action.

    Raises:
      TypeError: if `units` is not a whole number.
      ValueError: if the seat does not exist or has no finite set of actions.

    References:
      Cho et al. 2014 (Learning Phrase Representations using RNN
      Encoder-Decoder for Statistical Machine Translation).
    """
    check_whole_number("units", units, 1, MOST_UNITS)
    cell = keras.layers.GRUCell(units, dtype=check_game_type(game).dtype.name)
    name = check_name("name", name) or f"gru_policy_{player_id}"
    return recurrent(game, player_id, cell, name=name)


def lstm(
    game: Game, player_id: int, *, units: int = 32, name: str | None = None
) -> keras.Model:
    """A recurrent policy of long short-term memory.

    As of `gru`, with two states of `[B, units]`: what the cell puts out, and
    what it carries.

    Args:
      game: a game with finitely many actions.
      player_id: the seat.
      units: size of each state.
      name: name of the model.

    Returns:
      A `keras.Model`, with one output (the log-odds of action 0) for two
      actions, else one logit per action.

    Raises:
      TypeError: if `units` is not a whole number.
      ValueError: if the seat does not exist or has no finite set of actions.

    References:
      Hochreiter and Schmidhuber 1997 (Long Short-Term Memory).
    """
    check_whole_number("units", units, 1, MOST_UNITS)
    cell = keras.layers.LSTMCell(units, dtype=check_game_type(game).dtype.name)
    name = check_name("name", name) or f"lstm_policy_{player_id}"
    return recurrent(game, player_id, cell, name=name)


def recurrent(
    game: Game,
    player_id: int,
    cell: keras.layers.Layer,
    *,
    name: str | None = None,
) -> keras.Model:
    """A recurrent policy around a cell of Keras, with linear outputs behind it.

    As of `gru`, with the states of the cell, which are zeros when an episode
    starts. Make a cell for each seat, in the dtype of the game.

    Args:
      game: a game with finitely many actions.
      player_id: the seat.
      cell: a Keras cell: `GRUCell`, `LSTMCell`, `SimpleRNNCell`,
        `StackedRNNCells` of such, or a layer of your own that takes inputs
        `[B, n]` and a list of states and returns features `[B, m]` and the
        states that follow, and has a `state_size` or `get_initial_state`.
      name: name of the model.

    Returns:
      A `keras.Model` from `[observation, *states]` to `[logits, *states]`.

    Raises:
      TypeError: if `cell` is not a cell.
      ValueError: if the seat does not exist or has no finite set of actions, or
        the cell does not start from zeros.

    Example:
      >>> cells = [keras.layers.GRUCell(16), keras.layers.LSTMCell(16)]
      >>> policy = dice_tf.policies.recurrent(
      ...     game, 0, keras.layers.StackedRNNCells(cells)
      ... )
      >>> [state.shape for state in policy.inputs[1:]]
      [(None, 16), (None, 16), (None, 16)]
    """
    observation, num_outputs = seat_input(game, player_id)
    name = check_name("name", name) or f"recurrent_policy_{player_id}"
    policy = cell_network(observation, cell, num_outputs, name)
    return seated(policy, game, player_id)


def cell_network(
    observation: keras.KerasTensor,
    cell: keras.layers.Layer,
    num_outputs: int,
    name: str,
) -> keras.Model:
    """Returns a model of one recurrent cell and linear outputs behind it.

    Args:
      observation: a Keras input.
      cell: as of `recurrent`.
      num_outputs: number of outputs.
      name: name of the model.

    Returns:
      A `keras.Model` from `[observation, *states]` to `[outputs, *states]`.

    Raises:
      TypeError, ValueError: as of `recurrent`.
    """
    start = _initial_state(cell)
    states = [
        keras.Input(
            np.shape(state)[1:],
            dtype=observation.dtype,
            name=f"state_{number}",
        )
        for number, state in enumerate(keras.tree.flatten(start))
    ]
    x = observation
    if len(x.shape) > 2:
        x = keras.layers.Flatten(dtype=x.dtype)(x)
    features, following = cell(x, keras.tree.pack_sequence_as(start, states))
    outputs = dense_stack(features, (), "linear", num_outputs)
    following = keras.tree.flatten(following)
    return keras.Model([observation, *states], [outputs, *following], name=name)


def _initial_state(cell: Any) -> Any:
    """Returns the states of a cell before an episode, a nest of `[1, ...]`."""
    check_kind("cell", cell, keras.layers.Layer, "a Keras cell")
    is_cell = hasattr(cell, "state_size") or hasattr(cell, "get_initial_state")
    if isinstance(cell, keras.layers.RNN) or not is_cell:
        raise TypeError(
            "`cell` must be what is done at one step, such as "
            "keras.layers.GRUCell(32), with a `state_size` or "
            "`get_initial_state`; a layer that goes over time, such as "
            f"keras.layers.GRU, is not a cell. Received: {cell!r}."
        )
    with naming("cell", cell, "a Keras cell with states of known size"):
        if hasattr(cell, "get_initial_state"):
            start = cell.get_initial_state(batch_size=1)
        else:
            start = keras.tree.map_structure(
                lambda size: np.zeros([1, size]), cell.state_size
            )
    start = start if keras.tree.is_nested(start) else [start]
    if any(np.any(state) for state in keras.tree.flatten(start)):
        raise ValueError(
            "`cell` must start from states of zeros, as episodes do. Received: "
            f"{cell!r}, which starts from {described(start)} that are not."
        )
    return start
