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
    in_rows,
    nan_for,
    with_nan_kept,
)

# The largest float32 below 1.
_BELOW_ONE = 1.0 - 2.0**-24


def portable_signatures(
    policy: keras.Model,
    reading: Reading,
    num_actions: int | str | None,
    file_format: str,
) -> dict[str, Signature]:
    """Returns signatures by name, in which `act` takes noise for a seed.

    Noise outside of [0, 1] gives no action: -1, and a `log_prob` of NaN.

    Args:
      policy: the policy, for errors.
      reading: the same as a function.
      num_actions: as of `export_policy`.
      file_format: for errors.

    Raises:
      ValueError: if actions are not a finite set.
    """
    distribution, spec = reading
    num_actions = finite_actions(distribution, spec, num_actions)
    if num_actions is None:
        raise ValueError(
            f"A {file_format} file needs a policy with a finite set of "
            f"actions, which that of {policy.name!r} is not (`num_actions` is "
            "None). Use "
            "dice_tf.export.export_policy."
        )

    def log_probs_of(observation: tf.Tensor) -> tf.Tensor:
        shape = spec.shape[1:]
        if shape.is_fully_defined():
            observation = in_rows(observation, observation, [*shape])
        return _log_probs(distribution(observation), num_actions)

    def act(observation: tf.Tensor, noise: tf.Tensor) -> dict[str, tf.Tensor]:
        log_probs = with_nan_kept(log_probs_of)(observation)
        noise = tf.cast(in_rows(noise, log_probs, []), log_probs.dtype)
        is_noise = (noise >= 0.0) & (noise <= 1.0)
        log_probs = nan_for(~is_noise[:, tf.newaxis], log_probs)
        # Generators that round to float32 may give 1, and that would choose the
        # last action even if its probability is 0.
        return choose(log_probs, tf.where(noise < 1.0, noise, _BELOW_ONE))

    noise = tf.TensorSpec([None], tf.float32, "noise")
    return {
        **finite_signatures(log_probs_of, spec),
        "act": Signature(act, [spec, noise]),
    }


def _log_probs(distribution: Distribution, num_actions: int) -> tf.Tensor:
    logits = logits_of(distribution, num_actions)
    known = Categorical, Bernoulli
    if isinstance(distribution, known):
        # TFP computes the same with operations that other runtimes lack.
        return tf.nn.log_softmax(logits)
    return logits
