"""Policy networks: a table and a multi-layer perceptron."""

from collections.abc import Sequence
from typing import Any

import keras

from dice_tf.checks import (
    MOST_UNITS,
    check_activation,
    check_name,
    check_player_id,
    check_sizes,
    naming,
)
from dice_tf.games.game import Game, check_game_type
from dice_tf.policies.action_masks import seated


def tabular(
    game: Game,
    player_id: int,
    *,
    initializer: Any = None,
    name: str | None = None,
) -> keras.Model:
    """A table of logits, one row per observation.

    With one-hot observations `o` the outputs are `o @ theta`: one log-odds of
    action 0 per observation where the player has two actions, else one logit
    per action.

    Args:
      game: a game with observations of rank 1 and finitely many actions.
      player_id: the seat.
      initializer: a Keras initializer of theta. Default: uniform on (-1, 1).
      name: name of the model.

    Returns:
      A `keras.Model` from `[B, num_observations]` to `[B, num_outputs]` with
      the single trainable variable theta.

    Raises:
      ValueError: if the seat does not exist or has no finite set of actions.
    """
    if initializer is None:
        initializer = keras.initializers.RandomUniform(-1.0, 1.0)
    inputs, num_outputs = seat_input(game, player_id)
    with naming("initializer", initializer, "a Keras initializer"):
        outputs = keras.layers.Dense(
            num_outputs,
            use_bias=False,
            kernel_initializer=initializer,
            dtype=game.dtype.name,
            name="logits",
        )(inputs)
    name = check_name("name", name) or f"tabular_policy_{player_id}"
    policy = keras.Model(inputs, outputs, name=name)
    return seated(policy, game, player_id)


def mlp(
    game: Game,
    player_id: int,
    *,
    hidden_units: Sequence[int] = (64, 64),
    activation: str = "tanh",
    name: str | None = None,
) -> keras.Model:
    """A multi-layer perceptron from observations to logits.

    Args:
      game: a game with finitely many actions.
      player_id: the seat.
      hidden_units: width of each hidden layer.
      activation: a Keras activation. It is differentiated twice, so that a
        piecewise linear one loses curvature.
      name: name of the model.

    Returns:
      A `keras.Model` from `[B, ...]` to `[B, num_outputs]`, with one output
      (the log-odds of action 0) for two actions, else one logit per action.

    Raises:
      ValueError: if the seat does not exist or has no finite set of actions.
    """
    inputs, num_outputs = seat_input(game, player_id)
    outputs = dense_stack(inputs, hidden_units, activation, num_outputs)
    name = check_name("name", name) or f"mlp_policy_{player_id}"
    policy = keras.Model(inputs, outputs, name=name)
    return seated(policy, game, player_id)


def dense_stack(
    inputs: keras.KerasTensor,
    hidden_units: Sequence[int],
    activation: str,
    num_outputs: int,
) -> keras.KerasTensor:
    """Returns `num_outputs` linear outputs behind dense hidden layers."""
    x = inputs
    if len(inputs.shape) > 2:
        x = keras.layers.Flatten(dtype=inputs.dtype)(x)
    check_activation("activation", activation)
    for units in check_sizes("hidden_units", hidden_units, MOST_UNITS):
        x = keras.layers.Dense(
            units, activation=activation, dtype=inputs.dtype
        )(x)
    return keras.layers.Dense(num_outputs, dtype=inputs.dtype)(x)


def observation_input(game: Game, player_id: int) -> keras.KerasTensor:
    """Returns a Keras input for the observations of a seat."""
    player_id = check_player_id(player_id, check_game_type(game).num_players)
    return keras.Input(
        game.observation_shapes[player_id],
        dtype=game.dtype.name,
        name="observation",
    )


def seat_input(game: Game, player_id: int) -> tuple[keras.KerasTensor, int]:
    """Returns a Keras input and the number of outputs that fit a seat."""
    inputs = observation_input(game, player_id)
    num_actions = game.num_actions[player_id]
    if num_actions is None:
        raise ValueError(
            f"Player {player_id} has no finite set of actions: bring a "
            "keras.Model and attach a head with dice_tf.policies.with_head."
        )
    return inputs, 1 if num_actions == 2 else num_actions
