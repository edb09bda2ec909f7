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

from collections.abc import Sequence

from absl import app, flags

# Only what is cheap to import: --help and mistakes are answered at once.
from experiments.command_line.flag_parsers import (
    choice,
    define,
    number,
    whole_number,
)
from experiments.command_line.quiet_tensorflow import import_tensorflow
from experiments.command_line.requirements import require_matplotlib
from experiments.command_line.user_errors import user_errors
from experiments.meta_learning.maml_settings import (
    ESTIMATORS,
    TASKS,
    Settings,
    resolve,
)
from experiments.results.checked_runs import checks_of, conclude
from experiments.results.checks import (
    Check,
    summary,
)
from experiments.results.outputs import (
    CONFIG,
    CURVES,
    SUMMARY,
    OutputFolder,
    write_json,
)
from experiments.settings.common_flags import (
    define_output_flags,
    define_resume_flags,
)

FLAGS = flags.FLAGS
_BY_TASK = "Default: by --task."


def define_flags() -> None:
    """Defines the flags; other experiments have some of the same names."""
    define_output_flags()
    define_resume_flags()
    define("task", next(iter(TASKS)), choice(TASKS), "Family of tasks.")
    define(
        "estimator",
        ESTIMATORS[0],
        choice(ESTIMATORS),
        "Objective that the meta-gradient is sampled with.",
    )
    define("seed", "0", whole_number(0, 2**29), "Seed of the first run.")
    define(
        "num_seeds",
        "10",
        whole_number(1),
        "Number of independent runs, one after the other. Checks need two.",
    )
    define("num_steps", "1", whole_number(1), "Steps of adaptation.")
    for name, item, text in (
        ("num_iterations", whole_number(1), "Number of meta-updates."),
        ("num_tasks", whole_number(1), "Tasks of each meta-update."),
        ("batch_size", whole_number(2), "Episodes per task and evaluation."),
        ("episode_length", whole_number(1), "Steps of an episode."),
        ("inner_learning_rate", number(), "Rate of a step of adaptation."),
        ("meta_learning_rate", number(), "Rate of Adam on meta-gradients."),
    ):
        define(name, None, item, f"{text} {_BY_TASK}")
    flags.DEFINE_boolean("jit_compile", True, "Compile the update with XLA.")


def main(argv: Sequence[str]) -> None:
    with user_errors():
        if len(argv) > 1:
            raise ValueError(f"Flags start with --. Received: {argv[1]!r}.")
        require_matplotlib()
        folder = OutputFolder(FLAGS.output_dir, FLAGS.overwrite, FLAGS.resume)
    checks = checks_of(
        folder, lambda: run(folder, resolve(FLAGS), FLAGS.checkpoint_every)
    )
    conclude(folder, checks)


def run(
    folder: OutputFolder, settings: Settings, checkpoint_every: float
) -> list[Check]:
    """Meta-trains, measures and writes the files.

    Args:
      folder: where to.
      settings: all that determines the results.
      checkpoint_every: seconds, see --checkpoint_every.

    Returns:
      The checks.
    """
    import_tensorflow()
    # What imports TensorFlow or Matplotlib takes its time.
    from experiments.building.checkpoints import CheckpointPlan
    from experiments.meta_learning import maml_runs
    from experiments.results import curve_plot, provenance
    from experiments.results.curves_csv import write_curves
    from experiments.results.report import failed_text
    from experiments.results.summary import failed_runs

    results = maml_runs.run(settings, CheckpointPlan(folder, checkpoint_every))
    if failed := failed_runs(results.training.adapted):
        print(failed_text(failed, settings.num_seeds), flush=True)
    method = f"maml_{settings.estimator}"
    curves = {
        f"{method}_unadapted": results.training.curves[..., :1],
        f"{method}_adapted": results.training.curves[..., 1:],
    }
    with user_errors(), folder.collect() as stage:
        title = settings.task.replace("_", " ")
        curve_plot.plot_curves(
            stage / "curves.png", curves, title, with_published=False
        )
        write_curves(stage / CURVES, curves)
        write_json(
            stage / CONFIG, provenance.config({method: settings}, folder.path)
        )
        write_json(
            stage / SUMMARY,
            {
                **summary(results.checks),
                "returns_after_steps": results.training.adapted.tolist(),
                "failed_runs": failed_runs(results.training.adapted),
                "seconds": results.training.seconds,
            },
        )
    return results.checks


if __name__ == "__main__":
    define_flags()
    app.run(main)
