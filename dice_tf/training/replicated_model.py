"""A Keras model whose train step may run on the replicas of a strategy."""

from typing import Any

import keras

from dice_tf.training.strategies import Replicas


class ReplicatedModel(keras.Model):
    """A model that Keras trains, on the replicas of a strategy if it has one.

    Args:
      objective: whose batch is split over the replicas.
      strategy: as of `dice_tf.Trainer`.
      name: name of the model.

    Attributes:
      replicas: where the step runs.
    """

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
        if self.replicas.strategy is None:
            return super().make_train_function(force)
        if self.train_function is None or force:
            self.train_function = self.replicas.train_function(
                self.train_step, self.run_eagerly, self.steps_per_execution
            )
        return self.train_function

    def reset_metrics(self) -> None:
        """Resets the metrics, as Keras does at the start of each epoch."""
        super().reset_metrics()
        self.replicas.check_agreement(self.iterations)
