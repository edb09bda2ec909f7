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

    In the prisoner's dilemma it counts the runs that end in cooperation.

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
    print(f"\n{aligned(rows)}\n\nFiles: {folder}")


def _mean_and_spread(entry: Mapping[str, Any]) -> str:
    text = f"{entry['final_joint_return_mean']:.3f}"
    if entry["final_joint_return_std"] is not None:
        text += f" +- {entry['final_joint_return_std']:.3f}"
    return text
