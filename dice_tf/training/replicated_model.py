"""A Keras model whose train step may run on the replicas of a strategy."""

from typing import Any

import keras
import tensorflow as tf

from dice_tf.training.strategies import Replicas


class ReplicatedModel(keras.Model):
    """A model that Keras trains, on the replicas of a strategy if it has one.

    Args:
      objective: whose batch is split over the replicas.
      strategy: as of `dice_tf.Trainer`.
      name: name of the model.

    Attributes:
      replicas: where the step runs.
      steps_per_program: steps that one call of `train_step` makes.
    """

    steps_per_program = 1

    def __init__(self, objective: Any, strategy: Any, name: str):
        replicas = Replicas(strategy, objective)
        with replicas.scope():
            super().__init__(name=name)
        self.replicas = replicas

    @property
    def is_chief(self) -> bool:
        """Whether this process is the one that should write files.

        Of several workers it is the first; without a strategy, and on one
        machine, it always is.
        """
        return self.replicas.is_chief

    def make_train_function(self, force: bool = False) -> Any:
        """Makes `train_function`, which Keras calls for each execution."""
        replicated = self.replicas.strategy is not None
        if not replicated and self.steps_per_program == 1:
            return super().make_train_function(force)
        if self.train_function is not None and not force:
            return self.train_function
        if replicated:
            self.train_function = self.replicas.train_function(
                self.train_step, self.run_eagerly, self.steps_per_execution
            )
        else:
            # Keras would launch a program for each step, which takes as long
            # as a small step itself. No step reads what its iterator holds.
            train = tf.function(lambda: self.train_step(None), autograph=False)
            self.train_function = lambda iterator: train()
        return self.train_function

    def reset_metrics(self) -> None:
        """Resets the metrics, as Keras does at the start of each epoch."""
        super().reset_metrics()
        self.replicas.check_agreement(self.iterations)
