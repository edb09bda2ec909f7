"""Measures of trained players, with which facts on learners are checked."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..results.check_list import Check

# The largest mean distance from one half of players that toss coins.
_MIXED = 0.1


class Mixing(NamedTuple):
    """How far policies are from tossing a coin, one entry per run.

    Attributes:
      mean: the mean distance of the probabilities from one half, of the player
        that is further away; states weigh as often as they are visited.
      largest: the largest distance, in any state and of either player.
    """

    mean: np.ndarray
    largest: np.ndarray


def enough_runs(
    name: str, satisfied: Sequence[bool] | np.ndarray, share: float
) -> Check:
    """Requires something of a share of the runs, at least."""
    count, total = int(np.sum(satisfied)), len(satisfied)
    needed = int(np.ceil(share * total - 1e-9))
    return Check(
        f"{name}, runs of {total}", count, f">= {needed}", count >= needed
    )


def share_of_runs(
    satisfied: Sequence[bool] | np.ndarray, measured: np.ndarray
) -> float:
    """Returns in what share of the runs something is found.

    Returns:
      The share; NaN if a run has diverged, so that the numbers by which it
      was judged, `measured[run]`, are not finite. Such a run is not evidence
      that there is nothing to find.
    """
    if not np.all(np.isfinite(measured)):
        return np.nan
    return float(np.mean(satisfied))


def is_mixed(mixing: Mixing) -> np.ndarray:
    """Tells for each run whether both players mix evenly, `[num_runs]`."""
    return mixing.mean <= _MIXED


def mixing(tables: Sequence[np.ndarray], discount: float) -> Mixing:
    """Measures policies of a game of two players with two actions each.

    Args:
      tables: per player `[num_runs, 5, 2]`, probabilities of actions after
        the last round as the player sees it (its own action first), the start
        last.
      discount: a visit t rounds on weighs `discount^t`; below 1.
    """
    first = tables[0][:, :, 0]
    # In the order of states in which player 0's action comes first.
    second = tables[1][:, [0, 2, 1, 3, 4], 0]
    distances = np.abs(np.stack([first, second]) - 0.5)
    visits = np.stack(
        [_visits(*pair, discount) for pair in zip(first, second, strict=True)]
    )
    means = np.sum(visits * distances, axis=2)
    return Mixing(means.max(axis=0), distances.max(axis=(0, 2)))


def _visits(first: np.ndarray, second: np.ndarray, discount: float):
    """Returns the shares of visits of each state, `[5]`."""
    joint = np.stack(
        [
            first * second,
            first * (1.0 - second),
            (1.0 - first) * second,
            (1.0 - first) * (1.0 - second),
            np.zeros_like(first),
        ],
        axis=1,
    )
    start = np.eye(len(first))[-1]
    system = np.eye(len(first)) - discount * joint.T
    return (1.0 - discount) * np.linalg.solve(system, start)


def cooperation(
    finals: np.ndarray, defection: float, cooperation: float
) -> np.ndarray:
    """Returns how much of the gain from cooperation each run reaches.

    The result, `[num_runs]`, is 0 for the return of mutual `defection`, and 1
    for that of mutual `cooperation`.
    """
    joint = finals.mean(axis=1)
    return (joint - defection) / (cooperation - defection)


def gain_in_errors(returns: np.ndarray, others: np.ndarray) -> float:
    """Returns how much more is earned, in standard errors of the difference.

    Returns:
      The difference of the mean returns of the players over its standard
      error, that of independent runs; NaN if there are too few runs.
    """
    joint, joint_others = (
        group.mean(axis=1, dtype=np.float64) for group in (returns, others)
    )
    if min(len(joint), len(joint_others)) < 2:
        return np.nan
    variances = [
        np.var(group, ddof=1) / len(group) for group in (joint, joint_others)
    ]
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = joint.mean() - joint_others.mean()
        return float(difference / np.sqrt(sum(variances)))


def constant_return(reward: float, discount: float, length: int) -> float:
    """Returns the reported return of the same reward in every round."""
    return reward * (1.0 - discount**length)
