"""The runs of `experiments.maml`, and what they must show."""

import numpy as np

import dice_tf

from ..command_line.commands import user_errors
from ..results.check_list import (
    Check,
    above,
    at_least,
    at_most,
    in_standard_errors,
)
from ..results.outputs import OutputFolder
from ..results.partial_results import partial_results
from .maml_settings import MAMLSettings
from .meta_tasks import (
    Cosines,
    meta_gradient_cosines,
    navigation_problem,
    tabular_problem,
)
from .meta_training import (
    MetaProblem,
    MetaTraining,
    meta_train,
)

_OBJECTIVES = {
    "dice": dice_tf.objectives.DiCEObjective,
    "surrogate": dice_tf.objectives.SurrogateObjective,
}
_NUM_COSINES = 30
_ERROR = "difference_error"


def run(
    settings: MAMLSettings, folder: OutputFolder
) -> tuple[MetaTraining, list[Check]]:
    """Makes all runs, prints how they go, and checks what they show."""
    learner = dice_tf.learners.MAML(
        settings.num_steps, settings.inner_learning_rate
    )
    checks = []
    if settings.task == "tabular_mdp":
        checks += check_cosines(_cosines(settings, learner, folder))
    print("Compiling takes a while.", flush=True)
    with user_errors():
        kept = partial_results(folder, "runs", settings)
    training = meta_train(
        _problem(settings, settings.estimator), learner, settings, kept
    )
    return training, [*checks, *check_adaptation(training.adapted)]


def _cosines(
    settings: MAMLSettings, learner: dice_tf.learners.MAML, folder: OutputFolder
) -> Cosines:
    """Measures the cosines, unless that has been done."""
    with user_errors():
        kept = partial_results(folder, "cosines", settings)
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


def check_adaptation(adapted: np.ndarray) -> list[Check]:
    """Requires that one step of adaptation helps.

    Args:
      adapted: `[num_runs, K + 1]`, returns after 0, ..., K steps.
    """
    gain = in_standard_errors(adapted[:, 1] - adapted[:, 0])
    return [above("gain of one step, in standard errors over runs", gain, 2.0)]


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
            in_standard_errors(found["dice"] - found["surrogate"]),
            3.0,
        ),
    ]


def _problem(settings: MAMLSettings, estimator: str) -> MetaProblem:
    is_tabular = settings.task == "tabular_mdp"
    problem = tabular_problem if is_tabular else navigation_problem
    return problem(
        _OBJECTIVES[estimator],
        settings.num_tasks,
        settings.batch_size,
        settings.episode_length,
    )
