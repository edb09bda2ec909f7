"""Compares learners in a game: exact values or sampled play, many runs each.

  python -m experiments.compare_learners --mode=exact --output_dir=runs/exact
  python -m experiments.compare_learners --mode=exact --game=tandem \\
    --output_dir=runs/tandem
  python -m experiments.compare_learners --mode=sampled --game=stag_hunt \\
    --learners=naive,lola,lola_dice_2_lookaheads --output_dir=runs/hunt

The first reproduces the comparison of the literature in the prisoner's dilemma
with an infinite horizon, from 200 random starts, and says for each learner
whether it agrees with what was published. A method is named as in the files:
lola_dice_1_lookahead_vs_naive has another learner in each seat, and
lola_batch_4000 its own batch size. Other flags hold for all methods.

The folder gets curves.csv (the return of every player, run and iteration),
summary.json, config.json, pictures, and in saved_model/<method>/ the policies
of the median run.
"""

import sys
from collections.abc import Sequence

from absl import app, flags

# Only what is cheap to import: --help and mistakes are answered at once.
from experiments.command_line.quiet_tensorflow import import_tensorflow
from experiments.command_line.requirements import require_matplotlib
from experiments.command_line.user_errors import user_errors
from experiments.results.outputs import OutputFolder, finished, interrupted
from experiments.results.report import print_report
from experiments.settings import player_flags, resume_flags, run_flags
from experiments.settings.line_up import LEARNERS, method_name, parse_method
from experiments.settings.settings import Settings, resolve

FLAGS = flags.FLAGS
flags.adopt_module_key_flags(run_flags)
flags.adopt_module_key_flags(resume_flags)
flags.adopt_module_key_flags(player_flags)

EXACT = "exact"
SAMPLED = "sampled"

_DEFAULT_METHODS = {
    EXACT: (
        "naive",
        "look_ahead",
        "lola",
        "lola_full_gradient",
        "lola_dice_1_lookahead",
        "sos",
        "consensus",
        "locally_stable",
        "symplectic",
        "competitive",
        "extragradient",
        "hola_2",
    ),
    SAMPLED: (
        "naive",
        "lola_surrogate",
        "lola",
        "sos",
        "lola_dice_1_lookahead",
        "lola_dice_2_lookaheads",
        "lola_dice_3_lookaheads",
    ),
}

flags.DEFINE_enum(
    "mode",
    EXACT,
    (EXACT, SAMPLED),
    "Whether values are computed in closed form or estimated from play. exact "
    "has defaults of its own: an infinite horizon, --num_seeds=200, "
    "--num_iterations=100, --initial_logits=normal, and rates of 1 (in the "
    "tandem game 100 runs, 30 iterations and rates of 0.1); --batch_size has "
    "no meaning there.",
)
flags.DEFINE_list(
    "learners",
    None,
    "Methods to compare: "
    f"{', '.join(LEARNERS)} (the last with its order, hola_2; lola_dice with "
    "its look-aheads, lola_dice_2_lookaheads). Several in seat order, joined "
    "by _vs_, play each other. Default: "
    + "; ".join(
        f"for {mode} {','.join(methods)}"
        for mode, methods in _DEFAULT_METHODS.items()
    )
    + ".",
)


def main(argv: Sequence[str]) -> None:
    with user_errors():
        if len(argv) > 1:
            raise ValueError(f"Flags start with --. Received: {argv[1]!r}.")
        require_matplotlib()
        settings = resolve_methods(FLAGS)
        folder = OutputFolder(FLAGS.output_dir, FLAGS.overwrite, FLAGS.resume)
    if folder.has_finished:
        print(finished(folder))
        return
    try:
        _run(settings, folder)
    except KeyboardInterrupt:
        sys.exit(interrupted(folder))


def resolve_methods(values: flags.FlagValues) -> dict[str, Settings]:
    """Returns the settings of each method, by its name in the files."""
    is_exact = values.mode == EXACT
    settings = {}
    for text in values.learners or _DEFAULT_METHODS[values.mode]:
        method = parse_method(text)
        if is_exact and method.batch_size is not None:
            raise ValueError(
                "Batch sizes are for --mode=sampled. Received: "
                f"--learners={text}."
            )
        own = resolve(
            values,
            method.line_up,
            is_exact=is_exact,
            batch_size=method.batch_size,
        )
        name = method_name(own.learner, own.num_lookaheads, own.batch_size)
        if name in settings:
            raise ValueError(f"--learners must differ. Received twice: {name}.")
        settings[name] = own
    return settings


def _run(settings: dict[str, Settings], folder: OutputFolder) -> None:
    import_tensorflow()
    from experiments.building.checkpoints import CheckpointPlan
    from experiments.comparisons.comparison import train_methods
    from experiments.comparisons.references import (
        agreements,
        as_columns,
        references_for,
    )
    from experiments.results.result_files import write_results

    plan = CheckpointPlan(folder, FLAGS.checkpoint_every)
    results = train_methods(settings, plan)
    references = references_for(settings)
    curves = {name: own.training.judged for name, own in results.items()}
    agreed = agreements(curves, references)
    with user_errors():
        summary = write_results(
            folder,
            results,
            {
                name: {"reference": own._asdict()}
                for name, own in agreed.items()
            },
        )
    columns = as_columns(list(results), references, agreed)
    print_report(summary, folder.path, columns if references else ())


if __name__ == "__main__":
    app.run(main)
