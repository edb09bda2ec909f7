"""Meta-learns a policy from which one step of policy gradient leads far.

  python -m experiments.maml --output_dir=runs/maml
  python -m experiments.maml --output_dir=runs/mdps --task=tabular_mdp
  python -m experiments.maml --output_dir=runs/first --estimator=surrogate
  python -m experiments.maml --output_dir=runs/maml --resume

Tasks are goals in the plane that the policy does not see (Finn et al. 2017),
or random tabular decision processes, on which the sampled meta-gradients of
DiCE and of the surrogate are also compared with the exact one. The last command
continues a run that was interrupted, given its flags, as if nothing had
happened. The folder gets curves.csv (returns before and after adaptation, by
run and iteration), a picture of them, config.json, and summary.json with what
was measured and required. The exit status is 1 if a check fails.
"""

# `python experiments/...` starts a file outside of its package.
__package__ = __package__ or "experiments"

from collections.abc import Sequence

from absl import flags

# Only imports that are cheap: --help and mistakes are answered at once.
from .command_line.commands import Command
from .command_line.flag_parsers import (
    LARGEST_SIZE,
    MOST_UNROLLED,
    Number,
    define,
    define_seed,
    define_size,
)
from .meta_learning.maml_settings import (
    ESTIMATORS,
    TASKS,
    MAMLSettings,
    resolve,
)
from .results.check_list import Check, summary
from .results.outputs import CURVES, OutputFolder, optional
from .settings.training_flags import (
    define_output_flags,
    define_resume_flags,
)

_BY_TASK = "Default: by --task."


def define_flags() -> None:
    """Defines the flags."""
    define_output_flags()
    define_resume_flags()
    flags.DEFINE_enum(
        "task", "point_navigation", tuple(TASKS), "Family of tasks."
    )
    flags.DEFINE_enum(
        "estimator",
        ESTIMATORS[0],
        ESTIMATORS,
        "Objective with which the meta-gradient is sampled.",
    )
    for name, default, least, text in (
        (
            "num_seeds",
            10,
            1,
            "Number of independent runs, one after the other. Checks need two.",
        ),
        ("num_steps", 1, 1, "Steps of adaptation."),
        ("num_iterations", None, 1, f"Number of meta-updates. {_BY_TASK}"),
        ("num_tasks", None, 1, f"Tasks of each meta-update. {_BY_TASK}"),
        (
            "batch_size",
            None,
            2,
            f"Episodes per task and evaluation. {_BY_TASK}",
        ),
        ("episode_length", None, 1, f"Steps of an episode. {_BY_TASK}"),
    ):
        most = MOST_UNROLLED if name == "num_steps" else LARGEST_SIZE
        define_size(name, default, text, least, most)
    define_seed("Seed of the first run.")
    for name, text in (
        ("inner_learning_rate", "Rate of a step of adaptation."),
        ("meta_learning_rate", "Rate of Adam on meta-gradients."),
    ):
        define(name, None, Number(), f"{text} {_BY_TASK}")
    flags.DEFINE_boolean("jit_compile", True, "Compile the update with XLA.")


def run(settings: MAMLSettings, folder: OutputFolder) -> Sequence[Check]:
    """Meta-trains, measures and writes the files."""
    from .meta_learning import maml_runs
    from .results.curves import (
        failed_runs,
        print_failed,
        write_curves,
    )
    from .results.pictures import plot_curves
    from .results.provenance import collect_results

    training, checks = maml_runs.run(settings, folder)
    print_failed(training.adapted)
    method = f"maml_{settings.estimator}"
    curves = {
        f"{method}_unadapted": training.curves[..., :1],
        f"{method}_adapted": training.curves[..., 1:],
    }
    content = {
        **summary(checks),
        "returns_after_steps": training.adapted.tolist(),
        "failed_runs": failed_runs(training.adapted),
        "seconds": training.seconds,
    }
    with collect_results(folder, {method: settings}, content) as stage:
        write_curves(stage / CURVES, curves)
        title = settings.task.replace("_", " ")
        picture = stage / "curves.png"
        with optional(picture):
            plot_curves(picture, curves, title, with_published=False)
    return checks


COMMAND = Command(define_flags, resolve, run)

if __name__ == "__main__":
    COMMAND.start()
