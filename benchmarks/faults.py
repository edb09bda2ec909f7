"""What the library does when things go wrong, or it is used wrongly.

  python -m benchmarks.faults --output_dir=runs/faults
  python -m benchmarks.faults --output_dir=runs/faults --skip=fuzzing
  python -m benchmarks.faults --output_dir=runs/fuzzing --only=fuzzing

Each part does things to runs, files and processes that must not lose anything:

  kills             SIGKILL, from before the first checkpoint to the results
  signals           SIGINT and SIGTERM, before and while a run trains
  closed_streams    output that nobody reads, or that cannot be written
  two_processes     other commands in the folder of a run
  full_disk         no room, or room for a part of what a run writes
  read_only_folder  new, finished and interrupted runs
  damaged_files     checkpoints, records and lists: bits flipped, cut, forged
  hostile_files     files that hold a program, which must not run
  dead_workers      processes of environments that die, fail or leave
  fuzzing           every public constructor, function and method, with one bad
                    argument at a time, of 27 kinds: it works, or a `ValueError`
                    or `TypeError` names the argument, in --time_limit seconds

A fault is *survived* if the results are those of a run that nothing has
disturbed, byte for byte. It is *refused* if an error in plain words says so,
without a traceback, and all that was there still is. It is *lost* if a file of
the user's has changed or gone, a run cannot be continued, or ends otherwise
than undisturbed; if there is a traceback, or another exit status than is
documented; or if a process takes more than 12 times as long as the undisturbed
one, and more than a minute. It is *executed* if code out of a file has run; and
*unclear* (of `fuzzing` only) if the error does not name the argument.

faults.csv holds the table, faults_tried.csv each fault, fuzzing.csv each call
of `fuzzing`, and summary.json every check. The exit status is 1 if one fails.
Without `fuzzing` it takes about ten minutes on two cores.
"""

import contextlib
import pathlib
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from absl import flags

from benchmarks import full_disks, interrupted_runs, trials
from benchmarks.disturbed_training import Training
from experiments.command_line.commands import Command
from experiments.results.check_list import Check, at_most, summary
from experiments.results.outputs import SUMMARY, OutputFolder, write_json


class FaultSettings(NamedTuple):
    """What is tried.

    Attributes:
      parts: names of the parts.
      seed: of what is drawn.
      num_kills: number of kills.
      num_damages: number of flipped bits, and of cuts, of each kind of file.
      time_limit: seconds that a call of `fuzzing` may take.
      num_calls: number of calls of `fuzzing`, 0 for all.
      functions: pattern of the functions that `fuzzing` calls.
    """

    parts: tuple[str, ...]
    seed: int
    num_kills: int
    num_damages: int
    time_limit: float
    num_calls: int
    functions: str


def define_flags() -> None:
    """Defines the flags."""
    flags.DEFINE_string(
        "output_dir", None, "Folder of the results.", required=True
    )
    flags.DEFINE_boolean(
        "overwrite", False, "Whether to replace earlier results."
    )
    flags.DEFINE_multi_enum(
        "only", list(PARTS), list(PARTS), "The parts to run. Default: all."
    )
    flags.DEFINE_multi_enum("skip", [], list(PARTS), "Parts not to run.")
    flags.DEFINE_integer("seed", 0, "Seed of what is drawn.", lower_bound=0)
    flags.DEFINE_integer("num_kills", 6, "How often to kill.", lower_bound=3)
    flags.DEFINE_integer(
        "num_damages",
        150,
        "How many bits are flipped, and how many cuts are made, in each kind "
        "of file of `damaged_files`.",
        lower_bound=1,
    )
    flags.DEFINE_float(
        "time_limit",
        60.0,
        "Seconds that one call of `fuzzing` may take.",
        lower_bound=0.1,
    )
    flags.DEFINE_integer(
        "num_calls",
        0,
        "How many calls `fuzzing` makes, drawn from all; 0 makes all.",
        lower_bound=0,
    )
    flags.DEFINE_string(
        "functions", "*", "Which functions `fuzzing` calls: a pattern of names."
    )


def resolve(values: flags.FlagValues) -> FaultSettings:
    """Returns the settings of parsed flags."""
    return FaultSettings(
        tuple(part for part in values.only if part not in values.skip),
        values.seed,
        values.num_kills,
        values.num_damages,
        values.time_limit,
        values.num_calls,
        values.functions,
    )


