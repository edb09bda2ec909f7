"""Signatures for runtimes that draw no random numbers of ours."""

import keras
import tensorflow as tf

from dice_tf.distributions import (
    Bernoulli,
    Categorical,
    Distribution,
    logits_of,
)
from dice_tf.export.readings import Reading
from dice_tf.policies.action_sets import finite_actions
from dice_tf.policies.signatures import (
    Signature,
    choose,
    finite_signatures,
)


def portable_signatures(
    policy: keras.Model,
    reading: Reading,
    num_actions: int | str | None,
    file_format: str,
) -> dict[str, Signature]:
    """Returns signatures by name, in which `act` takes noise for a seed.

    Args:
      policy: the policy, for errors.
      reading: the same as a function.
      num_actions: as of `export_policy`.
      file_format: for errors.

    Raises:
      ValueError: if actions are not a finite set.
    """
    distribution, observation = reading
    num_actions = finite_actions(distribution, observation, num_actions)
    if num_actions is None:
        raise ValueError(
            f"A {file_format} file needs a policy with a finite set of "
            f"actions, which that of {policy.name!r} is not. Use "
            "dice_tf.export.export_policy."
        )

    def log_probs_of(observation: tf.Tensor) -> tf.Tensor:
        return _log_probs(distribution(observation), num_actions)

    def act(observation: tf.Tensor, noise: tf.Tensor) -> dict[str, tf.Tensor]:
        log_probs = log_probs_of(observation)
        return choose(log_probs, tf.cast(noise, log_probs.dtype))

    noise = tf.TensorSpec([None], tf.float32, "noise")
    return {
        **finite_signatures(log_probs_of, observation),
        "act": Signature(act, [observation, noise]),
    }


def _log_probs(distribution: Distribution, num_actions: int) -> tf.Tensor:
    logits = logits_of(distribution, num_actions)
    known = Categorical, Bernoulli
    if isinstance(distribution, known):
        # TFP computes the same with operations that other runtimes lack.
        return tf.nn.log_softmax(logits)
    return logits
