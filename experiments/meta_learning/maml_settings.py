"""Settings of `experiments.maml`, with the defaults of each task."""

from typing import Any, NamedTuple

from ..command_line.flag_parsers import check_product, read_settings

ESTIMATORS = ("dice", "surrogate")
# By task, the values of flags that are not given.
TASKS = {
    "point_navigation": {
        "num_iterations": 100,
        "num_tasks": 10,
        "batch_size": 20,
        "episode_length": 50,
        "inner_learning_rate": 3e-3,
        "meta_learning_rate": 3e-3,
    },
    "tabular_mdp": {
        "num_iterations": 50,
        "num_tasks": 5,
        "batch_size": 1000,
        "episode_length": 10,
        "inner_learning_rate": 1.0,
        "meta_learning_rate": 0.1,
    },
}


class MAMLSettings(NamedTuple):
    """All that determines a run. The fields are the flags."""

    task: str
    estimator: str
    seed: int
    num_seeds: int
    num_steps: int
    num_iterations: int
    num_tasks: int
    batch_size: int
    episode_length: int
    inner_learning_rate: float
    meta_learning_rate: float
    jit_compile: bool


def resolve(values: Any) -> MAMLSettings:
    """Returns the settings of parsed flags.

    Raises:
      ValueError: if the sizes make a tensor that is too large.
    """
    settings = read_settings(MAMLSettings, values, TASKS[values.task])
    check_product(
        num_tasks=settings.num_tasks,
        batch_size=settings.batch_size,
        episode_length=settings.episode_length,
    )
    return settings
