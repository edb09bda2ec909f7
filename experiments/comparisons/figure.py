"""The methods of the LOLA-DiCE figure, and what their curves should be.

To add a method to the figure, add a line to each table that it belongs to.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..results.curves import (
    COOPERATIVE,
    FINAL_ITERATIONS,
    final_joint_returns,
    joint_returns,
)
from ..results.published import published_curves
from ..settings.defaults import Defaults, defaults_for

RECOMMENDED = "recommended"
PUBLISHED = "published"

# Plain DiCE with rewards centred per round, as in the published runs.
_CENTRED = Defaults(baseline="leave_one_out", loaded_lambda=1.0, tau=1.0)

# A batch of 4000 episodes says so much that the cheaper estimator and few
# iterations are enough.
LARGE_BATCH = "lola_batch_4000"
LARGE_BATCH_ITERATIONS = 40

# By setting and method; `None` stands for the defaults of `defaults_for`.
METHODS: dict[str, dict[str, Defaults | None]] = {
    RECOMMENDED: {
        "naive": None,
        "lola_surrogate": None,
        "lola": None,
        LARGE_BATCH: _CENTRED._replace(
            inner_learning_rate=defaults_for(1).inner_learning_rate,
            learning_rate=defaults_for(1).learning_rate,
        ),
        "lola_dice_1_lookahead": None,
        "lola_dice_2_lookaheads": None,
        "lola_dice_3_lookaheads": None,
        "lola_dice_1_lookahead_opponent_model": None,
    },
    # Inferred from each of the published curves: no single setting gives them
    # all, and the settings of the paper are not known.
    PUBLISHED: {
        "naive": _CENTRED._replace(learning_rate=0.15),
        "lola": _CENTRED._replace(inner_learning_rate=0.25, learning_rate=0.19),
        "lola_dice_1_lookahead": _CENTRED._replace(
            inner_learning_rate=0.25, learning_rate=0.19
        ),
        "lola_dice_2_lookaheads": _CENTRED._replace(
            inner_learning_rate=0.2, learning_rate=0.15
        ),
    },
}


class Target(NamedTuple):
    """What a method should reach with the recommended settings.

    Attributes:
      bound: of the mean final joint return.
      is_upper: whether it is an upper bound, for methods that should fail.
      share_of_runs: of runs that should end in cooperation.
    """

    bound: float
    is_upper: bool = False
    share_of_runs: float = 0.0

    def is_met(self, mean: float, num_cooperative: int, num_runs: int) -> bool:
        """Tells whether the runs of a method meet the target."""
        if self.is_upper:
            return mean <= self.bound
        needed = math.ceil(self.share_of_runs * num_runs - 1e-9)
        return mean >= self.bound and num_cooperative >= needed

    def __str__(self) -> str:
        text = f"at {'most' if self.is_upper else 'least'} {self.bound:g}"
        if self.share_of_runs:
            text += f", {self.share_of_runs:.0%} of runs"
        return text


TARGETS = {
    "naive": Target(-1.95, is_upper=True),
    "lola_surrogate": Target(-1.9, is_upper=True),
    LARGE_BATCH: Target(-1.3),
    "lola_dice_1_lookahead": Target(-1.05, share_of_runs=0.95),
    "lola_dice_2_lookaheads": Target(-1.05, share_of_runs=0.9),
    "lola_dice_3_lookaheads": Target(-1.05, share_of_runs=0.9),
    "lola_dice_1_lookahead_opponent_model": Target(-1.05),
}

# The names of our methods in the published curves.
PUBLISHED_NAMES = {
    "naive": "naive",
    "lola": "lola_original",
    "lola_dice_1_lookahead": "lola_dice_1_lookahead",
    "lola_dice_2_lookaheads": "lola_dice_2_lookaheads",
}


# By method, what to add to its entry of `summary.json`; and columns for a table
# of methods, each a header and one cell per method.
Verdicts = tuple[dict[str, dict[str, Any]], list[list[str]]]


def target_verdicts(curves: Mapping[str, np.ndarray]) -> Verdicts:
    """Compares final returns with the targets of the recommended settings."""
    notes = {}
    required, met = ["required"], [""]
    for name, values in curves.items():
        required.append("")
        met.append("")
        if name not in TARGETS:
            continue
        required[-1] = str(TARGETS[name])
        finals = final_joint_returns(values)
        is_met = TARGETS[name].is_met(
            float(finals.mean()),
            int(np.sum(finals >= COOPERATIVE)),
            len(finals),
        )
        met[-1] = "passed" if is_met else "FAILED"
        notes[name] = {"target": {"required": required[-1], "passed": is_met}}
    return notes, [required, met]


def band_verdicts(curves: Mapping[str, np.ndarray]) -> Verdicts:
    """Compares curves with the confidence bands of the published ones."""
    published = published_curves()
    notes = {}
    final, share = ["published"], ["iterations in or above its band"]
    for name, values in curves.items():
        final.append("")
        share.append("")
        if name not in PUBLISHED_NAMES:
            continue
        curve = published[PUBLISHED_NAMES[name]]
        mean = joint_returns(values).mean(axis=1)[: len(curve.mean)]
        low, _ = curve.band
        reached = mean >= low[: len(mean)]
        last = float(curve.mean[-FINAL_ITERATIONS:].mean())
        notes[name] = {
            "published": {
                "final_joint_return_mean": last,
                "share_of_iterations_in_or_above_band": float(reached.mean()),
                "iterations_below_band": [
                    int(i) for i in np.flatnonzero(~reached)
                ],
            }
        }
        final[-1] = f"{last:.3f}"
        share[-1] = f"{np.sum(reached)} of {len(reached)}"
    return notes, [final, share]
