"""Measures what is known of learners: who mixes, who exploits, who cooperates.

  python -m experiments.learner_facts --num_seeds=20 --output_dir=runs/facts
  python -m experiments.learner_facts --facts=defector --output_dir=runs/one
  python -m experiments.learner_facts --num_seeds=20 --output_dir=runs/facts \\
    --resume

In matching pennies (discount 0.9) LOLA players come to toss coins. LOLA-DiCE
earns more than a naive learner that it meets in the prisoner's dilemma, and is
not exploited by one that always defects, in both seats. Three LOLA-DiCE players
contribute to a public good (multiplier 1.5), unlike naive ones. Players that
shape earn more among naive players of a public good, of three and of five, than
if all were naive. Rates, batches and starts of the public goods are in
comparisons/public_goods_facts.py, with the reasons; flags override them.

The last command continues a run that was interrupted, given its flags, without
repeating trainings that had ended. The folder gets summary.json, with one check
per claim, and config.json. The exit status is 1 if a check fails.
"""

# `python experiments/...` starts a file outside of its package.
__package__ = __package__ or "experiments"

from collections.abc import Callable, Sequence

from absl import flags

# Only imports that are cheap: --help and mistakes are answered at once.
from .command_line.commands import Command, user_errors
from .command_line.flag_parsers import check_some
from .results.check_list import Check, summary
from .results.outputs import OutputFolder
from .settings.training_flags import define_training_flags

FACTS = (
    "matching_pennies",
    "naive_opponent",
    "defector",
    "public_goods",
    "mixed_public_goods",
)
# Every fact has its own game.
_FIXED = ("game", "payoffs", "discount")


def define_flags() -> None:
    """Defines the flags: of all trainings, and what is measured."""
    define_training_flags()
    flags.DEFINE_list(
        "facts", list(FACTS), f"What to measure, of {', '.join(FACTS)}."
    )


def resolve(values: flags.FlagValues) -> flags.FlagValues:
    """Checks the flags, from which each fact takes its settings.

    Raises:
      ValueError: if there is no such fact, or a flag is part of each fact.
    """
    for name in check_some("facts", values.facts):
        if name not in FACTS:
            raise ValueError(
                f"--facts must be some of {', '.join(FACTS)}. Received: "
                f"{name!r}."
            )
    for name in _FIXED:
        if values[name].present:
            raise ValueError(
                f"--{name} is part of each fact. Received: "
                f"--{name}={values[name].value}."
            )
    return values


def run(values: flags.FlagValues, folder: OutputFolder) -> Sequence[Check]:
    """Measures, and writes the files."""
    from .comparisons.fact_trainings import Record
    from .results.provenance import collect_results

    record = Record(values, folder)
    known = measurements()
    checks = []
    for name in values.facts:
        with user_errors():
            checks += known[name](record)
    with collect_results(folder, record.settings, summary(checks)):
        return checks


def measurements() -> dict[str, Callable]:
    """Returns the function that measures each fact, by its name."""
    from .comparisons import fact_trainings, public_goods_facts

    functions = (
        fact_trainings.matching_pennies,
        fact_trainings.naive_opponent,
        fact_trainings.defector,
        public_goods_facts.public_goods,
        public_goods_facts.mixed_public_goods,
    )
    return {function.__name__: function for function in functions}


COMMAND = Command(define_flags, resolve, run, libraries=())

if __name__ == "__main__":
    COMMAND.start()
