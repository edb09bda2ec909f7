"""What `summary.json` says about a method, computed from its curves."""

from typing import Any

import numpy as np

FINAL_ITERATIONS = 10

_LEVELS = ("-1.5", "-1.2", "-1.1")

# The curve of the prisoner's dilemma dips first, within so many iterations.
_LAST_DIP = 50


def joint_returns(curves: np.ndarray) -> np.ndarray:
    """Returns the mean over players, `[num_iterations, num_runs]`.

    Args:
      curves: `[num_iterations, num_runs, num_players]`, reported returns.
    """
    return np.mean(np.asarray(curves, np.float64), axis=2)


def final_joint_returns(curves: np.ndarray) -> np.ndarray:
    """Returns each run's joint return over the last iterations, `[num_runs]`.

    Args:
      curves: `[num_iterations, num_runs, num_players]`.
    """
    return np.mean(joint_returns(curves)[-FINAL_ITERATIONS:], axis=0)


def median_run(curves: np.ndarray) -> int:
    """Returns the run (from 0) whose final joint return is the median.

    Of an even number of runs it is the lower one of the middle two. What is
    not a number counts as the highest.
    """
    order = np.argsort(final_joint_returns(curves), kind="stable")
    return int(order[(len(order) - 1) // 2])


def iterations_to(curves: np.ndarray) -> dict[str, int | None]:
    """Returns when the mean curve has climbed to each level of interest.

    Args:
      curves: `[num_iterations, num_runs, num_players]`, of the iterated
        prisoner's dilemma.

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
    }
    if is_prisoners_dilemma:
        entry["iterations_to"] = iterations_to(curves)
    entry["seconds"] = seconds
    entry["seconds_per_iteration"] = seconds_per_iteration
    return entry
