"""The variables of one player, stacked over independent runs."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf


class Player(keras.layers.Layer):
    """Holds what training changes of one player, for all runs at once.

    Every variable has a leading axis of `num_seeds` runs.

    Args:
      params: per run, the initial parameters of the policy.
      critic_params: per run, those of the critic (empty lists without one).
      learner_states: per run, what the learner remembers at first.
      trainable: whether the policy learns.
      name: name of the layer.

    Attributes:
      params: list of Keras variables `[num_seeds, ...]`.
      critic_params: the same, of the critic.
    """

    def __init__(
        self,
        params: Sequence[list[Any]],
        critic_params: Sequence[list[Any]],
        learner_states: Sequence[Any],
        trainable: bool,
        name: str,
    ):
        super().__init__(name=name, trainable=trainable)
        self.params = self._stack("parameter", params, trainable)
        self.critic_params = self._stack("critic", critic_params, trainable)
        self._state_structure = learner_states[0]
        self._state_variables = self._stack(
            "learner_state",
            [tf.nest.flatten(state) for state in learner_states],
            trainable=False,
        )
        self.built = True

    def _stack(
        self, name: str, runs: Sequence[list[Any]], trainable: bool
    ) -> list[keras.Variable]:
        variables = []
        for index, values in enumerate(zip(*runs, strict=True)):
            stacked = np.stack([np.asarray(value) for value in values])
            variable = self.add_weight(
                name=f"{name}_{index}",
                shape=stacked.shape,
                dtype=stacked.dtype.name,
                initializer="zeros",
                trainable=trainable,
            )
            variable.assign(stacked)
            variables.append(variable)
        return variables

    @property
    def learner_state(self) -> Any:
        """Nest of tensors `[num_seeds, ...]`."""
        return tf.nest.pack_sequence_as(
            self._state_structure,
            [tf.convert_to_tensor(v) for v in self._state_variables],
        )

    def assign_learner_state(self, state: Any) -> None:
        """Stores what the learner remembers."""
        for variable, value in zip(
            self._state_variables, tf.nest.flatten(state), strict=True
        ):
            variable.assign(value)
