"""Faults that were tried, what came of each, and the table of all."""

import collections
import csv
import pathlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from experiments.results.check_list import Check, aligned, at_least, at_most

# The results are those of a run that nothing has disturbed, byte for byte.
SURVIVED = "survived"
# An error in our words said so, and all that the user had was still there.
REFUSED = "refused"
# Something of the user's is gone or different, or cannot be continued; or
# there was a traceback, another exit status, or no end.
LOST = "lost"
# Code out of a file has run.
EXECUTED = "executed"
# Nothing is lost, but the error does not name the argument that was wrong.
UNCLEAR = "unclear"
# This machine does not allow it; the detail says why.
NOT_TRIED = "not tried"

COLUMNS = (SURVIVED, REFUSED, LOST, EXECUTED, UNCLEAR)
# Of a detail, in the table of failures.
_MOST_CHARACTERS = 400
_MOST_FAILURES = 40


class Trial(NamedTuple):
    """One fault.

    Attributes:
      part: the part of `benchmarks.faults` that it belongs to.
      fault: what was done.
      outcome: one of the constants above.
      detail: what came of it, if it is not as it should be.
    """

    part: str
    fault: str
    outcome: str
    detail: str = ""


def judged(part: str, fault: str, wrong: str, good: str = SURVIVED) -> Trial:
    """Returns a trial from what went wrong.

    Args:
      part: as of `Trial`.
      fault: as of `Trial`.
      wrong: what went wrong, `""` if nothing did.
      good: the outcome in that case.
    """
    return Trial(part, fault, LOST if wrong else good, wrong)


def lost_together(
    trials: Sequence[Trial], compare: Callable[[], str]
) -> list[Trial]:
    """Returns trials that all count as lost if a later comparison fails.

    Args:
      trials: faults that met one run, one after the other.
      compare: says at the end what is different, `""` if nothing is.
    """
    difference = compare()
    if not difference:
        return list(trials)
    return [
        trial
        if trial.outcome == LOST
        else trial._replace(outcome=LOST, detail=difference)
        for trial in trials
    ]


def rows(trials: Sequence[Trial]) -> list[list[str]]:
    """Returns the table: a header, one row per part, and the sum."""
    counts: dict[str, collections.Counter] = {}
    for trial in trials:
        counts.setdefault(trial.part, collections.Counter())[trial.outcome] += 1
    if len(counts) > 1:
        counts["all"] = sum(counts.values(), collections.Counter())
    table = [["part", "tried", *COLUMNS]]
    for part, count in counts.items():
        tried = count.total() - count[NOT_TRIED]
        table.append(
            [part, *map(str, (tried, *(count[kind] for kind in COLUMNS)))]
        )
    return table


def report(trials: Sequence[Trial]) -> str:
    """Returns the table, and what went wrong or could not be tried."""
    parts = [aligned(rows(trials))]
    for kinds in ((LOST, EXECUTED), (NOT_TRIED,)):
        found = [trial for trial in trials if trial.outcome in kinds]
        parts += [
            f"{trial.outcome}: {trial.part}, {trial.fault}: "
            f"{trial.detail[:_MOST_CHARACTERS]}"
            for trial in found[:_MOST_FAILURES]
        ]
    return "\n".join(parts)


def checks(trials: Sequence[Trial]) -> list[Check]:
    """Returns what each part must come to."""
    found = []
    for part, tried, _, _, lost, executed, _ in rows(trials)[1:]:
        found += [
            at_least(f"{part}: faults tried", int(tried), 1),
            at_most(f"{part}: lost", int(lost), 0),
            at_most(f"{part}: executed", int(executed), 0),
        ]
    return found


def write(folder: pathlib.Path, trials: Sequence[Trial]) -> None:
    """Writes the table, and a file with one line per fault."""
    fields = [[*Trial._fields], *map(list, trials)]
    for name, lines in (
        ("faults.csv", rows(trials)),
        ("faults_tried.csv", fields),
    ):
        with open(folder / name, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            for line in lines:
                writer.writerow(
                    [cell.encode("utf-8", "replace").decode() for cell in line]
                )
