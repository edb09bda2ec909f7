"""Policy networks with memory: gated recurrent units and LSTM."""

import keras

from dice_tf.checks import MOST_UNITS, check_name, check_whole_number
from dice_tf.games.game import Game
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
    observation, num_outputs = seat_input(game, player_id)
    cell = keras.layers.GRUCell(
        check_whole_number("units", units, 1, MOST_UNITS), dtype=game.dtype.name
    )
    name = check_name("name", name) or f"gru_policy_{player_id}"
    policy = cell_network(observation, cell, num_outputs, name)
    return seated(policy, game, player_id)


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
    observation, num_outputs = seat_input(game, player_id)
    cell = keras.layers.LSTMCell(
        check_whole_number("units", units, 1, MOST_UNITS), dtype=game.dtype.name
    )
    name = check_name("name", name) or f"lstm_policy_{player_id}"
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
      cell: a Keras cell, with states of rank 1.
      num_outputs: number of outputs.
      name: name of the model.

    Returns:
      A `keras.Model` from `[observation, *states]` to `[outputs, *states]`.
    """
    sizes = cell.state_size
    sizes = sizes if isinstance(sizes, (list, tuple)) else [sizes]
    states = [
        keras.Input((size,), dtype=observation.dtype, name=f"state_{number}")
        for number, size in enumerate(sizes)
    ]
    x = observation
    if len(x.shape) > 2:
        x = keras.layers.Flatten(dtype=x.dtype)(x)
    features, following = cell(x, states)
    outputs = dense_stack(features, (), "linear", num_outputs)
    return keras.Model([observation, *states], [outputs, *following], name=name)
