"""How the curves of the LOLA-DiCE figure compare with what they should be."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from experiments.comparisons.figure_methods import PUBLISHED_NAMES, TARGETS
from experiments.results.published import published_curves
from experiments.results.report import COOPERATIVE
from experiments.results.summary import (
    FINAL_ITERATIONS,
    final_joint_returns,
    joint_returns,
)


class Verdicts(NamedTuple):
    """What is said of methods, beside their returns.

    Attributes:
      notes: by method, what to add to its entry of `summary.json`.
      columns: for the table, each a header and one cell per method.
    """

    notes: dict[str, dict[str, Any]]
    columns: list[list[str]]


def target_verdicts(curves: Mapping[str, np.ndarray]) -> Verdicts:
    """Compares final returns with what the recommended settings should reach.

    Args:
      curves: by method `[num_iterations, num_runs, num_players]`.
    """
    notes = {}
    required, met = ["required"], [""]
    for name, values in curves.items():
        if name not in TARGETS:
            required.append("")
            met.append("")
            continue
        finals = final_joint_returns(values)
        is_met = TARGETS[name].is_met(
            float(finals.mean()),
            int(np.sum(finals >= COOPERATIVE)),
            len(finals),
        )
        notes[name] = {
            "target": {"required": str(TARGETS[name]), "passed": is_met}
        }
        required.append(str(TARGETS[name]))
        met.append("passed" if is_met else "FAILED")
    return Verdicts(notes, [required, met])


def band_verdicts(curves: Mapping[str, np.ndarray]) -> Verdicts:
    """Compares curves with the confidence bands of the published ones.

    Args:
      curves: by method `[num_iterations, num_runs, num_players]`.
    """
    published = published_curves()
    notes = {}
    final, share = ["published"], ["iterations in or above its band"]
    for name, values in curves.items():
        if name not in PUBLISHED_NAMES:
            final.append("")
            share.append("")
            continue
        other = published[PUBLISHED_NAMES[name]]
        mean = joint_returns(values).mean(axis=1)[: len(other.mean)]
        low, _ = other.band
        reached = mean >= low[: len(mean)]
        last = float(other.mean[-FINAL_ITERATIONS:].mean())
        notes[name] = {
            "published": {
                "final_joint_return_mean": last,
                "share_of_iterations_in_or_above_band": float(reached.mean()),
                "iterations_below_band": [
                    int(i) for i in np.flatnonzero(~reached)
                ],
            }
        }
        final.append(f"{last:.3f}")
        share.append(f"{np.sum(reached)} of {len(reached)}")
    return Verdicts(notes, [final, share])
