"""The runs of `experiments.maml`, and what they must show."""

from typing import NamedTuple

import numpy as np

import dice_tf
from experiments.building.checkpoints import CheckpointPlan
from experiments.command_line.user_errors import user_errors
from experiments.meta_learning.maml_settings import Settings
from experiments.meta_learning.meta_training import (
    MetaProblem,
    MetaTraining,
    meta_train,
)
from experiments.meta_learning.navigation_tasks import navigation_problem
from experiments.meta_learning.tabular_tasks import (
    Cosines,
    meta_gradient_cosines,
    tabular_problem,
)
from experiments.results.checks import Check, above, at_least, at_most

_OBJECTIVES = {
    "dice": dice_tf.objectives.DiCEObjective,
    "surrogate": dice_tf.objectives.SurrogateObjective,
}
_NUM_TESTS = 5
_NUM_COSINES = 30
_ERROR = "difference_error"


class Results(NamedTuple):
    """What was found.

    Attributes:
      training: a `MetaTraining`.
      checks: what was measured and required.
    """

    training: MetaTraining
    checks: list[Check]


def run(settings: Settings, plan: CheckpointPlan) -> Results:
    """Runs all that the settings ask for, telling how it goes.

    Args:
      settings: all that determines the results.
      plan: where they are kept as they come.
    """
    learner = dice_tf.learners.MAML(
        settings.num_steps, settings.inner_learning_rate
    )
    seeds = [settings.seed + i for i in range(settings.num_seeds)]
    checks = []
    if settings.task == "tabular_mdp":
        checks += check_cosines(_cosines(settings, learner, plan))
    print("Compiling takes a while.", flush=True)
    training = meta_train(
        _problem(settings, settings.estimator),
        learner,
        settings.meta_learning_rate,
        settings.num_iterations,
        seeds,
        _NUM_TESTS,
        settings.jit_compile,
        show,
        plan.partial_results("runs", settings),
    )
    return Results(training, [*checks, *check_adaptation(training.adapted)])


def _cosines(
    settings: Settings, learner: dice_tf.learners.MAML, plan: CheckpointPlan
) -> Cosines:
    """Measures the cosines, unless that has been done."""
    kept = plan.partial_results("cosines", settings)
    with user_errors():
        found = kept.load()
    if found:
        error = float(found.pop(_ERROR))
        return Cosines(found, error)
    cosines = meta_gradient_cosines(
        {name: _problem(settings, name) for name in _OBJECTIVES},
        learner,
        [settings.seed + i for i in range(_NUM_COSINES)],
    )
    kept.save({_ERROR: np.array(cosines.difference_error), **cosines.sampled})
    return cosines


def show(number: int, returns: np.ndarray) -> None:
    """Prints one line for a run."""
    text = ", ".join(f"{value:.4f}" for value in returns)
    print(f"run {number}: returns after 0, 1, ... steps: {text}", flush=True)


def check_adaptation(adapted: np.ndarray) -> list[Check]:
    """Requires that one step of adaptation helps.

    Args:
      adapted: `[num_runs, K + 1]`, returns after 0, ..., K steps.
    """
    gains = adapted[:, 1] - adapted[:, 0]
    return [
        above(
            "gain of one step, in standard errors over runs",
            _in_standard_errors(gains),
            2.0,
        )
    ]


def check_cosines(cosines: Cosines) -> list[Check]:
    """Requires that DiCE follows the exact meta-gradient, and more closely."""
    found = cosines.sampled
    return [
        at_most(
            "exact meta-gradient, relative error of central differences",
            cosines.difference_error,
            1e-6,
        ),
        at_least(
            "DiCE meta-gradient, mean cosine", float(found["dice"].mean()), 0.98
        ),
        at_least(
            "surrogate's cosine below DiCE's, in standard errors",
            _in_standard_errors(found["dice"] - found["surrogate"]),
            3.0,
        ),
    ]


def _in_standard_errors(values: np.ndarray) -> float:
    if len(values) == 1:
        return float("nan")
    error = values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() / error)


def _problem(settings: Settings, estimator: str) -> MetaProblem:
    sizes = (settings.num_tasks, settings.batch_size, settings.episode_length)
    objective = _OBJECTIVES[estimator]
    if settings.task == "tabular_mdp":
        return tabular_problem(objective, *sizes)
    return navigation_problem(objective, *sizes)
