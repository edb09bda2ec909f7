"""A family of a few given tasks."""

from collections.abc import Sequence
from typing import Any

from dice_tf.objectives.objective import Objective, check_task_function
from dice_tf.objectives.tasks import (
    TaskFamily,
    TaskFunction,
    check_task,
    mean_of,
)
from dice_tf.seeds import Seed, split_seed


class FiniteTasks(TaskFamily):
    """A family of a few given tasks, all of which count equally.

    The tasks may be of any kind. A compiled function has a part for each of
    them, so that the time to compile it grows with the number of tasks.

    Args:
      objectives: one per task, of as many players and, if they have any, of
        the same policies.

    Raises:
      TypeError: if they are not objectives.
      ValueError: if there is none, they do not fit together, or one has
        critics: they would have to know the task.

    Example:
      >>> games = [
      ...     dice_tf.games.iterated_stag_hunt(),
      ...     dice_tf.games.iterated_chicken(),
      ... ]
      >>> family = dice_tf.objectives.FiniteTasks(
      ...     [
      ...         dice_tf.objectives.ExactObjective(task, policies)
      ...         for task in games
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
        self.objectives = tuple(
            check_task(task, f"objectives[{number}]")
            for number, task in enumerate(objectives)
        )
        self._describe(self.objectives[0])
        for number, task in enumerate(self.objectives):
            if _common(task) != _common(self.objectives[0]):
                raise ValueError(
                    "`objectives` must have as many players, the same scale "
                    "of returns (discount) and the same policies. "
                    f"`objectives[{number}]` differs from the first."
                )

    def average(self, function: TaskFunction, seed: Seed | None = None) -> Any:
        check_task_function(function)
        num_tasks = len(self.objectives)
        seeds = [None] * num_tasks
        if seed is not None:
            seeds = split_seed(seed, num_tasks)
        return mean_of(
            [
                function(task, task_seed)
                for task, task_seed in zip(self.objectives, seeds, strict=True)
            ]
        )


def _common(task: Objective) -> tuple:
    """Returns what must be equal among the tasks of a family."""
    policies = tuple(map(id, task.policies))
    return task.num_players, task.return_scale, policies
