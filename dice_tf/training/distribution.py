"""Where a training step runs: once, or on all replicas of a strategy."""

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from dice_tf.objectives.episode_groups import check_groups
from dice_tf.objectives.objective import Objective
from dice_tf.replicas import check_share, mean_over_replicas

_MULTI_WORKER = tf.distribute.MultiWorkerMirroredStrategy
_SUPPORTED = (tf.distribute.MirroredStrategy, _MULTI_WORKER)
# What TensorFlow raises in a worker when another one is gone.
_LOST = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
)


class Distribution:
    """Runs a training step as it is, or on all replicas of a strategy.

    Variables that replicas read are made in `scope()`.

    Args:
      strategy: a `MirroredStrategy` or `MultiWorkerMirroredStrategy`, or
        `None` for the strategy of the scope around this call, if any.

    Attributes:
      strategy: the strategy, or `None` without one.

    Raises:
      TypeError: if it is not a strategy of these two kinds.
      ValueError: if another strategy is in use.
    """

    def __init__(self, strategy: Any):
        if strategy is None:
            strategy = current_strategy()
        self.strategy = _check_kind(strategy)
        self.check_current()

    def check_batch(self, objective: Objective) -> None:
        """Raises if an objective cannot be split over the replicas.

        Raises:
          ValueError: if its policies were made in the scope of another
            strategy, or its batch cannot be split evenly.
        """
        if self.strategy is None:
            return
        for policy in objective.policies:
            self.check_variables("policies", policy.variables, True)
        if objective.batch_size is not None:
            share = check_share(
                objective.batch_size, self.strategy.num_replicas_in_sync
            )
            check_groups(objective.num_groups, share)

    @property
    def is_chief(self) -> bool:
        """Whether this process is the one that writes files."""
        return self.strategy is None or is_chief(self.strategy)

    def scope(self) -> contextlib.AbstractContextManager:
        """Returns the scope in which the step's variables are made."""
        self.check_current()
        if self.strategy is None:
            return contextlib.nullcontext()
        return self.strategy.scope()

    def check_current(self) -> None:
        """Raises if this is called in the scope of another strategy."""
        current = current_strategy()
        if current is not None and current is not self.strategy:
            raise ValueError(
                "A trainer uses one strategy at a time. It has "
                f"{_name(self.strategy)}, and is used in the scope of "
                f"another one, {_name(current)}: leave that scope, or make "
                "the trainer in it."
            )

    def check_variables(
        self, name: str, variables: Any, or_unscoped: bool = False
    ) -> None:
        """Raises if variables were made in the scope of another strategy.

        Args:
          name: of the argument that brought them.
          variables: Keras variables.
          or_unscoped: whether they may have been made in no scope at all.
        """
        for variable in variables:
            made_in = getattr(variable.value, "distribute_strategy", None)
            if made_in is self.strategy or (made_in is None and or_unscoped):
                continue
            raise ValueError(
                f"`{name}` was made in the scope of {_name(made_in)}, and "
                f"the trainer has {_name(self.strategy)}. Make it inside "
                "`with strategy.scope():`, with the trainer's strategy."
            )

    def check_optimizers(self, name: str, optimizers: Any) -> None:
        """Raises if an optimiser was made outside of the scope."""
        if not isinstance(optimizers, (list, tuple)):
            optimizers = [optimizers]
        for optimizer in optimizers:
            # Names of optimisers have no variables yet.
            if isinstance(optimizer, keras.optimizers.Optimizer):
                self.check_variables(name, optimizer.variables)

    def can_compile(self, jit_compile: bool) -> bool:
        """Returns whether XLA compiles the step; warns if it should and cannot.

        TensorFlow compiles no updates of variables under a strategy.

        Args:
          jit_compile: whether XLA should compile it.
        """
        if self.strategy is None or not jit_compile:
            return jit_compile
        warnings.warn(
            f"XLA is off: TensorFlow cannot compile a step of "
            f"{_name(self.strategy)}. Pass jit_compile=False to `compile` "
            "to say so.",
            stacklevel=3,
        )
        return False

    def dataset(self) -> tf.data.Dataset:
        """Returns what Keras iterates over; the step does not read it."""
        self.check_current()
        counter = tf.data.Dataset.counter()
        if self.strategy is None:
            return counter
        options = tf.data.Options()
        options.experimental_distribute.auto_shard_policy = (
            tf.data.experimental.AutoShardPolicy.OFF
        )
        batched = counter.batch(self.strategy.num_replicas_in_sync)
        return batched.with_options(options)

    def on_replicas(self, function: Callable) -> Callable:
        """Returns a function that calls another one on all replicas.

        Args:
          function: returns a nest of tensors, the same on each replica. It is
            returned as it is if there is no strategy.
        """
        strategy = self.strategy
        if strategy is None:
            return function

        def run(*arguments: Any) -> Any:
            return tf.nest.map_structure(
                lambda x: strategy.experimental_local_results(x)[0],
                strategy.run(lambda: function(*arguments)),
            )

        return run

    def train_function(
        self,
        train_step: Callable[[Any], Any],
        run_eagerly: bool,
        steps_per_execution: int,
    ) -> Callable[[Any], Any]:
        """Returns what Keras calls for each execution of some steps.

        Keras' own function would run the whole step on each replica. It would
        also run several steps in a loop, in which `MirroredStrategy` cannot
        reduce.

        Args:
          train_step: makes a step, by a function of `on_replicas`.
          run_eagerly: whether not to compile it to a graph.
          steps_per_execution: number of steps of a call.
        """

        def step() -> Any:
            return train_step(None)

        if not run_eagerly:
            step = tf.function(step, autograph=False)

        def train(iterator: Any) -> Any:
            del iterator
            self.check_current()
            with self._clear_errors():
                for _ in range(steps_per_execution):
                    logs = step()
                return tf.nest.map_structure(lambda x: x.numpy(), logs)

        return train

    def check_agreement(self, iteration: int) -> None:
        """Raises if another worker is about to start from another iteration.

        Args:
          iteration: the one that this worker starts from.

        Raises:
          RuntimeError: in every worker, if they do not agree.
        """
        if not isinstance(self.strategy, _MULTI_WORKER):
            return
        start = tf.constant(iteration, tf.float64)
        average = self.on_replicas(lambda: mean_over_replicas([start])[0])
        with self._clear_errors():
            mean = average()
        if abs(float(mean) - iteration) > 1e-6:
            raise RuntimeError(
                "All workers must start from the same iteration. This one, "
                f"{_task_name(self.strategy)}, starts from {iteration}, and "
                f"the mean over all is {float(mean):g}: give every worker "
                "the same checkpoint, or none."
            )

    @contextlib.contextmanager
    def _clear_errors(self) -> Iterator[None]:
        """Explains the errors of TensorFlow that mean that a worker is lost."""
        try:
            yield
        except _LOST as error:
            if not isinstance(self.strategy, _MULTI_WORKER):
                raise
            raise RuntimeError(
                "Another worker of the MultiWorkerMirroredStrategy has "
                "stopped or cannot be reached (this is "
                f"{_task_name(self.strategy)}). No step can be made without "
                "it: start all workers again, each from the last checkpoint."
            ) from error


def current_strategy() -> tf.distribute.Strategy | None:
    """Returns the strategy in whose scope this is called, if any."""
    if not tf.distribute.has_strategy():
        return None
    return tf.distribute.get_strategy()


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the only one, or the first of a cluster."""
    if not isinstance(strategy, _MULTI_WORKER):
        return True
    resolver = strategy.cluster_resolver
    if resolver.task_type is None:
        return True
    first = "chief" if "chief" in resolver.cluster_spec().jobs else "worker"
    return resolver.task_type == first and resolver.task_id == 0


def _check_kind(strategy: Any) -> tf.distribute.Strategy | None:
    if strategy is not None and not isinstance(strategy, _SUPPORTED):
        raise TypeError(
            "`strategy` must be a tf.distribute.MirroredStrategy or a "
            "tf.distribute.MultiWorkerMirroredStrategy, or None. Received: "
            f"{strategy!r}."
        )
    return strategy


def _name(strategy: Any) -> str:
    return "no strategy" if strategy is None else type(strategy).__name__


def _task_name(strategy: tf.distribute.Strategy) -> str:
    resolver = strategy.cluster_resolver
    return f"{resolver.task_type} {resolver.task_id}"
