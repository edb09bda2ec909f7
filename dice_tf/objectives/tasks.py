"""Families of tasks: one objective per task, and the mean over them."""

import abc
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from dice_tf.objectives.objective import (
    Objective,
    Params,
    Play,
    check_objective,
)
from dice_tf.seeds import Seed

# From the objective of a task and a seed to a nest of tensors.
TaskFunction = Callable[[Objective, Any], Any]


class TaskFamily(Objective):
    """The mean over the tasks of a family, each an objective of its own.

    All tasks take parameters of the same shapes. As an objective, a family is
    what one set of parameters earns on average, without adapting to a task:
    `Naive` on it learns one policy for all tasks. Learners that treat tasks
    one by one, such as `MAML`, do so through `average`.

    Attributes:
      num_players: N, of every task.
      return_scale: that of every task.
      policies: the models of every task; empty if tasks have none.
    """

    @abc.abstractmethod
    def average(self, function: TaskFunction, seed: Seed | None = None) -> Any:
        """Returns the mean over the tasks of a function of each.

        The seed of each task is split from `seed`, see `Objective.average`.
        """

    def play(
        self, params: Params, seed: Seed | None, state: Any = None
    ) -> Play:
        values, entropies = self.average(
            lambda task, task_seed: task.play(params, task_seed, state)[:2],
            seed,
        )
        return Play(values, entropies, None)

    def _values(
        self, params: Params, seed: Seed | None, state: Any
    ) -> tuple[tf.Tensor, ...]:
        return self.average(
            lambda task, task_seed: task(params, task_seed, state), seed
        )

    def _describe(self, task: Objective) -> None:
        """Declares of the family what all tasks have in common."""
        self.num_players = task.num_players
        self.return_scale = task.return_scale
        self.has_memory = task.has_memory
        self.policies = task.policies
        self._first_task = task

    def initial_params(self) -> list[list[tf.Tensor]]:
        return self._first_task.initial_params()


def mean_of(results: Sequence[Any]) -> Any:
    """Returns the mean of nests of one structure."""
    return tf.nest.map_structure(
        lambda *values: tf.add_n(values) / len(values), *results
    )


def check_task(task: Any, name: str) -> Objective:
    """Returns the objective of a task, or raises if it cannot be one."""
    if check_objective(task, name).critics:
        raise ValueError(
            "A task of a family must have no critics: one critic would be "
            "trained on all tasks without knowing which. Use the baseline "
            "'leave_one_out', or one that the batch gives."
        )
    return task
