"""Estimators of a return's derivatives, and what they are made of."""

from dice_tf.estimators.variants import (
    first_order_baseline_objective,
    loaded_dice_objective,
    surrogate_objective,
)

__all__ = [
    "first_order_baseline_objective",
    "loaded_dice_objective",
    "surrogate_objective",
]
