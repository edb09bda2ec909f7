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

from absl import flags

# Only imports that are cheap: --help and mistakes are answered at once.
from experiments.command_line.commands import Command
from experiments.command_line.flag_parsers import check_some
from experiments.results.outputs import OutputFolder
from experiments.settings.line_up import LEARNERS
from experiments.settings.training_flags import define_training_flags
from experiments.settings.training_settings import (
    EXACT,
    TrainingSettings,
    resolve_method,
)

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


def define_flags() -> None:
    """Defines the flags: of all trainings, and what is compared."""
    define_training_flags()
    flags.DEFINE_enum(
        "mode",
        EXACT,
        (EXACT, SAMPLED),
        "Whether values are computed in closed form or estimated from play. "
        "exact has its own defaults: an infinite horizon, --num_seeds=200, "
        "--num_iterations=100, --initial_logits=normal, and rates of 1 (in the "
        "tandem game 100 runs, 30 iterations and rates of 0.1); --batch_size "
        "has no meaning there.",
    )
    defaults = "; ".join(
        f"for {mode} {','.join(methods)}"
        for mode, methods in _DEFAULT_METHODS.items()
    )
    flags.DEFINE_list(
        "learners",
        None,
        f"Methods to compare: {', '.join(LEARNERS)} (hola with its order, "
        "hola_2; lola_dice with its look-aheads, lola_dice_2_lookaheads). "
        "Several in seat order, joined by _vs_, play each other. Default: "
        f"{defaults}.",
    )


def resolve(values: flags.FlagValues) -> dict[str, TrainingSettings]:
    """Returns the settings of each method, by its name in the files."""
    is_exact = values.mode == EXACT
    settings = {}
    names = values.learners
    if names is None:
        names = _DEFAULT_METHODS[values.mode]
    for name in check_some("learners", names):
        method = resolve_method(values, name, is_exact=is_exact)
        if method.method in settings:
            raise ValueError(
                f"--learners must differ. Received twice: {method.method}."
            )
        settings[method.method] = method
    return settings


def run(settings: dict[str, TrainingSettings], folder: OutputFolder) -> None:
    """Trains all methods, writes the files and prints the comparison."""
    from experiments.building.trainings import train_methods
    from experiments.comparisons.references import (
        agreement,
        as_columns,
        references_for,
    )
    from experiments.results.result_files import print_report, write_results

    trainings = train_methods(settings, folder)
    references = references_for(settings)
    agreements = {
        name: agreement(trainings[name].judged, reference)
        for name, reference in references.items()
    }
    notes = {name: {"reference": found} for name, found in agreements.items()}
    summary = write_results(folder, trainings, notes)
    columns = as_columns(list(trainings), references, agreements)
    print_report(summary, columns if references else ())


COMMAND = Command(define_flags, resolve, run)

if __name__ == "__main__":
    COMMAND.start()
