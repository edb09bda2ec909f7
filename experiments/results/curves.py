"""Learning curves: `curves.csv`, and what `summary.json` says of them.

Curves are reported returns, `[num_iterations, num_runs, num_players]`, float32.
Final returns are `[num_runs, ...]`.
"""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

FINAL_ITERATIONS = 10
# In the prisoner's dilemma: close enough to mutual cooperation, about -1.
COOPERATIVE = -1.15

_LEVELS = ("-1.5", "-1.2", "-1.1")

# Within so many iterations the curve of the prisoner's dilemma first falls.
_LAST_DIP = 50


def joint_returns(curves: np.ndarray) -> np.ndarray:
    """Returns the mean over players, `[num_iterations, num_runs]`."""
    return np.mean(np.asarray(curves, np.float64), axis=2)


def final_returns(curves: np.ndarray) -> np.ndarray:
    """Returns the mean over the last iterations, `[num_runs, num_players]`."""
    return np.mean(curves[-FINAL_ITERATIONS:], axis=0, dtype=np.float64)


def final_joint_returns(curves: np.ndarray) -> np.ndarray:
    """Returns each joint return over the last iterations, `[num_runs]`."""
    return np.mean(joint_returns(curves)[-FINAL_ITERATIONS:], axis=0)


def failed_runs(returns: np.ndarray) -> list[int]:
    """Returns the runs (from 1, as in `curves.csv`) that are not finite."""
    are_finite = np.isfinite(np.reshape(returns, [len(returns), -1]))
    return [int(run) + 1 for run in np.flatnonzero(~are_finite.all(axis=1))]


def print_failed(returns: np.ndarray, prefix: str = "") -> None:
    """Prints a line that names the runs that have failed, if there are any."""
    if failed := failed_runs(returns):
        print(
            f"{prefix}{len(failed)} of {len(returns)} runs failed, as their "
            f"numbers are no longer finite: {', '.join(map(str, failed))}. "
            "Smaller rates, or --max_gradient_norm, may help.",
            flush=True,
        )


def median_run(curves: np.ndarray) -> int | None:
    """Returns the run (from 0) whose final joint return is the median.

    Of an even number of runs it is the lower one of the middle two. NaN counts
    as the highest return and is never chosen: if most runs have failed, the
    result is the highest of the others, and `None` if all have failed.
    """
    finals = final_joint_returns(curves)
    order = np.argsort(finals, kind="stable")
    num_finite = np.count_nonzero(np.isfinite(finals))
    if not num_finite:
        return None
    return int(order[min((len(order) - 1) // 2, num_finite - 1)])


def iterations_to(curves: np.ndarray) -> dict[str, int | None]:
    """Returns when the mean curve has climbed to each level.

    Returns:
      By level the first iteration (from 0), at or after the lowest point of
      the joint return's mean over runs among the first 50 iterations, where
      that mean is at least the level; `None` if there is none.
    """
    mean = np.mean(joint_returns(curves), axis=1)
    dip = int(np.argmin(mean[:_LAST_DIP]))
    reached = {}
    for level in _LEVELS:
        after = np.flatnonzero(mean[dip:] >= float(level))
        reached[level] = dip + int(after[0]) if after.size else None
    return reached


def summarise(
    curves: np.ndarray,
    seconds: float,
    seconds_per_iteration: float,
    is_prisoners_dilemma: bool,
) -> dict[str, Any]:
    """Returns the entry of `summary.json` for a method.

    A run that is not finite at the end has failed: `failed_runs` names it, and
    the mean over the runs is NaN.

    Args:
      curves: `[num_iterations, num_runs, num_players]`.
      seconds: wall time of the training of all runs, compilation included.
      seconds_per_iteration: wall time of one iteration of all runs, once
        compiled.
      is_prisoners_dilemma: whether to tell `iterations_to`.
    """
    finals = final_joint_returns(curves)
    spread = float(np.std(finals, ddof=1)) if len(finals) > 1 else None
    entry = {
        "final_joint_return_mean": float(np.mean(finals)),
        "final_joint_return_std": spread,
        "final_joint_return_per_run": [float(value) for value in finals],
        "failed_runs": failed_runs(finals),
    }
    if is_prisoners_dilemma:
        entry["iterations_to"] = iterations_to(curves)
    entry["seconds"] = seconds
    entry["seconds_per_iteration"] = seconds_per_iteration
    return entry


def write_curves(path: pathlib.Path, curves: Mapping[str, np.ndarray]) -> None:
    """Writes the curves of several methods.

    Each return has as many digits as distinguish it from its neighbours, so
    that the file holds exactly what was measured.
    """
    num_players = max(values.shape[2] for values in curves.values())
    players = [f"player_{player}_return" for player in range(num_players)]
    lines = [",".join(["method", "run", "iteration", *players])]
    for method, values in curves.items():
        for run in range(values.shape[1]):
            for iteration, returns in enumerate(values[:, run]):
                digits = ",".join(_exact(value) for value in returns)
                lines.append(f"{method},{run + 1},{iteration},{digits}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _exact(value: np.float32) -> str:
    return np.format_float_positional(value, unique=True, trim="0")
