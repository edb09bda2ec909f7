"""The signatures of an exported policy, as functions of tensors.

Runtimes differ in what they do to inputs that make no sense. TensorFlow Lite
checks no shapes, keeps the NaN of some operations and drops that of others, and
has no assertions; broadcasting would let one row stand for all. So the graphs
say what is right by operations that every runtime has: a reshape fails on
another number of entries, and the square root of -1 is NaN.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from dice_tf.distributions import all_log_probs
from dice_tf.policies.action_sets import (
    Policy,
    example_distribution,
    finite_actions,
)
from dice_tf.policies.sampling import (
    have_nan,
    sample_actions,
)
from dice_tf.seeds import uniform

PROBABILITIES = "probabilities"

SEED = tf.TensorSpec([2], tf.int32, "seed")


class Signature(NamedTuple):
    """One function of an exported policy.

    Attributes:
      function: from tensors to a dictionary of tensors.
      inputs: list of `tf.TensorSpec`, named as the function's arguments.
    """

    function: Callable[..., dict[str, tf.Tensor]]
    inputs: list[tf.TensorSpec]


def policy_signatures(
    policy: Policy, observation: tf.TensorSpec, num_actions: int | str | None
) -> dict[str, Signature]:
    """Returns the signatures of a policy by name.

    Arguments and errors are those of `finite_actions`. A `ValueError` also
    says if the distribution lacks what a signature needs.
    """
    return signature_builder(policy, observation, num_actions)(policy)


def signature_builder(
    policy: Policy, observation: tf.TensorSpec, num_actions: int | str | None
) -> Callable[[Policy], dict[str, Signature]]:
    """Returns what makes signatures of policies that act as a given one.

    Args and errors are those of `policy_signatures`.
    """
    num_actions = finite_actions(policy, observation, num_actions)
    if num_actions is not None:
        return lambda other: finite_signatures(
            lambda observed: all_log_probs(other(observed), num_actions),
            observation,
        )
    example = example_distribution(policy, observation)
    try:
        example.mode()
    except NotImplementedError as error:
        raise ValueError(
            f"The policy's distribution {example.name!r} has no mode, which "
            "`act_greedy` needs."
        ) from error
    action = tf.TensorSpec(
        [None, *example.event_shape], example.dtype, "action"
    )
    return lambda other: general_signatures(other, observation, action)


def choose(log_probs: tf.Tensor, noise: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns the actions that uniform noise chooses.

    Args:
      log_probs: `[B, A]`.
      noise: `[B]`, uniform on [0, 1).

    Returns:
      `action`, int32 `[B]`, and its `log_prob`, `[B]`; -1 and NaN where a
      log-probability is NaN.
    """
    action = sample_actions(log_probs, noise)
    action = _no_action_where_nan(action, log_probs)
    return {"action": action, "log_prob": _entry(log_probs, action)}


def in_rows(x: tf.Tensor, rows: tf.Tensor, shape: list[int]) -> tf.Tensor:
    """Returns a tensor as one entry per row, or fails in every runtime.

    Args:
      x: `[B, *shape]`. One row would be broadcast to all if it was not refused.
      rows: `[B, ...]`.
      shape: of one entry.

    Returns:
      `x`, bit by bit.
    """
    # An axis more: without it TensorFlow takes the reshape for an identity, and
    # leaves it away.
    return tf.reshape(x, [tf.shape(rows)[0], 1, *shape])[:, 0]


