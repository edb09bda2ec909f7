"""Layers that show networks the Coin Game as players see it."""

import math

import keras
import numpy as np
import tensorflow as tf

# Of one player and one coin for each of two players, and of the memory.
_GRID_CHANNELS, _ALL_CHANNELS = 4, 6


@keras.saving.register_keras_serializable(package="dice_tf")
class SeenFromPlayer(keras.layers.Layer):
    """Shifts the torus so that the player stands in its first cell.

    What to do in the Coin Game does not depend on where on the torus everything
    happens, and networks that are given cells as such do not find out: in
    training they keep taking the long way to coins at the other side of an
    edge.

    It takes and returns `[B, channels, rows, columns]`. The first channel is
    the player's cell, one-hot. Observations that no play shows, without a
    player, become zeros. The layer has no weights.

    Args:
      **kwargs: as of `keras.layers.Layer`.

    Raises:
      ValueError: if inputs are not a grid of as many rows as columns, with
        channels first.

    Example:
      >>> game = dice_tf.games.CoinGame(episode_length=50)
      >>> inputs = keras.Input(game.observation_shapes[0])
      >>> x = dice_tf.layers.SeenFromPlayer()(inputs)
      >>> x = keras.layers.Dense(64, "tanh")(keras.layers.Flatten()(x))
      >>> policy = keras.Model(inputs, keras.layers.Dense(4)(x))
    """

    _shifts: np.ndarray

    def build(self, input_shape: tuple[int | None, int, int, int]) -> None:
        """Tabulates the shifts.

        Args:
          input_shape: `(None, channels, rows, columns)`.
        """
        _check_grid(self, input_shape)
        size = input_shape[-1]
        rows, columns = np.divmod(np.arange(size**2), size)
        row = np.subtract.outer(rows, rows).T % size
        column = np.subtract.outer(columns, columns).T % size
        # By cell of the player, from each cell to where it is seen.
        self._shifts = np.eye(size**2)[size * row + column]
        super().build(input_shape)

    def call(self, observation: tf.Tensor) -> tf.Tensor:
        """Returns the observation as the player sees it, of the same shape."""
        num_cells = len(self._shifts)
        grids = tf.reshape(observation, [-1, observation.shape[1], num_cells])
        shifts = tf.tensordot(
            grids[:, 0], tf.constant(self._shifts, grids.dtype), 1
        )
        shifted = tf.matmul(grids, shifts)
        return tf.reshape(shifted, [-1, *observation.shape[1:]])


@keras.saving.register_keras_serializable(package="dice_tf")
class ByCoinMemory(keras.layers.Layer):
    """Gives the grid other inputs for each state of the memory.

    Of `dice_tf.games.CoinGameWithMemory`, for two players: the outer product of
    the grid and of the four things that the memory can say, one-hot. Where
    players nearly always cooperate, a network that adds up grid and memory
    never tries what it could do to a player who does not.

    It takes `[B, 6, rows, columns]`, two channels of which are the memory, and
    returns `[B, 4 * size of the grid]`. The layer has no weights.

    Args:
      **kwargs: as of `keras.layers.Layer`.

    Raises:
      ValueError: if inputs are not such observations.

    Example:
      >>> grid_game = dice_tf.games.CoinGame(episode_length=50)
      >>> game = dice_tf.games.CoinGameWithMemory(grid_game)
      >>> inputs = keras.Input(game.observation_shapes[0])
      >>> x = dice_tf.layers.SeenFromPlayer()(inputs)
      >>> x = dice_tf.layers.ByCoinMemory()(x)
      >>> x.shape
      (None, 144)
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Checks the inputs.

        Args:
          input_shape: `(None, 6, rows, columns)`.
        """
        _check_grid(self, input_shape)
        if input_shape[1] != _ALL_CHANNELS:
            raise ValueError(
                f"`{self.name}` must be given {_ALL_CHANNELS} channels, those "
                "of a CoinGameWithMemory of two players. Received inputs of "
                f"shape {tuple(input_shape)}."
            )
        super().build(input_shape)

    def call(self, observation: tf.Tensor) -> tf.Tensor:
        """Returns `[B, 4 * size of the grid]`.

        Args:
          observation: `[B, 6, rows, columns]`.
        """
        grids = observation[:, :_GRID_CHANNELS]
        took, other_took = tf.unstack(
            observation[:, _GRID_CHANNELS:, 0, 0], axis=1
        )
        says = tf.stack(
            [
                (1.0 - took) * (1.0 - other_took),
                (1.0 - took) * other_took,
                took * (1.0 - other_took),
                took * other_took,
            ],
            axis=1,
        )
        flat = tf.reshape(grids, [-1, 1, math.prod(grids.shape[1:])])
        product = says[:, :, tf.newaxis] * flat
        return tf.reshape(product, [-1, 4 * flat.shape[2]])


def _check_grid(
    layer: keras.layers.Layer, input_shape: tuple[int | None, ...]
) -> None:
    is_grid = len(input_shape) == 4 and input_shape[2] == input_shape[3]
    if not is_grid or None in input_shape[1:]:
        raise ValueError(
            f"`{layer.name}` must be given a grid of as many rows as columns, "
            "[B, channels, rows, columns]. Received inputs of shape "
            f"{tuple(input_shape)}."
        )
