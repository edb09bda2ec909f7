"""Networks of the Coin Game that see the torus from where they stand."""

from typing import Any

import keras

import dice_tf

from ..settings.training_flags import GRU, MLP


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
        x = dice_tf.layers.SeenFromPlayer(dtype=dtype)(observation)
        x = dice_tf.layers.ByCoinMemory(dtype=dtype)(x)
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
    seen = dice_tf.layers.SeenFromPlayer(dtype=dtype)(observation)
    views = keras.layers.Concatenate(axis=1, dtype=dtype)([observation, seen])
    return keras.Model(observation, keras.layers.Flatten(dtype=dtype)(views))
