"""What the trainer records while it trains."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from dice_tf.learners.learner import Learner
from dice_tf.policies.sampling import nan_where
from dice_tf.training.iteration import PlayerResult


class StepMeans(keras.metrics.Metric):
    """Means of several scalars over the steps of an epoch, in one variable.

    Args:
      names: names of the scalars, in their order in `update_state`.
    """

    def __init__(self, names: Sequence[str]):
        super().__init__(name="step_means")
        self.names = tuple(names)
        self.total = self.add_variable(
            (len(self.names),),
            initializer="zeros",
            aggregation="only_first_replica",
            name="total",
        )
        self.count = self.add_variable(
            (),
            initializer="zeros",
            aggregation="only_first_replica",
            name="count",
        )

    def update_state(self, values: tf.Tensor) -> None:
        """Adds one step's scalars, `[len(names)]`."""
        self.total.assign_add(values)
        self.count.assign_add(1.0)

    def result(self) -> dict[str, tf.Tensor]:
        """Returns the mean of each scalar by name."""
        means = self.total / tf.maximum(tf.convert_to_tensor(self.count), 1.0)
        return dict(zip(self.names, tf.unstack(means), strict=True))


class Curves:
    """Reported returns of every iteration, run and player.

    Args:
      num_seeds: number of runs.
      num_players: number of players.
    """

    def __init__(self, num_seeds: int, num_players: int):
        self.variable = tf.Variable(
            tf.zeros([0, num_seeds, num_players]),
            shape=[None, num_seeds, num_players],
            trainable=False,
            name="curves",
        )

    @property
    def num_rows(self) -> int:
        """Number of iterations for which there is room."""
        return self.variable.value().shape[0]

    def reserve(self, num_iterations: int) -> None:
        """Makes room in advance, since a compiled step changes no shapes."""
        missing = num_iterations - self.num_rows
        if missing > 0:
            held = self.variable.value()
            self.variable.assign(tf.pad(held, [[0, missing], [0, 0], [0, 0]]))

    def write(self, iterations: tf.Tensor, returns: tf.Tensor) -> None:
        """Records float32 `[n, num_seeds, num_players]` at n iterations."""
        self.variable.scatter_update(tf.IndexedSlices(returns, iterations))

    def read(self, num_iterations: int) -> np.ndarray:
        """Returns `[num_iterations, num_seeds, num_players]`."""
        return self.variable.numpy()[:num_iterations]

    def restore(self, curves: np.ndarray, num_made: int) -> None:
        """Replaces the curves, and keeps the room behind those of now.

        Args:
          curves: `[iterations, num_seeds, num_players]`, which `read` returned.
          num_made: number of iterations made until now. There is room for as
            many more as before.
        """
        num_coming = self.num_rows - num_made
        self.variable.assign(curves)
        self.reserve(len(curves) + num_coming)


def metric_names(learners: Sequence[Learner | None]) -> list[str]:
    """Returns the names of the scalars that are logged, in order."""
    names = ["joint/return"]
    for player_id, learner in enumerate(learners):
        measured = () if learner is None else learner.metric_names
        names += [
            f"player_{player_id}/{quantity}"
            for quantity in ("return", "entropy", "gradient_norm", *measured)
        ]
    return [*names, "loss"]


def iteration_scalars(results: Sequence[PlayerResult]) -> tf.Tensor:
    """Returns the scalars of `metric_names`, means over runs, float32.

    A scalar that is not finite in one run is NaN. The last one is for
    callbacks that look for a `loss`: minus the joint return, and NaN as soon
    as another scalar is NaN.

    Args:
      results: one per player, tensors with a leading axis of runs.
    """
    returns = [result.reported_return for result in results]
    scalars = [tf.add_n(returns) / len(results)]
    for result in results:
        scalars += [
            result.reported_return,
            result.entropy,
            result.gradient_norm,
            *result.learner_metrics,
        ]
    means = tf.stack([tf.cast(tf.reduce_mean(x), tf.float32) for x in scalars])
    means = nan_unless_finite(means)
    has_nan = tf.reduce_any(tf.math.is_nan(means))
    loss = nan_where(has_nan, -means[0])
    return tf.concat([means, [loss]], axis=0)


def nan_unless_finite(x: tf.Tensor) -> tf.Tensor:
    """Returns the numbers, with NaN in place of infinity."""
    return nan_where(tf.math.is_inf(x), x)
