"""Searches for the flags of an experiment that lead to the highest returns.

  python -m experiments.sweep ipd --space=space.json --num_trials=20 \\
    --output_dir=runs/sweep -- --num_seeds=5 --num_iterations=100

The file names flags and their ranges:

  {"learning_rate": {"low": 0.1, "high": 10, "log": true},
   "batch_size": {"low": 16, "high": 128, "step": 16},
   "optimizer": {"choices": ["sgd", "adam"]}}

Flags after -- are those of all trials. Each trial is a run of its own, in
trials/ of the folder, and its value is the mean final return over its seeds.
Settings are proposed by Optuna's tree-structured Parzen estimator; a trial is
pruned if its metric falls below the median of earlier trials at that epoch.

The same command goes on with a sweep, whatever has ended it, also with another
--num_trials. The same command in other terminals adds workers, which share the
storage, sweep.db. When a worker ends, it writes sweep.csv (all trials) and
best_flags.txt, which repeats the best one as a --flagfile.
"""

# `python experiments/...` starts a file outside of its package.
__package__ = __package__ or "experiments"

import csv
import json
import pathlib
import shlex
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from absl import app, flags

# Only imports that are cheap: --help and mistakes are answered at once.
from .command_line.commands import name_program, require, user_errors
from .command_line.console import started_by, summaries
from .command_line.flag_parsers import define_seed, define_size
from .command_line.stopping import (
    end_status,
    guard_streams,
    guard_termination,
)
from .results.outputs import checked_path, publish
from .results.run_record import RunRecord
from .sweeps.search_space import (
    Range,
    arguments_of,
    check_sweep,
    read_space,
)

TABLE = "sweep.csv"
BEST = "best_flags.txt"
# What `define_flags` defines.
_FLAGS = ("output_dir", "space", "num_trials", "metric", "pruner", "seed")


class SweepSettings(NamedTuple):
    """All that determines a sweep.

    Attributes:
      experiment: whose flags are searched for.
      arguments: flags of all trials.
      space: by flag.
      num_trials: number of trials in the end.
      metric: by which trials are pruned.
      pruner: `median` or `none`.
      seed: of the settings that are tried.
      output_dir: the folder.
    """

    experiment: str
    arguments: tuple[str, ...]
    space: dict[str, Range]
    num_trials: int
    metric: str
    pruner: str
    seed: int
    output_dir: str

    def record(self) -> RunRecord:
        """Returns what all workers of a sweep have in common."""
        content = {
            "experiment": self.experiment,
            "arguments": self.arguments,
            "space": {x: y._asdict() for x, y in self.space.items()},
        }
        module = f"{__package__}.sweep"
        command = shlex.join([*started_by(module), *sys.argv[1:]])
        # As it will be when it is read.
        content = json.loads(json.dumps(content))
        return RunRecord("experiments.sweep", content, command)


def define_flags() -> None:
    """Defines the flags of the sweep."""
    flags.DEFINE_string(
        "output_dir", None, "Folder of the sweep; made if it is not there."
    )
    flags.DEFINE_string("space", None, "JSON file with a range for each flag.")
    flags.mark_flags_as_required(["output_dir", "space"])
    define_size("num_trials", 20, "Number of trials in the end.")
    flags.DEFINE_string(
        "metric", "joint/return", "What trials log, by which they are pruned."
    )
    flags.DEFINE_enum(
        "pruner", "median", ["median", "none"], "Which trials end early."
    )
    define_seed("Seed of the settings that are tried.")


def resolve(values: flags.FlagValues, operands: Sequence[str]) -> SweepSettings:
    """Returns the settings of the sweep.

    Args:
      values: parsed flags.
      operands: the experiment, and the flags of all trials.

    Raises:
      ValueError: if there is no such experiment, or the space is not one.
    """
    if not operands or operands[0] not in summaries():
        raise ValueError(
            "The first argument must be an experiment, such as ipd. Received: "
            f"{' '.join(operands[:1])!r}."
        )
    checked_path(values.output_dir)
    return SweepSettings(
        experiment=operands[0],
        arguments=tuple(operands[1:]),
        space=read_space(values.space),
        num_trials=values.num_trials,
        metric=values.metric,
        pruner=values.pruner,
        seed=values.seed,
        output_dir=values.output_dir,
    )


def run(argv: Sequence[str]) -> None:
    """Works on a sweep, once the flags are parsed."""
    with user_errors():
        settings = resolve(flags.FLAGS, argv[1:])
        # The experiment defines flags of the same names.
        flags.FLAGS.remove_flag_values(_FLAGS)
        trackers = check_sweep(
            __package__,
            settings.experiment,
            settings.arguments,
            settings.space,
        )
        require("optuna")
    import optuna

    from .sweeps.study import Sweep
    from .sweeps.trials import TrialProgram, work

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    program = TrialProgram(
        f"{__package__}.{settings.experiment}",
        settings.arguments,
        trackers,
        settings.metric,
    )
    with user_errors():
        sweep = Sweep(
            settings.output_dir,
            settings.record(),
            settings.space,
            pruner=settings.pruner,
            seed=settings.seed,
        )
        work(sweep, program, settings.num_trials)
    report(settings, sweep.trials())


def report(settings: SweepSettings, trials: Sequence[Any]) -> None:
    """Writes the table of trials and the best flags, and prints the best.

    Args:
      settings: of the sweep.
      trials: Optuna's.
    """
    folder = pathlib.Path(settings.output_dir)
    names = list(settings.space)
    table = folder / f".{TABLE}"
    with open(table, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["trial", "state", "value", *names])
        for trial in trials:
            params = [trial.params[name] for name in names]
            state = trial.state.name.lower()
            writer.writerow([trial.number, state, trial.value, *params])
    publish(table, folder / TABLE)
    # A pruned trial has the value that it had logged last.
    done = [trial for trial in trials if trial.state.name == "COMPLETE"]
    states = [trial.state.name.lower() for trial in trials]
    counts = ", ".join(
        f"{states.count(state)} {state}" for state in dict.fromkeys(states)
    )
    print(f"\n{len(trials)} trials: {counts}.")
    if not done:
        return
    best = max(done, key=lambda trial: trial.value)
    lines = [*settings.arguments, *arguments_of(best.params)]
    path = folder / f".{BEST}"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    publish(path, folder / BEST)
    print(f"Best: trial {best.number}, {best.value:.4f}, {folder / BEST}")


def main() -> None:
    """Works on the sweep that the command line describes."""
    guard_streams()
    guard_termination()
    name_program(sys.modules["__main__"])
    define_flags()
    # Operands may stand before and between flags.
    flags.FLAGS.set_gnu_getopt(True)
    try:
        app.run(run)
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on.", file=sys.stderr)
        sys.exit(end_status())


if __name__ == "__main__":
    main()
