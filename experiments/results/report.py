"""The table that an experiment prints at its end."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.results.summary import FINAL_ITERATIONS
from experiments.results.text_tables import aligned

# In the prisoner's dilemma: close enough to mutual cooperation, about -1.
COOPERATIVE = -1.15


def print_report(
    summary: Mapping[str, Mapping[str, Any]],
    folder: str | os.PathLike,
    columns: Sequence[Sequence[str]] = (),
) -> None:
    """Prints one line per method, and where the files are.

    In the prisoner's dilemma it counts the runs that end in cooperation. Runs
    that have failed are named.

    Args:
      summary: what `summary.json` holds.
      folder: the folder of results.
      columns: further columns, each a header and one cell per method.
    """
    is_known = any("iterations_to" in entry for entry in summary.values())
    header = ["method", f"joint return (last {FINAL_ITERATIONS})"]
    if is_known:
        header.append(f"runs at least {COOPERATIVE}")
    header += [column[0] for column in columns]
    rows = [[*header, "seconds"]]
    for index, (method, entry) in enumerate(summary.items(), 1):
        row = [method, _mean_and_spread(entry)]
        if is_known:
            finals = entry["final_joint_return_per_run"]
            reached = sum(final >= COOPERATIVE for final in finals)
            row.append(f"{reached} of {len(finals)}")
        row += [column[index] for column in columns]
        rows.append([*row, f"{entry['seconds']:.1f}"])
    print(f"\n{aligned(rows)}\n")
    for method, entry in summary.items():
        total = len(entry["final_joint_return_per_run"])
        if entry["failed_runs"]:
            print(f"{method}: {failed_text(entry['failed_runs'], total)}")
    print(f"Files: {folder}")


def failed_text(failed: Sequence[int], num_runs: int) -> str:
    """Returns a line that names the runs that have failed, from 1."""
    return (
        f"{len(failed)} of {num_runs} runs failed, as their numbers are no "
        f"longer finite: {', '.join(map(str, failed))}. Smaller rates, or "
        "--max_gradient_norm, may help."
    )


def _mean_and_spread(entry: Mapping[str, Any]) -> str:
    text = f"{entry['final_joint_return_mean']:.3f}"
    if entry["final_joint_return_std"] is not None:
        text += f" +- {entry['final_joint_return_std']:.3f}"
    return text
