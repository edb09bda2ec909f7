"""The published learning curves of the LOLA-DiCE prisoner's dilemma."""

import csv
import math
import pathlib
from typing import NamedTuple

import numpy as np

_FILE = pathlib.Path(__file__).parent / "data" / "dice_paper_ipd_curves.csv"

LABELS = {
    "naive": "naive",
    "lola_original": "LOLA",
    "lola_dice_1_lookahead": "LOLA-DiCE, 1 look-ahead",
    "lola_dice_2_lookaheads": "LOLA-DiCE, 2 look-aheads",
}

_NUM_RUNS = 5
# The 97.5 % quantile of Student's t with 4 degrees of freedom.
_QUANTILE = 2.776


class PublishedCurve(NamedTuple):
    """The joint return of one method, over five runs.

    Attributes:
      mean: `[200]`, mean over runs, by iteration.
      std: `[200]`, standard deviation over runs.
    """

    mean: np.ndarray
    std: np.ndarray

    @property
    def band(self) -> np.ndarray:
        """A 95 % confidence band of the mean, `[2, 200]`: low and high."""
        half = _QUANTILE * self.std / math.sqrt(_NUM_RUNS)
        return np.stack([self.mean - half, self.mean + half])


def published_curves() -> dict[str, PublishedCurve]:
    """Returns the published curves by method, see `data/README.md`."""
    rows: dict[str, list[list[float]]] = {}
    with open(_FILE, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            values = [row["joint_return_mean"], row["joint_return_std"]]
            rows.setdefault(row["method"], []).append(
                [float(value) for value in values]
            )
    return {
        method: PublishedCurve(*np.transpose(values))
        for method, values in rows.items()
    }
