"""Networks of the Coin Game that see the torus from where they stand."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

import dice_tf

from ..settings.training_flags import GRU, MLP


@keras.saving.register_keras_serializable(package="dice_tf_experiments")
class SeenFromPlayer(keras.layers.Layer):
    """Shifts the torus so that the player stands in its first cell.

    What to do does not depend on where on the torus everything happens, and
    networks that are given cells as such do not find out: in training they
    keep taking the long way to coins at the other side of an edge.

    The first channel is the player's cell, one-hot. Observations that no play
    shows, without a player, become zeros.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self._shifts = None

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Tabulates the shifts, for inputs `[B, channels, rows, columns]`."""
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


@keras.saving.register_keras_serializable(package="dice_tf_experiments")
class ByMemory(keras.layers.Layer):
    """Gives the grid other inputs for each state of the memory.

    Of `dice_tf.games.CoinGameWithMemory`, for two players: the outer product of
    the grid and of the four things that the memory can say, one-hot. Where
    players nearly always cooperate, a network that adds up grid and memory
    never tries what it could do to a player who does not.
    """

    def call(self, observation: tf.Tensor) -> tf.Tensor:
        """Returns `[B, 4 * size of the grid]`.

        Args:
          observation: `[B, 6, rows, columns]`, two channels of which are the
            memory.
        """
        grids = observation[:, :4]
        took, other_took = tf.unstack(observation[:, 4:, 0, 0], axis=1)
        says = tf.stack(
            [
                (1.0 - took) * (1.0 - other_took),
                (1.0 - took) * other_took,
                took * (1.0 - other_took),
                took * other_took,
            ],
            axis=1,
        )
        flat = tf.reshape(grids, [-1, 1, int(np.prod(grids.shape[1:]))])
        product = says[:, :, tf.newaxis] * flat
        return tf.reshape(product, [-1, 4 * flat.shape[2]])


def build_network(
    game: dice_tf.games.Game, kind: str, units: int, num_outputs: int
) -> keras.Model:
    """Returns a policy or a critic of a Coin Game, for either seat.

    Networks without memory see all from where the player stands, and the grid
    apart for each state of the memory that the game shows. Those with memory
    see the grid as it is, too: they have to find out who stands where
    a coin lay.

    Args:
      game: with channels first; for `"mlp"` one that shows the memory.
      kind: `"mlp"`, two dense layers; `"gru"`, a gated recurrent unit behind a
        dense layer; or `"min_gru"`, two minimal ones, each behind a dense
        layer.
      units: size of all layers.
      num_outputs: number of logits, or of values.

    Returns:
      A `keras.Model` from `[B, channels, rows, columns]`, and with memory
      states, to `[B, num_outputs]`, and with memory the states that follow.
    """
    dtype = game.dtype.name
    observation = keras.Input(
        game.observation_shapes[0], dtype=dtype, name="observation"
    )

    def dense(size: int, activation: str | None = "tanh") -> Any:
        return keras.layers.Dense(size, activation, dtype=dtype)

    outputs = dense(num_outputs, None)
    if kind == MLP:
        x = ByMemory(dtype=dtype)(SeenFromPlayer(dtype=dtype)(observation))
        x = dense(units)(dense(units)(x))
        return keras.Model(observation, outputs(x))
    views = _both_views(observation)
    if kind == GRU:
        state = keras.Input((units,), dtype=dtype, name="state")
        cell = keras.layers.GRUCell(units, dtype=dtype)
        x, after = cell(dense(units)(views(observation)), state)
        return keras.Model([observation, state], [outputs(x), after])
    layers = [views]
    for _ in range(2):
        layers += [dense(units), dice_tf.layers.MinGRU(units, dtype=dtype)]
    network = dice_tf.layers.MemoryNetwork([*layers, outputs], dtype=dtype)
    states = [
        keras.Input((size,), dtype=dtype, name=f"state_{number}")
        for number, size in enumerate(network.state_size)
    ]
    x, after = network(observation, states)
    return keras.Model([observation, *states], [x, *after])


def _both_views(observation: keras.KerasTensor) -> keras.Model:
    """Returns a model that flattens the grid as it is, and as it is seen."""
    dtype = observation.dtype
    seen = SeenFromPlayer(dtype=dtype)(observation)
    views = keras.layers.Concatenate(axis=1, dtype=dtype)([observation, seen])
    return keras.Model(observation, keras.layers.Flatten(dtype=dtype)(views))
