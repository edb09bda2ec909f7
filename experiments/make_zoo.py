"""Trains the policies that come with dice_tf.zoo, and writes their files.

  python -m experiments.make_zoo --output_dir=runs/zoo
  python -m experiments.make_zoo --output_dir=runs/zoo_of_one \\
    --policies=ipd/lola_dice

Each is the first run, of seed 0, of an experiment with documented settings, in
trainings/ inside of the folder. They take seconds to two minutes each, but for
the network of the Coin Game, one of ten runs, which take as long as README
says. A training that has finished there is not repeated, and one that was
interrupted is continued by the same command. Then the policies play themselves,
which gives the figures of their cards.

The folder gets zoo/ (for each policy a file with its weights and one with its
figures), summary.json, with checks of what they earn, and config.json. The exit
status is 1 if a check fails. zoo/ takes the place of dice_tf/zoo/data/ in a
clone. Other processors round otherwise, so that weights, and what is earned,
may be slightly different ones.
"""

# `python experiments/...` starts a file outside of its package.
__package__ = __package__ or "experiments"

from collections.abc import Sequence
from typing import NamedTuple

from absl import flags

# Only imports that are cheap: --help and mistakes are answered at once.
from .command_line.commands import Command, user_errors
from .command_line.flag_parsers import check_some
from .results.check_list import Check, summary
from .results.outputs import OutputFolder
from .settings.training_flags import define_output_flags
from .zoo.recipes import RECIPES

_TRAININGS = "trainings"
_ZOO = "zoo"


class ZooSettings(NamedTuple):
    """All that determines the files. The fields are flags."""

    policies: tuple[str, ...]


def define_flags() -> None:
    """Defines the flags."""
    define_output_flags()
    flags.DEFINE_list(
        "policies",
        list(RECIPES),
        f"Names of the policies to make, of {', '.join(RECIPES)}.",
    )


def resolve(values: flags.FlagValues) -> ZooSettings:
    """Returns the settings.

    Raises:
      ValueError: if there is no such policy.
    """
    for name in check_some("policies", values.policies):
        if name not in RECIPES:
            raise ValueError(
                f"--policies must be some of {', '.join(RECIPES)}. Received: "
                f"{name!r}."
            )
    return ZooSettings(tuple(values.policies))


def run(settings: ZooSettings, folder: OutputFolder) -> Sequence[Check]:
    """Trains, measures and writes the files."""
    from .results.provenance import collect_results
    from .zoo.making import make, train, write

    made = {}
    for name in settings.policies:
        print(f"\n{name}", flush=True)
        place = folder.path / _TRAININGS / name
        with user_errors():
            train(name, place)
            made[name] = make(name, place)
    checks = [check for policy in made.values() for check in policy.checks]
    with collect_results(folder, {_ZOO: settings}, summary(checks)) as stage:
        for name, policy in made.items():
            write(name, policy, stage / _ZOO)
    return checks


COMMAND = Command(define_flags, resolve, run)

if __name__ == "__main__":
    COMMAND.start()
