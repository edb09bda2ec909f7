"""The signatures of an exported policy, as functions of tensors."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from dice_tf.policies.actor import all_log_probs
from dice_tf.policies.sampling import sample_actions
from dice_tf.seeds import uniform

PROBABILITIES = "probabilities"

# From a batch of observations to the distribution over actions.
Policy = Callable[[tf.Tensor], tfp.distributions.Distribution]

INFERRED = "inferred"

_SEED = tf.TensorSpec([2], tf.int32, "seed")


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
      TypeError: if the policy gives no tfp distribution.
      ValueError: if it does not fit `num_actions`, or tells none, or lacks
        what a signature needs.
    """
    shape = [2, *(size or 1 for size in observation.shape[1:])]
    example = policy(tf.zeros(shape, observation.dtype))
    _check_distribution(example)
    if num_actions == INFERRED:
        num_actions = _infer_num_actions(example)
    if num_actions is not None:
        _check_num_actions(example, num_actions)
        return finite_signatures(policy, observation, num_actions)
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
    return general_signatures(policy, observation, action)


def finite_signatures(
    policy: Policy, observation: tf.TensorSpec, num_actions: int
) -> dict[str, Signature]:
    """Returns the signatures of a policy with a finite set of actions.

    One seed gives the same actions eagerly, in graphs and under XLA.

    Args:
      policy: from observations to a distribution over integers.
      observation: `[None, ...]`, named.
      num_actions: A.

    Returns:
      Signatures by name; observations `[B, ...]`, actions int32 `[B]`,
      log-probabilities `[B]` and probabilities `[B, A]`.
    """

    def log_probs_of(observation: tf.Tensor) -> tf.Tensor:
        return all_log_probs(policy(observation), num_actions)

    def act(observation: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        log_probs = log_probs_of(observation)
        # Negative seeds give other bits under XLA than in graph mode.
        seed = tf.bitwise.bitwise_and(seed, 0x7FFFFFFF)
        noise = uniform(seed, tf.shape(log_probs)[:-1], log_probs.dtype)
        action = sample_actions(log_probs, noise)
        return {"action": action, "log_prob": _entry(log_probs, action)}

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
        "act": Signature(act, [observation, _SEED]),
        "act_greedy": Signature(act_greedy, [observation]),
        PROBABILITIES: Signature(probabilities, [observation]),
        "log_prob": Signature(log_prob, [observation, action]),
    }


def general_signatures(
    policy: Policy, observation: tf.TensorSpec, action: tf.TensorSpec
) -> dict[str, Signature]:
    """Returns the signatures of a policy whose actions are no finite set.

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
        "act": Signature(act, [observation, _SEED]),
        "act_greedy": Signature(act_greedy, [observation]),
        "log_prob": Signature(log_prob, [observation, action]),
    }


def _entry(log_probs: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
    """Returns `log_probs[b, action[b]]`, -inf where there is no such action.

    A gather would fail there on a CPU, and return 0 on a GPU.
    """
    chosen = tf.one_hot(action, log_probs.shape[-1], True, False, dtype=bool)
    nothing = tf.constant(float("-inf"), log_probs.dtype)
    return tf.reduce_max(tf.where(chosen, log_probs, nothing), axis=-1)


def _check_distribution(distribution: Any) -> None:
    """Raises if this is not what two observations should give."""
    if not isinstance(distribution, tfp.distributions.Distribution):
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


def _infer_num_actions(
    distribution: tfp.distributions.Distribution,
) -> int | None:
    if isinstance(distribution, tfp.distributions.Bernoulli):
        return 2
    if isinstance(distribution, tfp.distributions.Categorical):
        return distribution.logits_parameter().shape[-1]
    if distribution.dtype.is_floating:
        return None
    raise ValueError(
        "`num_actions` must be given, a whole number or None: it cannot be "
        f"inferred from the policy's distribution {distribution.name!r}."
    )


def _check_num_actions(
    distribution: tfp.distributions.Distribution, num_actions: int
) -> None:
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
