"""Signatures for runtimes that draw no random numbers of ours."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from dice_tf.distributions import logits_of
from dice_tf.export.noise_draws import (
    draw_in_file,
    in_checked_shape,
    probabilities_in_file,
)
from dice_tf.export.readings import read_policy
from dice_tf.export.recurrent_readings import read_recurrent_policy
from dice_tf.models.recurrent_models import has_memory
from dice_tf.policies.action_sets import (
    Policy,
    example_distribution,
    finite_actions,
)
from dice_tf.policies.signatures import (
    PROBABILITIES,
    RowPolicy,
    Signature,
    as_given,
    finite_signatures,
)
from dice_tf.policies.step_signatures import recurrent_signatures


def portable_signatures(
    policy: keras.Model,
    num_actions: Any,
    observation_shape: Any,
    file_format: str,
) -> dict[str, Signature]:
    """Returns signatures by name, in which noise takes the place of a seed.

    Noise outside of [0, 1] gives no action: -1, and a `log_prob` of NaN.

    Args:
      policy: the policy.
      num_actions: as of `export_policy`.
      observation_shape: as of `export_policy`.
      file_format: `TFLITE` or `ONNX`.

    Raises:
      TypeError, ValueError: as of `export_policy`.
      ValueError: if actions are not a finite set.
    """

    def build(
        act_as: Policy, observation: tf.TensorSpec, num_actions: Any
    ) -> Callable[[Policy, RowPolicy | None], dict[str, Signature]]:
        example = example_distribution(act_as, observation)
        num_actions = finite_actions(example, num_actions)
        if num_actions is None:
            raise ValueError(
                f"A {file_format} file needs a policy with a finite set of "
                f"actions, which that of {policy.name!r} is not (`num_actions` "
                "is None). Use dice_tf.export.export_policy."
            )
        return lambda distribution, _: _noise_signatures(
            distribution, observation, num_actions, file_format
        )

    if has_memory(policy):
        reading = read_recurrent_policy(policy, num_actions, observation_shape)
        return recurrent_signatures(*reading, num_actions, build)
    distribution, spec = read_policy(policy, num_actions, observation_shape)
    return build(distribution, spec, num_actions)(distribution, None)


def _noise_signatures(
    distribution: Policy,
    spec: tf.TensorSpec,
    num_actions: int,
    file_format: str,
) -> dict[str, Signature]:
    """Returns the signatures of a policy with a finite set of actions."""

    def logits(observation: tf.Tensor) -> tf.Tensor:
        return logits_of(distribution(observation), num_actions)

    # TFP computes these with operations that other runtimes lack. They make all
    # of a row NaN if one logit is; an exponential may lose that.
    def log_probs_of(observation: tf.Tensor) -> tf.Tensor:
        checked = in_checked_shape(file_format, observation)
        return tf.nn.log_softmax(logits(checked))

    def probabilities(observation: tf.Tensor) -> dict[str, tf.Tensor]:
        return probabilities_in_file(
            file_format, observation, logits(observation)
        )

    def act(observation: tf.Tensor, noise: tf.Tensor) -> dict[str, tf.Tensor]:
        return draw_in_file(
            file_format, observation, logits(observation), noise
        )

    noise = tf.TensorSpec([None], tf.float32, "noise")
    return {
        **finite_signatures(log_probs_of, spec, as_given),
        "act": Signature(act, [spec, noise]),
        PROBABILITIES: Signature(probabilities, [spec]),
    }
