"""The signatures of an exported policy, as functions of tensors."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from dice_tf.distributions import all_log_probs
from dice_tf.policies.action_sets import (
    Policy,
    example_distribution,
    finite_actions,
)
from dice_tf.policies.sampling import sample_actions
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

    Args:
      policy: from observations to a tfp distribution over actions.
      observation: `[None, ...]`, named.
      num_actions: a whole number; `None` where actions are not a finite set;
        or `"inferred"`, what the distribution tells.

    Raises:
      TypeError: if the policy does not return a tfp distribution.
      ValueError: if it does not fit `num_actions`, does not tell it, or lacks
        what a signature needs.
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
      `action`, int32 `[B]`, and its `log_prob`, `[B]`.
    """
    action = sample_actions(log_probs, noise)
    return {"action": action, "log_prob": _entry(log_probs, action)}


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
      log-probabilities `[B]` and probabilities `[B, A]`.
    """

    def act(observation: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        log_probs = log_probs_of(observation)
        # Negative seeds give other bits under XLA than in graph mode.
        seed = tf.bitwise.bitwise_and(seed, 0x7FFFFFFF)
        noise = uniform(seed, tf.shape(log_probs)[:-1], log_probs.dtype)
        return choose(log_probs, noise)

    def act_greedy(observation: tf.Tensor) -> dict[str, tf.Tensor]:
        log_probs = log_probs_of(observation)
        return {"action": tf.argmax(log_probs, -1, output_type=tf.int32)}

    def probabilities(observation: tf.Tensor) -> dict[str, tf.Tensor]:
        return {PROBABILITIES: tf.exp(log_probs_of(observation))}

    def log_prob(
        observation: tf.Tensor, action: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        return {"log_prob": _entry(log_probs_of(observation), action)}

    action = tf.TensorSpec([None], tf.int32, "action")
    return {
        "act": Signature(act, [observation, SEED]),
        "act_greedy": Signature(act_greedy, [observation]),
        PROBABILITIES: Signature(probabilities, [observation]),
        "log_prob": Signature(log_prob, [observation, action]),
    }


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
        return {"log_prob": policy(observation).log_prob(action)}

    return {
        "act": Signature(act, [observation, SEED]),
        "act_greedy": Signature(act_greedy, [observation]),
        "log_prob": Signature(log_prob, [observation, action]),
    }


def _entry(log_probs: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
    """Returns `log_probs[b, action[b]]`, -inf where there is no such action.

    A gather would fail there on a CPU, and return 0 on a GPU.
    """
    chosen = action[..., tf.newaxis] == tf.range(log_probs.shape[-1])
    nothing = tf.constant(float("-inf"), log_probs.dtype)
    return tf.reduce_max(tf.where(chosen, log_probs, nothing), axis=-1)
