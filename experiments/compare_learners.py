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

Of exact values in the prisoner's dilemma, the report and summary.json say how
many runs end in mutual cooperation (both players earn at least -1.15), in
mutual defection (at most -1.85) and in extortion (one earns at least 0.3 more),
if the horizon is infinite or rewards are not discounted. With many look-aheads
LOLA-DiCE comes to extort or to defect, and with a share of the naive direction
more runs cooperate:

  python -m experiments.compare_learners --learners=lola_dice_10_lookaheads,\
lola_dice_10_lookaheads_mixed_0.6,lola_dice_20_lookaheads,\
lola_dice_20_lookaheads_mixed_0.4 --discount=0.95 --num_seeds=64 \
    --num_iterations=4000 --optimizer=adamw --learning_rate=0.005 \
    --inner_learning_rate=0.25 --output_dir=runs/mixed

The folder gets curves.csv (the return of every player, run and iteration),
summary.json, config.json, pictures, and in saved_model/<method>/ the policies
of the median run.
"""

# `python experiments/...` starts a file outside of its package.
__package__ = __package__ or "experiments"

from absl import flags

# Only imports that are cheap: --help and mistakes are answered at once.
from .command_line.commands import Command
from .command_line.flag_parsers import check_some
from .results.outputs import OutputFolder
from .settings.line_up import LEARNERS
from .settings.matrix_games import PRISONERS_DILEMMA
from .settings.training_flags import (
    define_tracking_flags,
    define_training_flags,
)
from .settings.training_settings import (
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
    define_tracking_flags()
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
    from .building.trainings import train_methods
    from .comparisons.ends import count_ends
    from .comparisons.references import (
        agreement,
        as_columns,
        references_for,
    )
    from .results.result_files import print_report, write_results

    trainings = train_methods(settings, folder)
    references = references_for(settings)
    agreements = {
        name: agreement(trainings[name].judged, reference)
        for name, reference in references.items()
    }
    notes = {name: {} for name in trainings}
    for name, found in agreements.items():
        notes[name]["reference"] = found
    columns = []
    if references:
        columns += as_columns(list(trainings), references, agreements)
    if all(_has_ends(method) for method in settings.values()):
        columns.append(["cooperation, defection, extortion, other"])
        for name, method in trainings.items():
            ends = notes[name]["ends"] = count_ends(method.judged)
            columns[-1].append(", ".join(map(str, ends.values())))
    summary = write_results(folder, trainings, notes)
    print_report(summary, columns)


def _has_ends(settings: TrainingSettings) -> bool:
    """Tells whether returns are exact ones of the prisoner's dilemma.

    With a discount, returns of few rounds are smaller: mutual defection for
    five rounds earns -0.82 at discount 0.9.
    """
    is_mean = settings.episode_length is None or settings.discount == 1.0
    return (
        is_mean
        and settings.objective == EXACT
        and settings.game == PRISONERS_DILEMMA
        and settings.payoffs is None
    )


COMMAND = Command(define_flags, resolve, run)

if __name__ == "__main__":
    COMMAND.start()
