"""Measures what is known of learners: who mixes, who exploits, who cooperates.

  python -m experiments.learner_facts --num_seeds=20 --output_dir=runs/facts
  python -m experiments.learner_facts --facts=defector --output_dir=runs/one
  python -m experiments.learner_facts --num_seeds=20 --output_dir=runs/facts \\
    --resume

In matching pennies (discount 0.9) LOLA players come to toss coins; LOLA-DiCE
earns more than a naive learner that it meets in the prisoner's dilemma, and is
not exploited by one that always defects, in both seats; three LOLA-DiCE players
contribute to a public good (multiplier 1.5) where naive ones do not; and those
who shape earn more among naive players of a public good, of three and of five,
than if all were naive. Rates, batches and starts of the public goods are in
comparisons/public_goods_facts.py, with the reasons; flags override them.

The last continues a run that was interrupted, given its flags: what was trained
is not trained again. The folder gets summary.json, with one check per claim,
and config.json. The exit status is 1 if a check fails.
"""

from collections.abc import Sequence

from absl import app, flags

# Only what is cheap to import: --help and mistakes are answered at once.
from experiments.command_line.quiet_tensorflow import import_tensorflow
from experiments.command_line.user_errors import user_errors
from experiments.results.checked_runs import checks_of, conclude
from experiments.results.checks import (
    Check,
    summary,
)
from experiments.results.outputs import (
    CONFIG,
    SUMMARY,
    OutputFolder,
    write_json,
)
from experiments.settings import resume_flags, run_flags

FLAGS = flags.FLAGS
flags.adopt_module_key_flags(run_flags)
flags.adopt_module_key_flags(resume_flags)

_FACTS = (
    "matching_pennies",
    "naive_opponent",
    "defector",
    "public_goods",
    "mixed_public_goods",
)
# Every fact has a game of its own.
_FIXED = ("game", "payoffs", "discount")

flags.DEFINE_list(
    "facts", list(_FACTS), f"What to measure, of {', '.join(_FACTS)}."
)


def main(argv: Sequence[str]) -> None:
    with user_errors():
        if len(argv) > 1:
            raise ValueError(f"Flags start with --. Received: {argv[1]!r}.")
        _check_flags(FLAGS)
        folder = OutputFolder(FLAGS.output_dir, FLAGS.overwrite, FLAGS.resume)
    conclude(folder, checks_of(folder, lambda: _run(folder)))


def _check_flags(values: flags.FlagValues) -> None:
    for name in values.facts:
        if name not in _FACTS:
            raise ValueError(
                f"--facts must be some of {', '.join(_FACTS)}. Received: "
                f"{name!r}."
            )
    for name in _FIXED:
        if values[name].present:
            raise ValueError(
                f"--{name} is part of each fact. Received: "
                f"--{name}={values[name].value}."
            )


def _run(folder: OutputFolder) -> list[Check]:
    """Measures and writes the files."""
    import_tensorflow()
    from experiments.building.checkpoints import CheckpointPlan
    from experiments.comparisons.fact_record import Record
    from experiments.comparisons.fact_trainings import FACTS
    from experiments.results.provenance import config

    record = Record(CheckpointPlan(folder, FLAGS.checkpoint_every))
    checks = []
    for name in FLAGS.facts:
        with user_errors():
            checks += FACTS[name](FLAGS, record)
    with folder.collect() as stage:
        write_json(stage / CONFIG, config(record.settings, folder.path))
        write_json(stage / SUMMARY, summary(checks))
    return checks


if __name__ == "__main__":
    app.run(main)
