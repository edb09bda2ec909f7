"""Keras models with memory, as pure functions of weights and states."""

import functools
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dice_tf.kernels.scans import scan
from dice_tf.models.memory_layers import MemoryLayer
from dice_tf.models.seat_models import SeatModel, Weights, all_layers

# Of a sequence that shows whether a layer does over time what its steps do.
_CHECKED_STEPS = 5


def seat_model(
    name: str,
    model: keras.Model,
    observation_shape: tuple[int, ...],
    dtype: tf.DType,
    *,
    is_seated: bool = True,
) -> SeatModel:
    """Returns a model in a seat, with memory if it has several inputs.

    Args:
      name: how errors name the model.
      model: a `keras.Model` from observations to one tensor, or from
        observations and states to one tensor and the states that follow.
      observation_shape: shape of one observation.
      dtype: as of `SeatModel`.
      is_seated: as of `SeatModel`.

    Raises:
      TypeError, ValueError: as of `SeatModel` and `RecurrentSeatModel`.
    """
    kind = RecurrentSeatModel if has_memory(model) else SeatModel
    return kind(name, model, observation_shape, dtype, is_seated=is_seated)


def has_memory(model: keras.Model) -> bool:
    """Returns whether a model takes states beside its observations."""
    return len(getattr(model, "inputs", None) or ()) > 1


def _memory_layer(model: keras.Model) -> MemoryLayer | None:
    """Returns the one layer that a model consists of, if it is such a layer."""
    operations = [
        operation
        for operation in model.operations
        if not isinstance(operation, keras.layers.InputLayer)
    ]
    is_one = len(operations) == 1 and isinstance(operations[0], MemoryLayer)
    return operations[0] if is_one else None


