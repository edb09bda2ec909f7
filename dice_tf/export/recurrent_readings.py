"""A policy with memory, read as a function of observations and states."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from dice_tf.checks import naming_given
from dice_tf.distributions import Distribution
from dice_tf.models.recurrent_models import RecurrentSeatModel
from dice_tf.models.seat_models import check_finite_weights, observation_spec
from dice_tf.policies.action_masks import carried_mask, masked_head
from dice_tf.policies.action_sets import INFERRED, check_num_actions
from dice_tf.policies.heads import head_of
from dice_tf.policies.step_signatures import RecurrentPolicy


class RecurrentReading(NamedTuple):
    """A policy with memory as a function, and what it takes.

    Attributes:
      policy: from observations and states to a tfp distribution over actions
        and the states that follow.
      observation: `tf.TensorSpec`, `[None, ...]`.
      state: `tf.TensorSpec`, `[None, S]`: all states of the model, flattened
        and side by side.
    """

    policy: RecurrentPolicy
    observation: tf.TensorSpec
    state: tf.TensorSpec


def read_recurrent_policy(
    policy: keras.Model,
    num_actions: Any,
    observation_shape: Sequence[int | None] | None,
) -> RecurrentReading:
    """Binds a policy to its head; arguments and errors as of exports."""
    num_actions = check_num_actions(num_actions)
    observation = observation_spec(policy, observation_shape)
    check_finite_weights("policy", policy)
    shape = tuple(size or 1 for size in observation.shape[1:])
    expected = "the shape of one observation of the policy"
    with naming_given("observation_shape", observation_shape, expected):
        model = RecurrentSeatModel(
            "policy", policy, shape, observation.dtype, is_seated=False
        )
    dtypes = {spec.dtype for spec in model.state_specs}
    if len(dtypes) > 1:
        names = sorted(dtype.name for dtype in dtypes)
        raise ValueError(
            f"`policy` ({policy.name!r}) must have states of one dtype to be "
            f"exported. Received: {names}."
        )
    sizes = [spec.shape[1:].num_elements() for spec in model.state_specs]
    state = tf.TensorSpec([None, sum(sizes)], *dtypes, name="state")
    if num_actions == INFERRED:
        # Without an attached head, one output means two actions.
        seat_actions = max(model.num_outputs, 2)
    else:
        seat_actions = num_actions
    head = head_of(policy, model.num_outputs, seat_actions)
    read = masked_head(head, carried_mask(policy))

    def step(
        observed: tf.Tensor, before: tf.Tensor
    ) -> tuple[Distribution, tf.Tensor]:
        # A served function does not check shapes: a wrong one would be
        # broadcast.
        observed = tf.ensure_shape(observed, observation.shape)
        before = tf.split(tf.ensure_shape(before, state.shape), sizes, axis=1)
        outputs, after = model.current_step(
            observed,
            [
                tf.reshape(flat, [-1, *spec.shape[1:]])
                for flat, spec in zip(before, model.state_specs, strict=True)
            ],
        )
        # Uniform noise in half precision is too coarse to choose actions.
        if outputs.dtype.size < 4:
            outputs = tf.cast(outputs, tf.float32)
        flat = [
            tf.reshape(state, [-1, size])
            for state, size in zip(after, sizes, strict=True)
        ]
        return read(outputs, observed), tf.concat(flat, axis=1)

    return RecurrentReading(step, observation, state)
