"""What one program of a trainer does: some iterations, and all they read."""

import functools
from collections.abc import Sequence

import keras
import tensorflow as tf

from dice_tf.kernels.draws import choose_draw
from dice_tf.training.distribution import Distribution
from dice_tf.training.iteration import iteration_seeds, seeds_of_runs
from dice_tf.training.loaded_models import LoadedModels
from dice_tf.training.records import Curves, StepMeans, nan_unless_finite
from dice_tf.training.updates import PlayerUpdates

# From a function of the number of an iteration, and int32 `[num_iterations]`.
_in_a_loop = functools.partial(
    tf.map_fn, parallel_iterations=1, fn_output_signature=tf.float32
)


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

        def program(numbers: list[int] | tf.Tensor) -> tf.Tensor:
            self._models.pull()
            if is_loop:
                returns = _in_a_loop(make_iteration, numbers)
            else:
                returns = make_iteration(numbers[0])[tf.newaxis]
            self._models.push()
            return returns

        # In a loop around loops that `tf.vectorized_map` has converted, XLA
        # copies what these write at every step: five runs of networks with
        # memory would take 2.4 times as long at 50 steps an episode. There, the
        # program makes one iteration, and a loop around it that is not compiled
        # calls it. Calls that follow each other in one graph would take seconds
        # longer to start.
        is_called_for_each = self.is_compiled and self._updates.converts_loops
        is_loop = self.num_iterations > 1 and not is_called_for_each
        numbers = tf.range(self.num_iterations)
        if self.is_compiled:
            # Tracing this function adds each draw to the graph around it, and
            # the bits enter as captured inputs. Every trace therefore needs a
            # new function.
            program = tf.function(program, jit_compile=True, autograph=False)
        if is_loop:
            returns = program(numbers)
        elif self.num_iterations == 1:
            returns = program([0])
        else:
            returns = _in_a_loop(lambda number: program([number])[0], numbers)
        self._curves.write(iterations, returns)
        self._iteration.assign_add(self.num_iterations)
        return self._means.result()
