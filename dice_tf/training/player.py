"""The variables of one player, stacked over independent runs."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dice_tf.training.steps import PlayerState


class Player(keras.layers.Layer):
    """Holds what training changes of one player, for all runs at once.

    Every variable has a leading axis of `num_seeds` runs.

    Args:
      runs: the state that each run starts from.
      trainable: whether the policy learns.
      name: name of the layer.

    Attributes:
      params: list of Keras variables `[num_seeds, ...]`.
      critic_params: the same, of the critic.
    """

    def __init__(
        self,
        runs: Sequence[PlayerState],
        trainable: bool,
        name: str,
    ):
        super().__init__(name=name, trainable=trainable)
        self.params = self._stack(
            "parameter", [run.params for run in runs], trainable
        )
        self.critic_params = self._stack(
            "critic", [run.critic_params for run in runs], trainable
        )
        self._memory_structure = runs[0].learner_state
        self._memory = self._stack(
            "learner_state",
            [tf.nest.flatten(run.learner_state) for run in runs],
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
                aggregation="only_first_replica",
            )
            variable.assign(stacked)
            variables.append(variable)
        return variables

    def state(self) -> PlayerState:
        """Returns all values, tensors `[num_seeds, ...]`."""
        return PlayerState(
            _values(self.params),
            _values(self.critic_params),
            tf.nest.pack_sequence_as(
                self._memory_structure, _values(self._memory)
            ),
        )

    @property
    def learner_state(self) -> Any:
        """What the learner remembers, a nest of Keras variables."""
        return tf.nest.pack_sequence_as(self._memory_structure, self._memory)

    def assign_learner_state(self, state: Any) -> None:
        """Stores what the learner remembers, tensors `[num_seeds, ...]`."""
        for variable, value in zip(
            self._memory, tf.nest.flatten(state), strict=True
        ):
            variable.assign(value)


def _values(variables: list[keras.Variable]) -> list[tf.Tensor]:
    return [tf.convert_to_tensor(variable) for variable in variables]
