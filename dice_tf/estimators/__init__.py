"""Estimators of a return's derivatives, and what they are made of."""

from dice_tf.estimators.returns import (
    discount_weights,
    discounted_rewards,
    generalized_advantages,
    lambda_returns,
    mean_return,
    returns_to_go,
    running_steps,
)
from dice_tf.estimators.variants import (
    first_order_baseline_objective,
    loaded_dice_objective,
    surrogate_objective,
)

__all__ = [
    "discount_weights",
    "discounted_rewards",
    "first_order_baseline_objective",
    "generalized_advantages",
    "lambda_returns",
    "loaded_dice_objective",
    "mean_return",
    "returns_to_go",
    "running_steps",
    "surrogate_objective",
]
