"""Keras models with memory, as pure functions of weights and states."""

from typing import Any

import keras
import tensorflow as tf

from dice_tf.models.seat_models import SeatModel, Weights


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


class RecurrentSeatModel(SeatModel):
    """A Keras model with memory that takes the observations of a seat.

    A functional model from `[observations, state_1, ...]` to
    `[outputs, state_1, ...]`, where the states that come out are what goes in
    at the next step. Episodes start from states of zeros.

    Called on a whole sequence, it is one loop over time, differentiable to
    any order eagerly and in graphs. Under XLA on CPU the gradient of a loop
    can hang, and TensorFlow cannot vectorise it: both are to be left out.

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
        super().__init__(
            name, model, observation_shape, dtype, is_seated=is_seated
        )

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
          ValueError: if there are other leading axes.
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
        state = self.initial_state(tf.shape(observations)[1])
        # The first step stands outside the loop: its outputs show the loop what
        # to carry.
        first = self.step(weights, observations[0], state)
        if observations.shape[0] == 1:
            return first[0][tf.newaxis]

        def follow(carried, seen):
            return self.step(weights, seen, carried[1])

        later, _ = tf.scan(follow, observations[1:], first)
        return tf.concat([first[0][tf.newaxis], later], axis=0)

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

    def _pack(self, observations: tf.Tensor, state: list[tf.Tensor]):
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
