"""The learning curves of the LOLA-DiCE paper, ours over the published ones.

  python -m experiments.lola_dice_figure --num_seeds=20 --output_dir=runs/figure
  python -m experiments.lola_dice_figure --num_seeds=20 --settings=published \\
    --output_dir=runs/published

The first trains naive learners, LOLA on a surrogate objective, LOLA at two
batch sizes and LOLA-DiCE with 1, 2 and 3 look-aheads in the iterated prisoner's
dilemma, with the settings that we recommend. The second uses the settings
inferred for the published curves, and says whether ours pass through or above
the published confidence bands. A flag of a setting that is given replaces that
setting in all methods.

The folder gets learning_curves.png, curves.csv, summary.json, config.json,
pictures of the policies, and in saved_model/<method>/ those of the median run.
"""

import sys
from collections.abc import Sequence

from absl import app, flags

# Only what is cheap to import: --help and mistakes are answered at once.
from experiments.command_line.quiet_tensorflow import import_tensorflow
from experiments.command_line.requirements import require_matplotlib
from experiments.command_line.user_errors import user_errors
from experiments.comparisons.figure_methods import (
    METHODS,
    PUBLISHED,
    RECOMMENDED,
    figure_settings,
)
from experiments.results.outputs import OutputFolder, finished, interrupted
from experiments.results.report import print_report
from experiments.settings import player_flags, resume_flags, run_flags
from experiments.settings.settings import Settings

FLAGS = flags.FLAGS
flags.adopt_module_key_flags(run_flags)
flags.adopt_module_key_flags(resume_flags)
flags.adopt_module_key_flags(player_flags)

flags.DEFINE_enum(
    "settings",
    RECOMMENDED,
    (RECOMMENDED, PUBLISHED),
    "Our settings, or those inferred for each of the published curves.",
)
flags.DEFINE_list(
    "methods",
    None,
    "Only these methods, of: "
    + "; ".join(
        f"{', '.join(table)} (--settings={kind})"
        for kind, table in METHODS.items()
    )
    + ". Default: all.",
)


def main(argv: Sequence[str]) -> None:
    with user_errors():
        if len(argv) > 1:
            raise ValueError(f"Flags start with --. Received: {argv[1]!r}.")
        require_matplotlib()
        settings = figure_settings(FLAGS, FLAGS.settings, FLAGS.methods)
        folder = OutputFolder(FLAGS.output_dir, FLAGS.overwrite, FLAGS.resume)
    if folder.has_finished:
        print(finished(folder))
        return
    try:
        _run(settings, folder)
    except KeyboardInterrupt:
        sys.exit(interrupted(folder))


def _run(settings: dict[str, Settings], folder: OutputFolder) -> None:
    import_tensorflow()
    from experiments.building.checkpoints import CheckpointPlan
    from experiments.comparisons.comparison import train_methods
    from experiments.comparisons.figure_verdicts import (
        band_verdicts,
        target_verdicts,
    )
    from experiments.results.result_files import write_results

    plan = CheckpointPlan(folder, FLAGS.checkpoint_every)
    results = train_methods(settings, plan)
    curves = {name: own.training.judged for name, own in results.items()}
    is_published = FLAGS.settings == PUBLISHED
    judge = band_verdicts if is_published else target_verdicts
    verdicts = judge(curves)
    with user_errors():
        summary = write_results(folder, results, verdicts.notes)
    print_report(summary, folder.path, verdicts.columns)


if __name__ == "__main__":
    app.run(main)
