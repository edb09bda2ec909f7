"""Policy networks for observations that are images."""

from collections.abc import Sequence

import keras

from dice_tf.checks import (
    MOST_UNITS,
    check_activation,
    check_name,
    check_sizes,
    check_whole_number,
)
from dice_tf.games.game import Game
from dice_tf.policies.action_masks import seated
from dice_tf.policies.networks import dense_stack, seat_input

# Of a filter, and columns.
MOST_ROWS = 255


def convolutional(
    game: Game,
    player_id: int,
    *,
    filters: Sequence[int] = (16, 32),
    kernel_size: int = 3,
    hidden_units: Sequence[int] = (64,),
    activation: str = "tanh",
    name: str | None = None,
) -> keras.Model:
    """A convolutional policy, from images to logits.

    Observations are `[channels, height, width]`, as those of the Coin Game.
    Layers of convolution keep height and width (zeros stand around the
    image), dense ones follow.

    Args:
      game: a game with observations of rank 3 and finitely many actions.
      player_id: the seat.
      filters: number of filters of each layer of convolution.
      kernel_size: height and width of each filter.
      hidden_units: width of each dense layer.
      activation: a Keras activation, of all layers but the last. It is
        differentiated twice, so that a piecewise linear one loses curvature.
      name: name of the model.

    Returns:
      A `keras.Model` from `[B, channels, height, width]` to
      `[B, num_outputs]`, with one output (the log-odds of action 0) for two
      actions, else one logit per action.

    Raises:
      TypeError: if a number is of the wrong type.
      ValueError: if the seat does not exist, has no finite set of actions, or
        does not observe images.

    Example:
      >>> game = dice_tf.games.CoinGame()
      >>> policy = dice_tf.policies.convolutional(game, 0, filters=(16,))
    """
    inputs, num_outputs = seat_input(game, player_id)
    if len(inputs.shape) != 4:
        raise ValueError(
            "`game` must show its players images of shape [channels, height, "
            f"width]. Received observations of shape {inputs.shape[1:]} of "
            f"player {player_id}: use dice_tf.policies.mlp."
        )
    dtype = inputs.dtype
    # TensorFlow's convolutions on a CPU want the channels last.
    x = keras.layers.Permute((2, 3, 1), dtype=dtype)(inputs)
    check_activation("activation", activation)
    for size in check_sizes("filters", filters, MOST_UNITS):
        x = keras.layers.Conv2D(
            size,
            check_whole_number("kernel_size", kernel_size, 1, MOST_ROWS),
            padding="same",
            activation=activation,
            dtype=dtype,
        )(x)
    outputs = dense_stack(x, hidden_units, activation, num_outputs)
    name = check_name("name", name) or f"convolutional_policy_{player_id}"
    policy = keras.Model(inputs, outputs, name=name)
    return seated(policy, game, player_id)
