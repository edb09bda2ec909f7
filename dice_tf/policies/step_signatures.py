"""The signatures of an exported policy with memory."""

from collections.abc import Callable

import tensorflow as tf

from dice_tf.distributions import Distribution
from dice_tf.policies.action_sets import NumActions, Policy
from dice_tf.policies.signatures import (
    PROBABILITIES,
    RowPolicy,
    Signature,
    are_not_finite,
    nan_for,
    nan_of_rows,
    same_rows,
    signature_builder,
)

# From observations and states to distributions over actions, and the states
# that follow.
RecurrentPolicy = Callable[
    [tf.Tensor, tf.Tensor], tuple[Distribution, tf.Tensor]
]

# From a policy without memory, what it observes and `num_actions` to what makes
# the signatures of policies that act as it does, see `signature_builder`.
Builder = Callable[
    [Policy, tf.TensorSpec, NumActions],
    Callable[[Policy, RowPolicy | None], dict[str, Signature]],
]

# A server merges requests along an axis, so that a number is the length of one.
_ROWS = tf.TensorSpec([None], tf.int32, "batch_size")
_NUMBER_OF_ROWS = tf.TensorSpec([], tf.int32, "batch_size")


def recurrent_signatures(
    policy: RecurrentPolicy,
    observation: tf.TensorSpec,
    state: tf.TensorSpec,
    num_actions: NumActions,
    builder: Builder = signature_builder,
) -> dict[str, Signature]:
    """Returns the signatures of a policy with memory by name.

    Args:
      policy: from observations `[B, ...]` and states `[B, S]` to a tfp
        distribution over actions and states `[B, S]`.
      observation: `[None, ...]`, named.
      state: `[None, S]`, named "state".
      num_actions: a whole number; `None` where actions are not a finite set;
        or `"inferred"`, what the distribution tells.
      builder: what makes signatures of policies without memory; the last input
        of `act` is what actions are drawn with.

    Returns:
      Signatures by name. What a policy without memory does in `act`,
      `act_greedy` and `probabilities`, one with memory does in steps.

    Raises:
      TypeError: if the policy does not return a tfp distribution.
      ValueError: if it does not fit `num_actions`, does not tell it, or lacks
        what a signature needs.
    """
    initial_state = _initial_state(state)

    def first(observed: tf.Tensor) -> Distribution:
        start = initial_state(tf.shape(observed)[0])
        return policy(observed, start["state"])[0]

    build = builder(first, observation, num_actions)
    found = build(first, None)

    def do(
        name: str, observed: tf.Tensor, before: tf.Tensor, *drawn: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        # A single state would be broadcast to all observations.
        rows = nan_of_rows(observed, state.dtype)[:, tf.newaxis]
        states = same_rows(before, rows)
        distribution, after = policy(observed, states)
        memoryless = build(
            lambda _: distribution,
            lambda row: policy(observed[row : row + 1], states[row : row + 1])[
                0
            ],
        )[name].function
        shown = _nan_where_state_is(before, observed)
        return {**memoryless(shown, *drawn), "state": after}

    def step(
        observation: tf.Tensor, state: tf.Tensor, seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        return do("act", observation, state, seed)

    def step_greedy(
        observation: tf.Tensor, state: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        return do("act_greedy", observation, state)

    def step_probabilities(
        observation: tf.Tensor, state: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        return do(PROBABILITIES, observation, state)

    inputs = [observation, state]
    act = found["act"]
    one_seed = act.python_inputs and [*inputs, act.python_inputs[-1]]
    signatures = {
        "step": Signature(step, [*inputs, act.inputs[-1]], one_seed),
        "step_greedy": Signature(step_greedy, inputs),
    }
    if PROBABILITIES in found:
        signatures["step_probabilities"] = Signature(step_probabilities, inputs)
    rows = Signature(initial_state, [_ROWS], [_NUMBER_OF_ROWS])
    return {**signatures, "initial_state": rows}


def _initial_state(
    state: tf.TensorSpec,
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Returns what makes the states before the first steps of episodes."""

    def initial_state(batch_size: tf.Tensor) -> dict[str, tf.Tensor]:
        shape = [_number_of_rows(batch_size), state.shape[1]]
        return {"state": tf.zeros(shape, state.dtype)}

    return initial_state


def _number_of_rows(batch_size: tf.Tensor | int) -> tf.Tensor:
    """Returns a number, or that of the rows that stand for it."""
    batch_size = tf.convert_to_tensor(batch_size)
    if batch_size.shape.rank == 0:
        return batch_size
    return tf.shape(tf.ensure_shape(batch_size, _ROWS.shape))[0]


def _nan_where_state_is(state: tf.Tensor, observed: tf.Tensor) -> tf.Tensor:
    """Returns observations, NaN for the rows whose state is not finite.

    Runtimes lose a NaN on its way to the outputs, as in a maximum with 0. That
    of an observation is looked for already.
    """
    if not observed.dtype.is_floating:
        return observed
    ones = [1] * (observed.shape.rank - 1)
    return nan_for(tf.reshape(are_not_finite(state), [-1, *ones]), observed)
