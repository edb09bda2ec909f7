"""Commands that end with checks: the same table and exit status for all."""

import sys
from collections.abc import Callable, Sequence

from experiments.results.checks import Check, as_table, read_checks
from experiments.results.outputs import (
    SUMMARY,
    OutputFolder,
    finished,
    interrupted,
)


def checks_of(
    folder: OutputFolder, run: Callable[[], Sequence[Check]]
) -> Sequence[Check]:
    """Returns the checks of a run, or those of one that has finished.

    Args:
      folder: of the results.
      run: measures and writes the files; it can be interrupted and resumed.
    """
    if folder.has_finished:
        print(finished(folder))
        return read_checks(folder.path / SUMMARY)
    try:
        return run()
    except KeyboardInterrupt:
        sys.exit(interrupted(folder))


def conclude(folder: OutputFolder, checks: Sequence[Check]) -> None:
    """Prints the checks; ends the process with status 1 if one failed."""
    print(f"\n{as_table(checks)}\n\nFiles: {folder.path}")
    failed = sum(not check.passed for check in checks)
    if failed:
        print(f"{failed} of {len(checks)} checks failed.")
        sys.exit(1)
