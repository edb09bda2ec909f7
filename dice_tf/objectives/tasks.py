"""Families of tasks: one objective per task, and the mean over them."""

import abc
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from dice_tf.checks import check_whole_number
from dice_tf.games.finite import FiniteGame
from dice_tf.objectives.objective import (
    Objective,
    Params,
    Play,
    check_objective,
)
from dice_tf.seeds import (
    child_seeds,
    num_runs_of,
    seed_tensor,
    split_seed,
)

# From the objective of a task and a seed to a nest of tensors.
TaskFunction = Callable[[Objective, Any], Any]


class TaskFamily(Objective):
    """The mean over the tasks of a family, each an objective of its own.

    All tasks take parameters of the same shapes. As an objective, a family is
    what one set of parameters earns on average, without adapting to a task:
    `Naive` on it learns one policy for all tasks. What treats tasks one by
    one, such as `MAML`, does so through `average`.

    Attributes:
      num_players: N, of every task.
      return_scale: that of every task.
      policies: the models of every task; empty where tasks have none.
    """

    policies: tuple = ()

    @abc.abstractmethod
    def average(self, function: TaskFunction, seed: Any = None) -> Any:
        """Returns the mean over the tasks of a function of each.

        Args:
          function: from the objective of a task and a seed (of its own) to a
            nest of floating tensors.
          seed: int32 `[2]`; may be `None` where nothing is sampled.

        Returns:
          The nest of means, differentiable in what the function captures.
        """

    def play(self, params: Params, seed: Any, state: Any = None) -> Play:
        values, entropies = self.average(
            lambda task, task_seed: task.play(params, task_seed, state)[:2],
            seed,
        )
        return Play(values, entropies, None)

    def _values(
        self, params: Params, seed: Any, state: Any
    ) -> tuple[tf.Tensor, ...]:
        return self.average(
            lambda task, task_seed: task(params, task_seed, state), seed
        )

    def _describe(self, task: Objective) -> None:
        """Takes over what all tasks have in common."""
        self.num_players = task.num_players
        self.return_scale = task.return_scale
        self.policies = getattr(task, "policies", ())


class FiniteTasks(TaskFamily):
    """A family of a few given tasks, all of which count equally.

    The tasks may be of any kind, and each is a part of its own of a compiled
    function, so that compiling takes as long as there are tasks.

    Args:
      objectives: one per task, of as many players and, if they have any, of
        the same policies.

    Raises:
      TypeError: if they are not objectives.
      ValueError: if there is none, they do not fit together, or one has
        critics: they would have to know the task.

    Example:
      >>> family = dice_tf.objectives.FiniteTasks(
      ...     [
      ...         dice_tf.objectives.ExactObjective(game, policies)
      ...         for game in games
      ...     ]
      ... )
    """

    def __init__(self, objectives: Sequence[Objective]):
        if not isinstance(objectives, (list, tuple)):
            raise TypeError(
                "`objectives` must be a list with one objective per task. "
                f"Received: {objectives!r}."
            )
        if not objectives:
            raise ValueError("`objectives` must not be empty.")
        self.objectives = tuple(_check_task(task) for task in objectives)
        self._describe(self.objectives[0])
        for number, task in enumerate(self.objectives):
            if _common(task) != _common(self.objectives[0]):
                raise ValueError(
                    "`objectives` must have as many players, the same scale "
                    "of returns (discount) and the same policies. "
                    f"`objectives[{number}]` differs from the first."
                )

    def average(self, function: TaskFunction, seed: Any = None) -> Any:
        num_tasks = len(self.objectives)
        seeds = [None] * num_tasks
        if seed is not None:
            seeds = split_seed(seed, num_tasks)
        return _mean(
            [
                function(task, own)
                for task, own in zip(self.objectives, seeds, strict=True)
            ]
        )


