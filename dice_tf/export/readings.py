"""A policy to be exported, read as a function from observations."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from dice_tf.checks import naming_given
from dice_tf.distributions import Distribution
from dice_tf.models.seat_models import (
    SeatModel,
    check_finite_weights,
    observation_spec,
)
from dice_tf.policies.action_masks import carried_mask, masked_head
from dice_tf.policies.action_sets import INFERRED, Policy, check_num_actions
from dice_tf.policies.heads import head_of


class Reading(NamedTuple):
    """A policy as a function, and what it observes.

    Attributes:
      distribution: from observations to a tfp distribution over actions.
      observation: `tf.TensorSpec`, `[None, ...]`.
    """

    distribution: Policy
    observation: tf.TensorSpec


def read_policy(
    policy: keras.Model,
    num_actions: Any,
    observation_shape: Sequence[int | None] | None,
) -> Reading:
    """Binds a policy to its head; arguments and errors as of exports."""
    num_actions = check_num_actions(num_actions)
    observation = observation_spec(policy, observation_shape)
    check_finite_weights("policy", policy)
    expected = "the shape of one observation of the policy"
    with naming_given("observation_shape", observation_shape, expected):
        model = SeatModel(
            "policy",
            policy,
            tuple(size or 1 for size in observation.shape[1:]),
            observation.dtype,
            is_seated=False,
        )
    if num_actions == INFERRED:
        # Without an attached head, one output means two actions.
        seat_actions = max(model.num_outputs, 2)
    else:
        seat_actions = num_actions
    head = head_of(policy, model.num_outputs, seat_actions)
    read = masked_head(head, carried_mask(policy))

    def distribution(observation: tf.Tensor) -> Distribution:
        outputs = policy(observation)
        # Uniform noise in half precision is too coarse to choose actions.
        if outputs.dtype.size < 4:
            outputs = tf.cast(outputs, tf.float32)
        return read(outputs, observation)

    return Reading(distribution, observation)
