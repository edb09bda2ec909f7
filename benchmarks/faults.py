"""What the library does when it is used wrongly.

  python -m benchmarks.faults --output_dir=runs/faults
  python -m benchmarks.faults --output_dir=runs/fuzzing --only=fuzzing

`fuzzing` calls every public constructor, function and method with one bad
argument at a time, of 27 kinds. Each call must work, or raise a `ValueError`
or `TypeError` that names the argument, within --time_limit seconds. It prints
how many calls came to what, and fuzzing.csv holds each of them.

summary.json holds every check; the exit status is 1 if one fails.
"""

import pathlib
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from absl import flags

from experiments.command_line.commands import Command
from experiments.results.check_list import Check, summary
from experiments.results.outputs import SUMMARY, OutputFolder, write_json


class FaultSettings(NamedTuple):
    """What is tried.

    Attributes:
      only: names of the parts.
      seed: of what is drawn.
      time_limit: seconds that a call of `fuzzing` may take.
      num_calls: number of calls of `fuzzing`, 0 for all.
      functions: pattern of the functions that `fuzzing` calls.
    """

    only: tuple[str, ...]
    seed: int
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
    flags.DEFINE_integer("seed", 0, "Seed of what is drawn.", lower_bound=0)
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
        tuple(values.only),
        values.seed,
        values.time_limit,
        values.num_calls,
        values.functions,
    )


def fuzz(settings: FaultSettings, stage: pathlib.Path) -> list[Check]:
    """Calls what is public with bad arguments."""
    from benchmarks import fuzzing

    cases = fuzzing.sampled(
        fuzzing.all_cases(settings.functions), settings.num_calls, settings.seed
    )
    print(f"{len(cases)} calls with a bad argument.", flush=True)
    outcomes = fuzzing.run(
        cases,
        settings.time_limit,
        lambda number: print(f"{number} of {len(cases)}", flush=True),
    )
    fuzzing.write(stage / "fuzzing.csv", outcomes)
    print(f"\n{fuzzing.table(outcomes)}")
    return fuzzing.checks(outcomes)


# From the settings and a folder for the files of the part.
Part = Callable[[FaultSettings, pathlib.Path], list[Check]]
PARTS: dict[str, Part] = {"fuzzing": fuzz}


def run(settings: FaultSettings, folder: OutputFolder) -> Sequence[Check]:
    """Runs the parts, one after the other."""
    start = time.monotonic()
    found = []
    with folder.collect() as stage:
        for name in settings.only:
            found += PARTS[name](settings, stage)
        write_json(
            stage / SUMMARY,
            summary(found) | {"seconds": time.monotonic() - start},
        )
    return found


COMMAND = Command(define_flags, resolve, run, libraries=())

if __name__ == "__main__":
    COMMAND.start()
