"""Layers with memory that evaluate whole sequences without a loop."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from dice_tf.checks import (
    LARGEST_SIZE,
    MOST_UNITS,
    check_kind,
    check_sizes,
    check_whole_number,
)
from dice_tf.kernels.linear_recurrences import linear_recurrence


class MemoryLayer(keras.layers.Layer):
    """A Keras cell that evaluates whole sequences at once, too.

    As of any cell, `call(inputs, states)` is one step: it returns outputs and
    the list of states that follow, and `state_size` is the size of each state
    `[B, size]`, which is 0 before the first step. Beside it, `over_time` gives
    the outputs of all steps of a sequence. Both are to be the same function;
    this is measured where a model takes a seat.

    A functional model of this one layer, from `[observation, *states]` to
    `[outputs, *states]`, is a policy or a critic with memory that is trained
    without a loop over time. Its derivatives then compile under XLA and run
    side by side in `tf.vectorized_map`. `MemoryNetwork` makes one layer of
    several.
    """

    @property
    def state_size(self) -> list[int]:
        """Returns the size of each state, a list of whole numbers."""
        raise NotImplementedError(
            f"{type(self).__name__} must define `state_size`, a list with the "
            "size of each of its states."
        )

    def over_time(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the outputs of a sequence that starts from states of 0.

        Args:
          inputs: `[T, B, ...]`. T is known.

        Returns:
          `[T, B, ...]`, what `call` returns step by step. Like it, this is a
          function of the layer's variables, differentiable in them.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must define `over_time`, which returns "
            "the outputs of a whole sequence."
        )


@keras.saving.register_keras_serializable(package="dice_tf")
class MinGRU(MemoryLayer):
    """A minimal gated recurrent unit.

    With inputs x, states h and one linear layer for both gates,

      `z_t = sigmoid(W_z x_t + b_z)`, `c_t = W_h x_t + b_h`,
      `h_t = (1 - z_t) h_{t-1} + z_t c_t`,

    elementwise in h, which is also the output. Neither gate sees the state:
    what the unit remembers is a weighted mean of candidates `c`. It computes
    the gates of a whole sequence in one matrix product. The recurrence is
    linear in h, so that `over_time` is an associative scan. Unlike a `GRUCell`
    a single layer cannot decide by what it remembers what to remember; several
    in a row can, see `MemoryNetwork`. The variant of the paper with positive
    candidates is left out: its function has no second derivative at 0.

    Args:
      units: size of the state.
      **kwargs: as of `keras.layers.Layer`.

    Raises:
      TypeError, ValueError: if `units` is not a whole number from 1 on.

    Example:
      >>> layer = dice_tf.layers.MinGRU(32)
      >>> layer.over_time(tf.ones([150, 64, 5])).shape
      TensorShape([150, 64, 32])

    References:
      Feng et al. 2024 (Were RNNs All We Needed?), section 3.1.
    """

    def __init__(self, units: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.units = check_whole_number("units", units, 1, MOST_UNITS)
        self.gates = keras.layers.Dense(
            2 * self.units, dtype=self.dtype_policy, name="gates"
        )

    @property
    def state_size(self) -> list[int]:
        return [self.units]

    def build(self, input_shape: tuple[int | None, *tuple[int, ...]]) -> None:
        """Creates the weights of the gates, for inputs `[B, ...]`."""
        self.gates.build((None, math.prod(input_shape[1:])))
        self.built = True

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}

    def call(
        self, inputs: tf.Tensor, states: list[tf.Tensor]
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Returns the state `[B, units]` of a step, as output and as state.

        Args:
          inputs: `[B, ...]`.
          states: one, `[B, units]`.
        """
        kept, added = self._gates(inputs)
        state = kept * states[0] + added
        return state, [state]

    def over_time(self, inputs: tf.Tensor) -> tf.Tensor:
        kept, added = self._gates(_in_a_row(inputs))
        return linear_recurrence(
            _in_steps(kept, inputs), _in_steps(added, inputs)
        )

    def _gates(self, inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns `1 - z` and `z c` for inputs `[B, ...]`."""
        flat = keras.ops.reshape(inputs, [-1, math.prod(inputs.shape[1:])])
        gate, candidate = keras.ops.split(self.gates(flat), 2, axis=-1)
        # Of the negative: 1 - z has few digits where z is almost 1.
        kept = keras.ops.sigmoid(-gate)
        return kept, keras.ops.sigmoid(gate) * candidate


@keras.saving.register_keras_serializable(package="dice_tf")
class StackedObservations(MemoryLayer):
    """Puts out the last observations, oldest first.

    Outputs are `[B, n, *observation_shape]` for n observations, the last of
    which is the present one. Before the start of an episode there are none:
    these are zeros. The state holds the n - 1 observations before.

    Args:
      num_observations: n, at least 2.
      observation_shape: shape of one observation.
      **kwargs: as of `keras.layers.Layer`.

    Raises:
      TypeError, ValueError: if `num_observations` is not a whole number from 2
        on, or `observation_shape` is not a list of such from 1 on.

    Example:
      >>> layer = dice_tf.layers.StackedObservations(3, (5,))
      >>> layer.over_time(tf.ones([150, 64, 5])).shape
      TensorShape([150, 64, 3, 5])

    References:
      Mnih et al. 2015 (Human-level control through deep reinforcement
      learning), where the last four images are the input.
    """

    def __init__(
        self,
        num_observations: int,
        observation_shape: Sequence[int],
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.num_observations = check_whole_number(
            "num_observations", num_observations, 2, MOST_UNITS
        )
        self.observation_shape = tuple(
            check_sizes("observation_shape", observation_shape, LARGEST_SIZE)
        )

    @property
    def state_size(self) -> list[int]:
        return [(self.num_observations - 1) * math.prod(self.observation_shape)]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_observations": self.num_observations,
            "observation_shape": self.observation_shape,
        }

    def call(
        self, inputs: tf.Tensor, states: list[tf.Tensor]
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Returns the observations `[B, n, ...]`, and those to remember.

        Args:
          inputs: `[B, *observation_shape]`.
          states: one, `[B, (n - 1) * size]`, the observations before.
        """
        flat = keras.ops.reshape(inputs, [-1, math.prod(inputs.shape[1:])])
        seen = keras.ops.concatenate([states[0], flat], axis=-1)
        shape = [-1, self.num_observations, *self.observation_shape]
        return keras.ops.reshape(seen, shape), [seen[:, flat.shape[-1] :]]

    def over_time(self, inputs: tf.Tensor) -> tf.Tensor:
        length, most = inputs.shape[0], self.num_observations - 1
        missing = tf.zeros_like(inputs[:1])
        missing = tf.tile(missing, [most, *[1] * (inputs.shape.rank - 1)])
        seen = tf.concat([missing, inputs], axis=0)
        windows = [seen[lag : lag + length] for lag in range(most + 1)]
        return tf.stack(windows, axis=2)


@keras.saving.register_keras_serializable(package="dice_tf")
class MemoryNetwork(MemoryLayer):
    """Layers one behind the other, some of which have memory.

    Its states are those of all its layers with memory, in their order.

    Args:
      layers: Keras layers and models from `[B, ...]` to `[B, ...]`; those with
        memory are `MemoryLayer`s.
      **kwargs: as of `keras.layers.Layer`.

    Raises:
      TypeError: if it is not a list, or one of them not a Keras layer.

    Example:
      >>> network = dice_tf.layers.MemoryNetwork(
      ...     [
      ...         dice_tf.layers.MinGRU(32),
      ...         keras.layers.Dense(32, activation="tanh"),
      ...         dice_tf.layers.MinGRU(32),
      ...         keras.layers.Dense(1),
      ...     ]
      ... )
      >>> observation = keras.Input((5,))
      >>> states = [keras.Input((size,)) for size in network.state_size]
      >>> outputs, following = network(observation, states)
      >>> policy = keras.Model([observation, *states], [outputs, *following])
    """

    def __init__(self, layers: Sequence[keras.layers.Layer], **kwargs: Any):
        super().__init__(**kwargs)
        check_kind("layers", layers, list | tuple, "a list of Keras layers")
        self.layers = [
            check_kind(
                f"layers[{number}]",
                layer,
                keras.layers.Layer,
                "a keras.layers.Layer or a keras.Model",
            )
            for number, layer in enumerate(layers)
        ]

    @property
    def state_size(self) -> list[int]:
        return [
            size
            for layer in self.layers
            if isinstance(layer, MemoryLayer)
            for size in layer.state_size
        ]

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Builds all layers, for inputs `[B, ...]` of the first."""
        x = keras.KerasTensor(input_shape, self.compute_dtype)
        states = [
            keras.KerasTensor((input_shape[0], size), self.compute_dtype)
            for size in self.state_size
        ]
        # Layers build what they hold when they are called.
        self._in_turn(x, states)
        self.built = True

    def get_config(self) -> dict[str, Any]:
        layers = map(keras.saving.serialize_keras_object, self.layers)
        return {**super().get_config(), "layers": list(layers)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "MemoryNetwork":
        layers = map(
            keras.saving.deserialize_keras_object, config.pop("layers")
        )
        return cls(list(layers), **config)

    def call(
        self, inputs: tf.Tensor, states: list[tf.Tensor]
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Returns the outputs of the last layer, and all states.

        Args:
          inputs: `[B, ...]`, of the first layer.
          states: one for each entry of `state_size`, `[B, size]`.
        """
        return self._in_turn(inputs, states)

    def _in_turn(self, x: Any, states: Sequence[Any]) -> tuple[Any, list[Any]]:
        remaining, following = list(states), []
        for layer in self.layers:
            if not isinstance(layer, MemoryLayer):
                x = layer(x)
                continue
            count = len(layer.state_size)
            x, after = layer(x, remaining[:count])
            following.extend(after)
            remaining = remaining[count:]
        return x, following

    def over_time(self, inputs: tf.Tensor) -> tf.Tensor:
        x = inputs
        for layer in self.layers:
            if isinstance(layer, MemoryLayer):
                x = layer.over_time(x)
            else:
                x = _in_steps(layer(_in_a_row(x)), x)
        return x


def _in_a_row(x: tf.Tensor) -> tf.Tensor:
    """Returns steps of episodes `[T, B, ...]` as one batch."""
    return tf.reshape(x, [-1, *x.shape[2:]])


def _in_steps(x: tf.Tensor, steps: tf.Tensor) -> tf.Tensor:
    """Returns a batch as steps of episodes, as many as there are in another.

    Args:
      x: `[T * B, ...]`.
      steps: `[T, B, ...]`.
    """
    return tf.reshape(x, [steps.shape[0], -1, *x.shape[1:]])
