"""The learning curves of the LOLA-DiCE paper, ours over the published ones.

  python -m experiments.lola_dice_figure --num_seeds=20 --output_dir=runs/figure
  python -m experiments.lola_dice_figure --num_seeds=20 --settings=published \\
    --output_dir=runs/published

The first trains naive learners, LOLA on a surrogate objective, LOLA at two
batch sizes and LOLA-DiCE with 1, 2 and 3 look-aheads in the iterated prisoner's
dilemma, with the settings that we recommend. The second uses the settings
inferred for the published curves, and says whether ours pass through or above
the published confidence bands. A setting that is given as a flag holds for all
methods.

The folder gets learning_curves.png, curves.csv, summary.json, config.json,
pictures of the policies, and in saved_model/<method>/ those of the median run.
"""

# `python experiments/...` starts a file outside of its package.
__package__ = __package__ or "experiments"

from absl import flags

# Only imports that are cheap: --help and mistakes are answered at once.
from .command_line.commands import Command
from .command_line.flag_parsers import check_some
from .comparisons.figure import (
    LARGE_BATCH,
    LARGE_BATCH_ITERATIONS,
    METHODS,
    PUBLISHED,
    RECOMMENDED,
    band_verdicts,
    target_verdicts,
)
from .results.outputs import OutputFolder
from .settings.training_flags import (
    define_tracking_flags,
    define_training_flags,
)
from .settings.training_settings import (
    TrainingSettings,
    resolve_method,
)


def define_flags() -> None:
    """Defines the flags: of all trainings, and what the figure shows."""
    define_training_flags()
    define_tracking_flags()
    flags.DEFINE_enum(
        "settings",
        RECOMMENDED,
        (RECOMMENDED, PUBLISHED),
        "Our settings, or those inferred for each of the published curves.",
    )
    known = "; ".join(
        f"{', '.join(table)} (--settings={kind})"
        for kind, table in METHODS.items()
    )
    flags.DEFINE_list(
        "methods", None, f"Only these methods, of: {known}. Default: all."
    )


def resolve(values: flags.FlagValues) -> dict[str, TrainingSettings]:
    """Returns the settings of each method, by its name in the files.

    Flags that are given replace the entries of the tables.

    Raises:
      ValueError: if a method is not in the table, or flags do not fit.
    """
    table = METHODS[values.settings]
    settings = {}
    names = values.methods
    if names is None:
        names = tuple(table)
    for name in check_some("methods", names):
        if name not in table:
            raise ValueError(
                f"--methods must be some of {', '.join(table)} with "
                f"--settings={values.settings}. Received: {name!r}."
            )
        method = resolve_method(values, name, defaults=table[name])
        if name == LARGE_BATCH and not values["num_iterations"].present:
            method = method._replace(num_iterations=LARGE_BATCH_ITERATIONS)
        settings[method.method] = method
    return settings


def run(settings: dict[str, TrainingSettings], folder: OutputFolder) -> None:
    """Trains all methods, writes the files and prints the verdicts."""
    from .building.trainings import train_methods
    from .results.result_files import print_report, write_results

    trainings = train_methods(settings, folder)
    curves = {name: method.judged for name, method in trainings.items()}
    is_published = flags.FLAGS.settings == PUBLISHED
    judge = band_verdicts if is_published else target_verdicts
    notes, columns = judge(curves)
    summary = write_results(folder, trainings, notes)
    print_report(summary, columns)


COMMAND = Command(define_flags, resolve, run)

if __name__ == "__main__":
    COMMAND.start()
