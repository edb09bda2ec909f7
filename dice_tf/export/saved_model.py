"""A policy as a SavedModel that acts with TensorFlow alone."""

import os
from collections.abc import Sequence

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from dice_tf.export.files import check_folder, write_folder
from dice_tf.export.readings import read_policy
from dice_tf.policies.action_sets import INFERRED
from dice_tf.policies.signatures import Signature, policy_signatures


def export_policy(
    policy: keras.Model,
    path: str | os.PathLike,
    *,
    num_actions: int | str | None = INFERRED,
    observation_shape: Sequence[int | None] | None = None,
    overwrite: bool = False,
) -> None:
    """Writes a policy as a SavedModel that needs neither `dice_tf` nor TFP.

    Its signatures, for batches of any size B:

    - `act(observation, seed) -> {action, log_prob}` samples; one seed gives
      the same actions eagerly, in graphs and under XLA. This is also
      `serving_default`.
    - `act_greedy(observation) -> {action}`: the most probable actions. Of a
      mixed policy that is another policy.
    - `probabilities(observation) -> {probabilities}`.
    - `log_prob(observation, action) -> {log_prob}`: minus infinity where
      there is no such action.

    `observation` is `[B, ...]` in the policy's dtype, `seed` int32 `[2]`,
    `action` int32 `[B]`, `log_prob` `[B]` and `probabilities`
    `[B, num_actions]`. Where actions are not a finite set, `action` is what
    the head's distribution samples, the greedy one is its mode, and there are
    no `probabilities`. Observations of another shape are refused.

    The folder appears under its name when it is complete, or not at all.

    Args:
      policy: a `keras.Model` from observations to the inputs of its head.
      path: folder to write, on a local disk. Folders above it are made.
      num_actions: number of actions, `None` where they are not a finite set.
        Default: what the head's distribution tells if it is Bernoulli (2),
        categorical, or over floating-point actions (`None`).
      observation_shape: shape of one observation, for a subclassed model
        that has not been called yet. Default: what the model was built with.
      overwrite: whether to replace a SavedModel at `path`.

    Raises:
      TypeError: if `policy` is no `keras.Model`, its head gives no tfp
        distribution, or another argument is of the wrong type.
      ValueError: if something is in the way at `path`, or the policy, its
        head, `num_actions` and `observation_shape` do not fit each other.

    Example:
      >>> dice_tf.export.export_policy(policy, "tit_for_tat")
      >>> loaded = tf.saved_model.load("tit_for_tat")
      >>> loaded.act(observation=observations, seed=tf.constant([0, 1]))
    """
    path = check_folder(path, overwrite)
    reading = read_policy(policy, num_actions, observation_shape)

    def checked(observation: tf.Tensor) -> tfp.distributions.Distribution:
        # Serving binds no shapes: a wrong one would fail deep in the graph,
        # or be broadcast.
        shape = reading.observation.shape
        return reading.distribution(tf.ensure_shape(observation, shape))

    signatures = policy_signatures(checked, reading.observation, num_actions)
    archive = archive_of(policy, signatures)
    write_folder(
        path, lambda folder: archive.write_out(folder, verbose=False), overwrite
    )


def archive_of(
    policy: keras.Model, signatures: dict[str, Signature]
) -> keras.export.ExportArchive:
    """Returns what writes a SavedModel; the first signature is the default."""
    archive = keras.export.ExportArchive()
    archive.track(policy)
    for name, (function, inputs) in signatures.items():
        archive.add_endpoint(name, function, input_signature=inputs)
    return archive