class SampledTasks(TaskFamily):
    """A family of tasks drawn anew for each evaluation, as one program.

    A task is a nest of tensors, such as a goal. In a graph all are evaluated
    at once by `tf.vectorized_map`; eagerly, one after the other. The same
    seed draws the same tasks.

    Args:
      build_objective: function from one task to its `Objective`. It is called
        while a graph is built, with tensors that have no value yet. Policies
        must be made outside of it, and be the same for all tasks.
      sample_tasks: function from a seed, int32 `[2]`, and `num_tasks` to a
        nest of tensors with a leading axis of tasks.
      num_tasks: number of tasks of each evaluation.

    Raises:
      TypeError: if `build_objective` returns no objective.
      ValueError: if it has critics, the tasks are not `num_tasks`, or many
        runs of a trainer play in a game that is no `FiniteGame`: TensorFlow
        cannot sample over runs and tasks at once there. Train one run.

    Example:
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
        self.num_tasks = check_whole_number("num_tasks", num_tasks, 1)
        self.build_objective = build_objective
        self.sample_tasks = sample_tasks
        tasks = sample_tasks(tf.constant([0, 0]), num_tasks)
        shapes = [tuple(leaf.shape) for leaf in tf.nest.flatten(tasks)]
        if any(shape[:1] != (num_tasks,) for shape in shapes):
            raise ValueError(
                "`sample_tasks` must return tensors with a leading axis of "
                f"num_tasks={num_tasks}. Received shapes {shapes}."
            )
        first = _check_task(build_objective(_take(tasks, 0)))
        self._describe(first)
        game = getattr(first, "game", None)
        self._draws_by_step = game and not isinstance(game, FiniteGame)

    def average(self, function: TaskFunction, seed: Any = None) -> Any:
        if seed is None:
            raise ValueError(
                "`seed` must be an int32 tensor of shape [2]: the tasks are "
                "sampled. Received: None."
            )
        if self._draws_by_step and num_runs_of(seed) > 1:
            raise ValueError(
                "SampledTasks in a game that is no FiniteGame can be trained "
                "in one run at a time (num_seeds=1). Received: "
                f"{num_runs_of(seed)} runs."
            )
        task_seed, seed = split_seed(seed, 2)
        tasks = self.sample_tasks(seed_tensor(task_seed), self.num_tasks)
        seed_of = child_seeds(seed, self.num_tasks)

        def evaluate(inputs: tuple[Any, Any]) -> Any:
            task, number = inputs
            return function(self.build_objective(task), seed_of(number))

        if tf.executing_eagerly():
            return _mean(
                [
                    evaluate((_take(tasks, number), number))
                    for number in range(self.num_tasks)
                ]
            )
        results = tf.vectorized_map(evaluate, (tasks, tf.range(self.num_tasks)))
        return tf.nest.map_structure(
            lambda values: tf.reduce_mean(values, axis=0), results
        )


def mean_over_tasks(
    objective: Objective, function: TaskFunction, seed: Any
) -> Any:
    """Returns `TaskFamily.average`; what is no family is a single task."""
    if isinstance(objective, TaskFamily):
        return objective.average(function, seed)
    return function(objective, seed)


def _mean(results: Sequence[Any]) -> Any:
    return tf.nest.map_structure(
        lambda *values: tf.add_n(values) / len(values), *results
    )


def _take(tasks: Any, number: int) -> Any:
    return tf.nest.map_structure(lambda leaf: leaf[number], tasks)


def _common(task: Objective) -> tuple:
    """Returns what must be equal among the tasks of a family."""
    policies = tuple(map(id, getattr(task, "policies", ())))
    return task.num_players, task.return_scale, policies


def _check_task(task: Any) -> Objective:
    if getattr(check_objective(task), "critics", ()):
        raise ValueError(
            "A task of a family must have no critics: one critic would be "
            "trained on all tasks without knowing which. Use the baseline "
            "'leave_one_out', or one that the batch gives."
        )
    return task
