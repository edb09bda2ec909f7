"""A family of tasks that are drawn anew for each evaluation."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from dice_tf.checks import check_function, check_whole_number
from dice_tf.games.finite import FiniteGame
from dice_tf.objectives.objective import Objective, check_task_function
from dice_tf.objectives.tasks import (
    TaskFamily,
    TaskFunction,
    check_task,
    mean_of,
)
from dice_tf.replicas import num_replicas
from dice_tf.seeds import (
    Seed,
    child_seeds,
    num_runs_of,
    seed_tensor,
    split_seed,
)


class SampledTasks(TaskFamily):
    """A family of tasks drawn anew for each evaluation, as one program.

    A task is a nest of tensors, such as a goal. In a graph,
    `tf.vectorized_map` evaluates all tasks at once; eagerly, they are
    evaluated one after the other. The same seed draws the same tasks.

    Args:
      build_objective: function from one task to its `Objective`. It is called
        while a graph is built, with tensors that have no value yet. The
        policies must be made outside of it, and be the same for all tasks.
      sample_tasks: function from a seed, int32 `[2]`, and `num_tasks` to a
        nest of tensors with a leading axis of tasks.
      num_tasks: number of tasks of each evaluation.

    Raises:
      TypeError: if `build_objective` does not return an objective.
      ValueError: if the objective has critics, or there are not `num_tasks`
        tasks. Also if several runs of a trainer play in a game that is not a
        `FiniteGame`: TensorFlow cannot sample over runs and tasks at once
        there. Train one run.

    Example:
      >>> network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
      >>> policy = dice_tf.policies.with_head(
      ...     network,
      ...     lambda x: tfp.distributions.MultivariateNormalDiag(x, [0.1, 0.1]),
      ... )
      >>> def build_objective(goal):
      ...     game = dice_tf.games.PointNavigation(goal)
      ...     return dice_tf.objectives.DiCEObjective(
      ...         game, [policy], discount=0.99, batch_size=20
      ...     )
      >>> family = dice_tf.objectives.SampledTasks(
      ...     build_objective,
      ...     dice_tf.games.PointNavigation.sample_goals,
      ...     num_tasks=20,
      ... )
    """

    def __init__(
        self,
        build_objective: Callable[[Any], Objective],
        sample_tasks: Callable[[tf.Tensor, int], Any],
        num_tasks: int,
    ):
        self.num_tasks = check_whole_number("num_tasks", num_tasks, 1, 2**24)
        check_function(
            "build_objective", build_objective, "a function of a task", 1
        )
        expected = "a function of a seed and a number of tasks"
        check_function("sample_tasks", sample_tasks, expected, 2)
        self.build_objective = build_objective
        self.sample_tasks = sample_tasks
        tasks = sample_tasks(tf.constant([0, 0]), num_tasks)
        shapes = [tuple(leaf.shape) for leaf in tf.nest.flatten(tasks)]
        if any(shape[:1] != (num_tasks,) for shape in shapes):
            raise ValueError(
                "`sample_tasks` must return tensors with a leading axis of "
                f"num_tasks={num_tasks}. Received shapes {shapes}."
            )
        first = build_objective(_take(tasks, 0))
        check_task(first, "build_objective(task)")
        self._describe(first)
        self._draws_by_step = first.game is not None and not isinstance(
            first.game, FiniteGame
        )
        self._has_groups = first.num_groups > 1

    def average(self, function: TaskFunction, seed: Seed | None = None) -> Any:
        check_task_function(function)
        if seed is None:
            raise ValueError(
                "`seed` must be an int32 tensor of shape [2]: the tasks are "
                "sampled. Received: None."
            )
        if self._draws_by_step and num_runs_of(seed) > 1:
            raise ValueError(
                "SampledTasks in a game that is not a FiniteGame can be "
                "trained in one run at a time (num_seeds=1). Received: "
                f"{num_runs_of(seed)} runs."
            )
        task_seed, seed = split_seed(seed, 2)
        tasks = self.sample_tasks(seed_tensor(task_seed), self.num_tasks)
        seed_of = child_seeds(seed, self.num_tasks)

        def evaluate(inputs: tuple[Any, Any]) -> Any:
            task, number = inputs
            return function(self.build_objective(task), seed_of(number))

        # TensorFlow cannot vectorise a sum over replicas. A tape around the map
        # would lose the gradients of groups, and those of a pass over time.
        one_by_one = self.has_memory or self._has_groups or num_replicas() > 1
        if tf.executing_eagerly() or one_by_one:
            return mean_of(
                [
                    evaluate((_take(tasks, number), number))
                    for number in range(self.num_tasks)
                ]
            )
        results = tf.vectorized_map(evaluate, (tasks, tf.range(self.num_tasks)))
        return tf.nest.map_structure(
            lambda values: tf.reduce_mean(values, axis=0), results
        )


def _take(tasks: Any, number: int) -> Any:
    return tf.nest.map_structure(lambda leaf: leaf[number], tasks)
