"""Several players' optimisers, as Keras callbacks meet them."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


class JointOptimizer(keras.optimizers.Optimizer):
    """Stands for one optimiser per player where Keras expects a single one.

    It moves nothing: each player's optimiser does. Keras' callbacks find them
    in `optimizers`, as they do those of a `keras.optimizers.MultiOptimizer`,
    so that `LearningRateScheduler` and `ReduceLROnPlateau` set the rate of
    each from its own. Versions of Keras that do not look there set
    `learning_rate`: that of the first, and those of the others in proportion.

    Args:
      optimizers: the optimisers, built.
      variables: what each of them moves.

    Attributes:
      optimizers: the optimisers.
    """

    def __init__(
        self,
        optimizers: Sequence[keras.optimizers.Optimizer],
        variables: Sequence[Sequence[keras.Variable]],
    ):
        super().__init__(learning_rate=0.0, name="joint_optimizer")
        self.optimizers = list(optimizers)
        self._moved = [list(own) for own in variables]
        self.built = True

    @property
    def variables(self) -> list[keras.Variable]:
        return [x for own in self.optimizers for x in own.variables]

    @property
    def iterations(self) -> keras.Variable:
        return self.optimizers[0].iterations

    @property
    def learning_rate(self) -> Any:
        return self.optimizers[0].learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        first = float(tf.convert_to_tensor(self.learning_rate))
        for own in self.optimizers[1:]:
            rate = float(tf.convert_to_tensor(own.learning_rate))
            own.learning_rate = rate * value / first if first else value
        self.optimizers[0].learning_rate = value

    def finalize_variable_values(self, var_list: Any) -> None:
        del var_list
        for own, moved in zip(self.optimizers, self._moved, strict=True):
            own.finalize_variable_values(moved)

    # What they remember is saved with each of them.
    def save_own_variables(self, store: Any) -> None:
        del store

    def load_own_variables(self, store: Any) -> None:
        del store
