"""Estimators of a return's derivatives, and what they are made of.

All have the signature of `dice_tf.dice_objective` and its value, the
discounted return. They differ in their derivatives:

| estimator                        | unbiased orders | lower variance in |
|----------------------------------|-----------------|-------------------|
| `surrogate_objective`            | 1               | 1                 |
| `first_order_baseline_objective` | all             | 1                 |
| `dice_objective`                 | all             | all               |
| `loaded_dice_objective`          | see there       | all               |

The variance is that with state values as the baseline. A discount per step of
0 ends an episode, and what stands behind its end does not count.
"""

from dice_tf.estimators.first_order_baseline import (
    first_order_baseline_objective,
)
from dice_tf.estimators.loaded_dice import loaded_dice_objective
from dice_tf.estimators.returns import (
    discount_weights,
    discounted_rewards,
    generalized_advantages,
    lambda_returns,
    mean_return,
    returns_to_go,
    running_steps,
)
from dice_tf.estimators.surrogate import surrogate_objective

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
