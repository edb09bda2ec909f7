"""How far a memory-one strategy is from the classical ones."""

from typing import Any

import numpy as np

from dice_tf.checks import as_float_array
from dice_tf.evaluation.zero_determinant import check_cooperation
from dice_tf.policies.fixed import MEMORY_ONE

# Probabilities of cooperation after CC, CD, DC, DD, and at the start.
CLASSICAL = {
    **MEMORY_ONE,
    "always_cooperate": (1.0,) * 5,
    "always_defect": (0.0,) * 5,
    "random": (0.5,) * 5,
}


def strategy_distances(
    cooperation: Any, *, weights: Any = None
) -> dict[str, float]:
    """Returns the distance of a strategy to each classical one.

    The distance of p and q is `sqrt(sum_s w_s (p_s - q_s)^2)`, with weights
    of sum 1 over the five observations: the root mean square difference of
    probabilities. With equal weights the six are at least 0.447 apart.

    Args:
      cooperation: `[5]`, probabilities of action 0 after CC, CD, DC, DD (own
        action first), and at the start.
      weights: `[5]`, not negative, of any positive sum. Default: equal ones.
        With those of `dice_tf.evaluation.visit_frequencies` only what shows
        in play counts: two players that always cooperate are both tit for
        tat and always cooperate, at distance 0.

    Returns:
      Distances in [0, 1] by name, the nearest first: tit_for_tat,
      grim_trigger, win_stay_lose_shift, always_cooperate, always_defect,
      random.

    Raises:
      ValueError: if a shape is another, or the entries are not probabilities
        or weights.
    """
    cooperation = check_cooperation(cooperation)
    weights = _check_weights(weights)
    distances = {
        name: float(np.sqrt(weights @ np.square(cooperation - classical)))
        for name, classical in CLASSICAL.items()
    }
    return dict(sorted(distances.items(), key=lambda item: item[1]))


def _check_weights(weights: Any) -> np.ndarray:
    """Returns weights of sum 1."""
    weights = np.ones(5) if weights is None else weights
    weights = as_float_array("weights", weights)
    if (
        weights.shape != (5,)
        or not np.all(np.isfinite(weights) & (weights >= 0.0))
        or weights.sum() == 0.0
    ):
        raise ValueError(
            "`weights` must be five numbers that are not negative, of "
            "positive sum: one for each of CC, CD, DC, DD and the start. "
            f"Received: {weights}."
        )
    return weights / weights.sum()
