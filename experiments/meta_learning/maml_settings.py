"""Settings of `experiments.maml`, with the defaults of each task."""

from typing import Any, NamedTuple

ESTIMATORS = ("dice", "surrogate")


class Settings(NamedTuple):
    """All that determines a run, beside the folder; the flags, resolved.

    Attributes:
      task: `point_navigation` or `tabular_mdp`.
      estimator: `dice` or `surrogate`.
      seed: of the first run.
      num_seeds: number of runs.
      num_steps: steps of adaptation.
      num_iterations: number of meta-updates.
      num_tasks: tasks of each.
      batch_size: episodes per task and evaluation.
      episode_length: T.
      inner_learning_rate: of a step of adaptation.
      meta_learning_rate: of Adam.
      jit_compile: whether the update is compiled with XLA.
    """

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


def resolve(flags: Any) -> Settings:
    """Returns the settings of parsed flags."""
    given = {name: getattr(flags, name) for name in Settings._fields}
    defaults = TASKS[given["task"]]
    return Settings(
        **{
            name: defaults[name] if value is None else value
            for name, value in given.items()
        }
    )
