"""What one program of a trainer does: some iterations, and all they read."""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from dice_tf.kernels.draws import choose_draw
from dice_tf.training.distribution import Distribution
from dice_tf.training.iteration import iteration_seeds, seeds_of_runs
from dice_tf.training.loaded_models import LoadedModels
from dice_tf.training.records import Curves, StepMeans, nan_unless_finite
from dice_tf.training.updates import PlayerUpdates


class TrainingStep:
    """Makes iterations of all players in all runs, as one program.

    Everything that it reads can be reached from its attributes, and everything
    that training changes is a variable. Steps that differ in nothing but the
    values of variables can therefore share a program, see
    `dice_tf.training.programs`.

    Args:
      updates: computes iterations, and applies them.
      models: the policies and critics, which hold the loaded run.
      curves: records the returns.
      means: records what is logged.
      iteration: Keras variable, the number of iterations made so far.
      run_seeds: the seed of each run, whole numbers of any size.
      distribution: where the step runs.

    Attributes:
      num_iterations: number of iterations of one call.
      is_compiled: whether XLA compiles them.
    """

    def __init__(
        self,
        updates: PlayerUpdates,
        models: LoadedModels,
        curves: Curves,
        means: StepMeans,
        iteration: keras.Variable,
        run_seeds: Sequence[int],
        distribution: Distribution,
    ):
        self.num_iterations = 1
        self.is_compiled = False
        self._updates = updates
        self._models = models
        self._curves = curves
        self._means = means
        self._iteration = iteration
        # A variable, since trainers that differ in their seeds share programs.
        self._run_seeds = tf.Variable(
            seeds_of_runs(run_seeds), trainable=False, name="run_seeds"
        )
        self._distribution = distribution

    def make_iterations(self) -> dict[str, tf.Tensor]:
        """Makes `num_iterations` iterations, and records them.

        Returns:
          The mean of each logged scalar since the epoch began, by name.
        """
        iterations = tf.range(self.num_iterations) + tf.convert_to_tensor(
            self._iteration
        )
        seeds = iteration_seeds(
            tf.convert_to_tensor(self._run_seeds),
            iterations,
            choose_draw(self.is_compiled),
        )
        update_players = self._distribution.on_replicas(
            self._updates.update_players
        )

        def make_iteration(number: int | tf.Tensor) -> tf.Tensor:
            returns, scalars = update_players(seeds._replace(offset=number))
            self._means.update_state(scalars)
            return nan_unless_finite(tf.cast(returns, tf.float32))

        def make_one(number: int | tf.Tensor) -> tf.Tensor:
            self._models.pull()
            returns = make_iteration(number)
            self._models.push()
            return returns

        def make_all() -> tf.Tensor:
            if self.num_iterations == 1:
                return make_one(0)[tf.newaxis]
            self._models.pull()
            returns = tf.map_fn(
                make_iteration,
                tf.range(self.num_iterations),
                parallel_iterations=1,
                fn_output_signature=tf.float32,
            )
            self._models.push()
            return returns

        self._curves.write(iterations, self._run(make_one, make_all))
        self._iteration.assign_add(self.num_iterations)
        return self._means.result()

    def _run(
        self,
        make_one: Callable[[int | tf.Tensor], tf.Tensor],
        make_all: Callable[[], tf.Tensor],
    ) -> tf.Tensor:
        """Returns the returns of all iterations, from programs of XLA.

        Iterations are a loop of one program, except where each has loops that
        `tf.vectorized_map` has converted: in a loop around these, XLA copies
        what they write at every step. Five runs of networks with memory would
        take 2.4 times as long at 50 steps an episode. They are one program,
        called for each iteration.
        """
        if not self.is_compiled:
            return make_all()
        # Tracing these functions adds each draw to the graph around it, and the
        # bits enter as captured inputs. Every trace therefore needs a new
        # function.
        if self.num_iterations == 1 or not self._updates.converts_loops:
            return _compiled(make_all)()
        make_one = _compiled(make_one)
        numbers = tf.unstack(tf.range(self.num_iterations))
        return tf.stack(list(map(make_one, numbers)))


def _compiled(function: Callable) -> Callable:
    return tf.function(function, jit_compile=True, autograph=False)
