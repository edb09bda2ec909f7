"""Which actions a policy has, as its distribution tells."""

from collections.abc import Callable
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import tensorflow as tf

from dice_tf.checks import check_whole_number
from dice_tf.distributions import (
    Distribution,
    all_log_probs,
    tfd,
)

# From a batch of observations to the distribution over actions.
Policy = Callable[[tf.Tensor], Distribution]

INFERRED: Final = "inferred"

# What exports are told of the actions: how many, `None` where they are not a
# finite set, or that the distribution tells it.
NumActions: TypeAlias = int | Literal["inferred"] | None

# Exports compute the probability of each.
_MOST_ACTIONS = 2**24


def check_num_actions(num_actions: Any) -> NumActions:
    """Returns a number of actions, `None` or `"inferred"`, or raises."""
    if num_actions is None or str(num_actions) == INFERRED:
        return num_actions
    return check_whole_number("num_actions", num_actions, 1, _MOST_ACTIONS)


def finite_actions(
    example: Distribution, num_actions: NumActions
) -> int | None:
    """Returns the number of actions, `None` if not a finite set.

    Args:
      example: what `example_distribution` returns.
      num_actions: a whole number; `None` where actions are not a finite set;
        or `"inferred"`, what the distribution tells.

    Raises:
      ValueError: if the distribution does not fit `num_actions`, or does not
        tell it.
    """
    if num_actions == INFERRED:
        num_actions = _infer_num_actions(example)
    if num_actions is not None:
        _check_num_actions(example, num_actions)
    return num_actions


def example_distribution(
    policy: Policy, observation: tf.TensorSpec
) -> Distribution:
    """Returns the distribution of two observations.

    Args:
      policy: from observations to a tfp distribution over actions.
      observation: `[None, ...]`, named.

    Raises:
      TypeError: if the policy does not return a tfp distribution.
      ValueError: if that is not one distribution for each observation.
    """
    shape = [2, *(size or 1 for size in observation.shape[1:])]
    distribution = policy(tf.zeros(shape, observation.dtype))
    if not isinstance(distribution, tfd.Distribution):
        raise TypeError(
            "The policy's head must return a tfp distribution. Received: "
            f"{distribution!r} (of type {type(distribution).__name__})."
        )
    if distribution.batch_shape != [2]:
        raise ValueError(
            "The policy's head must return one distribution per observation, "
            "of batch shape [B]. Received batch shape "
            f"{distribution.batch_shape} for B = 2; "
            "tfp.distributions.Independent makes one of several."
        )
    return distribution


def _infer_num_actions(
    distribution: Distribution,
) -> int | None:
    if isinstance(distribution, tfd.Bernoulli):
        return 2
    if isinstance(distribution, tfd.Categorical):
        return distribution.logits_parameter().shape[-1]
    if distribution.dtype.is_floating:
        return None
    raise ValueError(
        "`num_actions` must be given, a whole number or None: it cannot be "
        f"inferred from the policy's distribution {distribution.name!r}."
    )


def _check_num_actions(distribution: Distribution, num_actions: int) -> None:
    try:
        log_probs = all_log_probs(distribution, num_actions)
        total = tf.reduce_sum(tf.exp(log_probs), axis=-1)
    except Exception as error:
        raise ValueError(
            f"`num_actions` ({num_actions}) does not fit the policy's "
            f"distribution {distribution.name!r}: {error}"
        ) from error
    if not np.all(np.isfinite(total)):
        raise ValueError(
            "The policy must give finite probabilities. Those of the "
            f"distribution {distribution.name!r} are NaN or infinite, as its "
            "weights may be."
        )
    if not np.allclose(total, 1.0, atol=1e-3):
        raise ValueError(
            f"`num_actions` ({num_actions}) does not fit the policy's "
            f"distribution {distribution.name!r}: the probabilities of so "
            f"many actions sum to {total.numpy()[0]:g} instead of 1."
        )