class RecurrentSeatModel(SeatModel):
    """A Keras model with memory that takes the observations of a seat.

    A functional model from `[observations, state_1, ...]` to
    `[outputs, state_1, ...]`, where the states that come out are what goes in
    at the next step. Episodes start from states of zeros.

    Called on a whole sequence, a model of one `dice_tf.layers.MemoryLayer`
    evaluates it at once. Any other is one `dice_tf.scan` over time: XLA
    compiles derivatives of every order, and `tf.vectorized_map` maps them.

    Args:
      name: how errors name the model.
      model: the `keras.Model`.
      observation_shape: shape of one observation.
      dtype: as of `SeatModel`.
      is_seated: as of `SeatModel`.

    Attributes:
      state_specs: `tf.TensorSpec` of each state, `[None, ...]`.

    Raises:
      RuntimeError, TypeError: as of `SeatModel`.
      ValueError: if it does not take such observations, or its states do not
        come out as they go in.
    """

    has_memory = True

    def __init__(
        self,
        name: str,
        model: keras.Model,
        observation_shape: tuple[int, ...],
        dtype: tf.DType,
        *,
        is_seated: bool = True,
    ):
        self.state_specs = [
            tf.TensorSpec(state.shape, state.dtype)
            for state in model.inputs[1:]
        ]
        found = [
            tf.TensorSpec(state.shape, state.dtype)
            for state in model.outputs[1:]
        ]
        is_free = all(
            spec.shape.rank and spec.shape[1:].is_fully_defined()
            for spec in self.state_specs
        )
        if not is_free or not _follow_on(self.state_specs, found):
            raise ValueError(
                f"`{name}` ({model.name!r}) has several inputs, which makes "
                "it a model with memory: its outputs must be [outputs, "
                "*states], where the states have the shapes [None, ...] and "
                "dtypes of the inputs after the first, the observation. Only "
                "a floating dtype may be another floating one. "
                f"Received the states {_describe(self.state_specs)} and "
                f"returned {_describe(found)}."
            )
        self._memory = _memory_layer(model)
        super().__init__(
            name, model, observation_shape, dtype, is_seated=is_seated
        )
        if self._memory is not None:
            self._check_over_time(self._memory, dtype)

    def initial_state(self, batch_size: int) -> list[tf.Tensor]:
        return [
            tf.zeros([batch_size, *spec.shape[1:]], spec.dtype)
            for spec in self.state_specs
        ]

    def step(
        self, weights: Weights, observations: tf.Tensor, state: list[tf.Tensor]
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        returned, _ = self.model.stateless_call(
            weights.params,
            weights.non_trainable,
            self._pack(observations, state),
        )
        outputs, state = self._unpack(returned)
        return self._in_seat(outputs), state

    def __call__(self, weights: Weights, observations: tf.Tensor) -> tf.Tensor:
        """Evaluates the model from the start of episodes on.

        Args:
          weights: values for the model's variables.
          observations: `[B, ...]`, of the first step, or `[T, B, ...]`.

        Returns:
          `[B, num_outputs]` or `[T, B, num_outputs]`, differentiable in the
          weights.

        Raises:
          ValueError: if there are other leading axes, or no steps.
        """
        num_leading = observations.shape.rank - len(self._observation_shape)
        if num_leading == 1:
            state = self.initial_state(tf.shape(observations)[0])
            return self.step(weights, observations, state)[0]
        if num_leading != 2:
            raise ValueError(
                f"`{self.name}` ({self.model.name!r}) has memory and needs "
                "observations [B, ...] or [T, B, ...]. Received shape "
                f"{tuple(observations.shape)}."
            )
        if self._memory is not None and observations.shape[0] is not None:
            return self._over_time(self._memory, weights, observations)
        return self._in_a_loop(weights, observations)

    def _over_time(
        self, memory: MemoryLayer, weights: Weights, observations: tf.Tensor
    ) -> tf.Tensor:
        """Evaluates a sequence `[T, B, ...]` by the layer that can."""
        model = self.model
        variables = [*model.trainable_variables, *model.non_trainable_variables]
        values = [*weights.params, *weights.non_trainable]
        observations = tf.cast(observations, model.inputs[0].dtype)
        with keras.StatelessScope(zip(variables, values, strict=True)):
            outputs = memory.over_time(observations)
        return self._in_seat(outputs)

    def _in_a_loop(
        self, weights: Weights, observations: tf.Tensor
    ) -> tf.Tensor:
        """Evaluates a sequence `[T, B, ...]` step by step."""

        def cell(
            weights: Weights, state: list[tf.Tensor], seen: tf.Tensor
        ) -> tuple[list[tf.Tensor], tf.Tensor]:
            outputs, state = self.step(weights, seen, state)
            return state, outputs

        batch_size = observations.shape[1] or tf.shape(observations)[1]
        state = self.initial_state(batch_size)
        _, outputs = scan(cell, weights, state, observations)
        return outputs

    def _check_over_time(self, memory: MemoryLayer, dtype: tf.DType) -> None:
        """Raises if a layer's `over_time` is not what its steps are.

        Nothing is checked in a graph.
        """
        if not tf.executing_eagerly():
            return
        shape = [_CHECKED_STEPS, 2, *self._observation_shape]
        drawn = np.random.default_rng(0).normal(size=shape)
        observations, weights = tf.cast(drawn, dtype), self.weights()
        expected, found = (
            np.asarray(evaluate(weights, observations), np.float64)
            for evaluate in (
                self._in_a_loop,
                functools.partial(self._over_time, memory),
            )
        )
        computed = {
            tf.as_dtype(layer.compute_dtype).size
            for layer in all_layers(self.model)
        }
        tolerance = 1e-3 if min(computed) >= 4 else 5e-2
        is_same = found.shape == expected.shape and np.allclose(
            found, expected, rtol=tolerance, atol=tolerance, equal_nan=True
        )
        # A model that has diverged is refused for that, and elsewhere.
        if np.all(np.isfinite(expected)) and not is_same:
            raise ValueError(
                f"`{self.name}` ({self.model.name!r}) must put out over a "
                "sequence what it puts out step by step, but `over_time` of "
                f"its {type(memory).__name__} "
                f"{memory.name!r} returns something else. The states "
                "are 0 before the first step, and the model passes inputs, "
                "outputs and states on as they are."
            )

    def sequence(self, observations: tf.Tensor) -> tf.Tensor:
        # Several steps: outputs then depend on what is remembered.
        return tf.stack([observations, observations[::-1], observations])

    def _first_outputs(self, observations: tf.Tensor) -> tf.Tensor:
        return keras.tree.flatten(self._current_outputs(observations))[0]

    def _current_outputs(self, observations: tf.Tensor) -> Any:
        state = self.initial_state(observations.shape[0])
        return self.model(self._pack(observations, state))

    def current_step(
        self, observations: tf.Tensor, state: list[tf.Tensor]
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Returns what `step` does with the current values of variables."""
        return self._unpack(self.model(self._pack(observations, state)))

    def _pack(self, observations: tf.Tensor, state: list[tf.Tensor]) -> Any:
        """Returns what the model is called on, nested as its inputs are."""
        return keras.tree.pack_sequence_as(
            self.model.input, [observations, *state]
        )

    def _unpack(self, returned: Any) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Returns outputs, and states in the dtypes in which they go in."""
        outputs, *state = keras.tree.flatten(returned)
        # In mixed precision they come out in the dtype of the computation.
        return outputs, [
            tf.cast(after, spec.dtype)
            for after, spec in zip(state, self.state_specs, strict=True)
        ]


def _follow_on(
    expected: list[tf.TensorSpec], found: list[tf.TensorSpec]
) -> bool:
    """Returns whether what comes out can go in at the next step."""
    return len(expected) == len(found) and all(
        one.shape == two.shape
        and (
            one.dtype == two.dtype
            or (one.dtype.is_floating and two.dtype.is_floating)
        )
        for one, two in zip(expected, found, strict=True)
    )


def _describe(specs: list[tf.TensorSpec]) -> str:
    found = [f"{spec.dtype.name} {tuple(spec.shape)}" for spec in specs]
    return f"[{', '.join(found)}]"