def nan_for(condition: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """Returns `x`, and NaN where a condition holds, in every runtime.

    TensorFlow Lite turns the NaN of products, exponentials and maxima into
    numbers, so it is selected, as the last operation before an output. As in
    `nan_where` no constant is NaN.

    Args:
      condition: bool, of a shape that broadcasts to that of `x`.
      x: floating.
    """
    one = tf.ones([], x.dtype)
    return tf.where(condition, tf.sqrt(tf.where(condition, -one, one)), x)


def finite_signatures(
    log_probs_of: Callable[[tf.Tensor], tf.Tensor],
    observation: tf.TensorSpec,
) -> dict[str, Signature]:
    """Returns the signatures of a policy with a finite set of actions.

    One seed gives the same actions eagerly, in graphs and under XLA.

    Args:
      log_probs_of: from observations to the log-probability of each action,
        `[B, A]`.
      observation: `[None, ...]`, named.

    Returns:
      Signatures by name; observations `[B, ...]`, actions int32 `[B]`,
      log-probabilities `[B]` and probabilities `[B, A]`. Where an observation
      holds a NaN these are NaN and the action is -1.
    """
    log_probs_of = with_nan_kept(log_probs_of)

    def act(observation: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        log_probs = log_probs_of(observation)
        # Negative seeds give other bits under XLA than in graph mode.
        seed = tf.bitwise.bitwise_and(seed, 0x7FFFFFFF)
        noise = uniform(seed, tf.shape(log_probs)[:-1], log_probs.dtype)
        return choose(log_probs, noise)

    def act_greedy(observation: tf.Tensor) -> dict[str, tf.Tensor]:
        log_probs = log_probs_of(observation)
        action = tf.argmax(log_probs, -1, output_type=tf.int32)
        return {"action": _no_action_where_nan(action, log_probs)}

    def probabilities(observation: tf.Tensor) -> dict[str, tf.Tensor]:
        log_probs = log_probs_of(observation)
        are_nan = have_nan(log_probs)[:, tf.newaxis]
        return {PROBABILITIES: nan_for(are_nan, tf.exp(log_probs))}

    def log_prob(
        observation: tf.Tensor, action: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        log_probs = log_probs_of(observation)
        return {"log_prob": _entry(log_probs, in_rows(action, log_probs, []))}

    action = tf.TensorSpec([None], tf.int32, "action")
    return {
        "act": Signature(act, [observation, SEED]),
        "act_greedy": Signature(act_greedy, [observation]),
        PROBABILITIES: Signature(probabilities, [observation]),
        "log_prob": Signature(log_prob, [observation, action]),
    }


def with_nan_kept(
    log_probs_of: Callable[[tf.Tensor], tf.Tensor],
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the function, which is NaN for observations that hold a NaN.

    Args:
      log_probs_of: from observations `[B, ...]` to log-probabilities `[B, A]`.
    """

    def kept(observation: tf.Tensor) -> tf.Tensor:
        log_probs = log_probs_of(observation)
        # Some runtimes lose a NaN on the way, as in a maximum with 0.
        return nan_for(have_nan(observation)[:, tf.newaxis], log_probs)

    return kept


def general_signatures(
    policy: Policy, observation: tf.TensorSpec, action: tf.TensorSpec
) -> dict[str, Signature]:
    """Returns the signatures of a policy without a finite set of actions.

    They are those of `finite_signatures` but for `probabilities`.

    Args:
      policy: from observations to a distribution with a mode.
      observation: `[None, ...]`, named.
      action: `[None, ...]`, named.

    Returns:
      Signatures by name; observations and actions `[B, ...]`,
      log-probabilities `[B]`.
    """

    def act(observation: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        distribution = policy(observation)
        action = distribution.sample(seed=seed)
        return {"action": action, "log_prob": distribution.log_prob(action)}

    def act_greedy(observation: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"action": policy(observation).mode()}

    def log_prob(
        observation: tf.Tensor, action: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        action = in_rows(action, observation, [*event_shape])
        return {"log_prob": policy(observation).log_prob(action)}

    event_shape = action.shape[1:]
    return {
        "act": Signature(act, [observation, SEED]),
        "act_greedy": Signature(act_greedy, [observation]),
        "log_prob": Signature(log_prob, [observation, action]),
    }


def _no_action_where_nan(action: tf.Tensor, log_probs: tf.Tensor) -> tf.Tensor:
    """Returns actions `[B]`, -1 where a log-probability is NaN."""
    return tf.where(have_nan(log_probs), -tf.ones_like(action), action)


def _entry(log_probs: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
    """Returns `log_probs[b, action[b]]`, NaN where there is no such action.

    A gather would fail there on a CPU, and return 0 on a GPU.
    """
    num_actions = log_probs.shape[-1]
    chosen = action[..., tf.newaxis] == tf.range(num_actions)
    nothing = tf.constant(float("-inf"), log_probs.dtype)
    found = tf.reduce_max(tf.where(chosen, log_probs, nothing), axis=-1)
    is_none = (action < 0) | (action >= num_actions)
    return nan_for(is_none | have_nan(log_probs), found)