class Scene(NamedTuple):
    """What a part works with.

    Attributes:
      settings: what is tried.
      stage: folder for files that are kept.
      training: a training that can be disturbed.
    """

    settings: FaultSettings
    stage: pathlib.Path
    training: Training


class Found(NamedTuple):
    """What a part has found.

    Attributes:
      trials: one for each fault.
      checks: beside those of the table.
    """

    trials: Sequence[trials.Trial]
    checks: Sequence[Check] = ()


def kill(scene: Scene) -> Found:
    """Kills a run."""
    settings = scene.settings
    return Found(
        interrupted_runs.kills(
            scene.training, settings.num_kills, settings.seed
        )
    )


def _of_training(part: Callable[[Training], list[trials.Trial]]) -> "Part":
    return lambda scene: Found(part(scene.training))


def damage(scene: Scene) -> Found:
    """Damages files."""
    from benchmarks import damaged_files

    settings = scene.settings
    return Found(
        damaged_files.damaged_files(settings.num_damages, settings.seed)
    )


def attack(scene: Scene) -> Found:
    """Gives hostile files to read."""
    from benchmarks import hostile_files

    return Found(hostile_files.hostile_files(scene.training))


def end_workers(scene: Scene) -> Found:
    """Ends worker processes."""
    from benchmarks import dead_workers

    return Found(dead_workers.dead_workers())


def fuzz(scene: Scene) -> Found:
    """Calls what is public with bad arguments."""
    from benchmarks import fuzzing

    settings = scene.settings
    cases = fuzzing.sampled(
        fuzzing.all_cases(settings.functions), settings.num_calls, settings.seed
    )
    print(f"{len(cases)} calls with a bad argument.", flush=True)
    outcomes = fuzzing.run(
        cases,
        settings.time_limit,
        lambda number: print(f"{number} of {len(cases)}", flush=True),
    )
    fuzzing.write(scene.stage / "fuzzing.csv", outcomes)
    print(f"\n{fuzzing.table(outcomes)}")
    kinds = {
        fuzzing.WORKS: trials.SURVIVED,
        fuzzing.NAMES: trials.REFUSED,
        fuzzing.UNNAMED: trials.UNCLEAR,
    }
    tried = [
        trials.Trial(
            "fuzzing",
            outcome.case.text,
            kinds.get(outcome.kind, trials.LOST),
            outcome.detail,
        )
        for outcome in outcomes
    ]
    unclear = sum(trial.outcome == trials.UNCLEAR for trial in tried)
    return Found(
        tried,
        [
            at_most(
                "fuzzing: errors that do not name the argument",
                unclear,
                0.03 * len(tried),
            ),
            *fuzzing.checks(outcomes),
        ],
    )


Part = Callable[[Scene], Found]
PARTS: dict[str, Part] = {
    "kills": kill,
    "signals": _of_training(interrupted_runs.signals),
    "closed_streams": _of_training(interrupted_runs.closed_streams),
    "two_processes": _of_training(interrupted_runs.two_processes),
    "full_disk": _of_training(full_disks.full_disk),
    "read_only_folder": _of_training(full_disks.read_only_folder),
    "damaged_files": damage,
    "hostile_files": attack,
    "dead_workers": end_workers,
    "fuzzing": fuzz,
}


def run(settings: FaultSettings, folder: OutputFolder) -> Sequence[Check]:
    """Runs the parts, one after the other."""
    start = time.monotonic()
    tried, checks = [], []
    with (
        folder.collect() as stage,
        tempfile.TemporaryDirectory(prefix="faults-") as name,
        contextlib.closing(Training(pathlib.Path(name).resolve())) as training,
    ):
        for part in settings.parts:
            print(f"{part}:", flush=True)
            found = PARTS[part](Scene(settings, stage, training))
            print(f"\n{trials.report(found.trials)}\n", flush=True)
            tried += found.trials
            checks += found.checks
        trials.write(stage, tried)
        checks = [*trials.checks(tried), *checks]
        write_json(
            stage / SUMMARY,
            summary(checks) | {"seconds": time.monotonic() - start},
        )
    print(f"\n{trials.report(tried)}")
    return checks


COMMAND = Command(define_flags, resolve, run, libraries=())

if __name__ == "__main__":
    COMMAND.start()
