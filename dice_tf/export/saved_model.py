"""A policy as a SavedModel that acts with TensorFlow alone."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from dice_tf.distributions import Distribution
from dice_tf.export.cards import CARD_NAME, Card, card_text
from dice_tf.export.files import check_folder, write_folder
from dice_tf.export.readings import read_policy
from dice_tf.export.recurrent_readings import read_recurrent_policy
from dice_tf.export.warm_up import write_warm_up
from dice_tf.models.recurrent_models import has_memory
from dice_tf.policies.action_sets import INFERRED
from dice_tf.policies.signatures import Signature, policy_signatures
from dice_tf.policies.step_signatures import recurrent_signatures


def export_policy(
    policy: keras.Model,
    path: str | os.PathLike,
    *,
    num_actions: int | str | None = INFERRED,
    observation_shape: Sequence[int | None] | None = None,
    card: Card | None = None,
    overwrite: bool = False,
) -> None:
    """Writes a policy as a SavedModel that needs neither `dice_tf` nor TFP.

    Its signatures, for batches of any size B:

    - `act(observation, seed) -> {action, log_prob}` samples; seeds give the
      same actions eagerly, in graphs and under XLA. This is also
      `serving_default`.
    - `act_greedy(observation) -> {action}`: the most probable actions. Of a
      mixed policy that is another policy.
    - `probabilities(observation) -> {probabilities}`.
    - `log_prob(observation, action) -> {log_prob}`: NaN where there is no
      such action (-1, or `num_actions` and more), minus infinity where its
      probability is 0.

    `observation` is `[B, ...]` in the policy's dtype, `seed` int32 `[B, 2]`,
    `action` int32 `[B]`, `log_prob` `[B]` and `probabilities`
    `[B, num_actions]`. An action depends on the observation and the seed of its
    own row alone, so that a server may merge requests. If actions are not a
    finite set, `action` is what the head's distribution samples, row by row,
    the greedy one is its mode, and `probabilities` is left out. Inputs of
    other shapes are refused, also where one row could stand for all. If an
    observation is not finite, or the policy makes a NaN of it, probabilities
    and log-probabilities are NaN and the action is -1 (NaN if actions are
    floating); the other rows are not concerned.

    A server calls `loaded.signatures["act"](...)`. In Python
    `loaded.act(...)` also takes one seed for all rows, int32 `[2]`, and then
    an observation that is not finite is an error (but under XLA, which has no
    assertions). There TensorFlow 2.18 to 2.21 take a lock before they check
    the arguments, and keep it if the check fails: after one badly shaped call
    all other threads wait for ever.

    Once a policy has had a seat in a game with illegal actions, these have
    probability 0 and a `log_prob` of about -1e9; what is legal is computed
    from the observation, as `Game.legal_actions` does.

    A policy with memory has other signatures, with an explicit state:

    - `initial_state(batch_size) -> {state}`: what is remembered before the
      first step of an episode.
    - `step(observation, state, seed) -> {action, log_prob, state}`. This is
      also `serving_default`.
    - `step_greedy(observation, state) -> {action, state}`.
    - `step_probabilities(observation, state) -> {probabilities, state}`.

    There `batch_size` is int32 `[B]`, of which only the length counts; in
    Python `loaded.initial_state(...)` also takes a number. `state` `[B, S]`
    holds all states of the model, flattened and side by side; what comes out
    goes in at the next step. A state that is not finite acts like such an
    observation.

    `assets.extra` holds requests by which TensorFlow Serving warms up.

    The folder appears under its name when it is complete, or not at all.
    On another file system than a local disk it becomes a SavedModel when it is
    complete.

    Args:
      policy: a `keras.Model` from observations to the inputs of its head;
        with memory as of `dice_tf.policies.gru`.
      path: folder to write, on a local disk or on another file system of
        `tf.io.gfile`. Folders above it are made.
      num_actions: number of actions, `None` where they are not a finite set.
        Default: what the head's distribution tells if it is Bernoulli (2),
        categorical, or over floating-point actions (`None`).
      observation_shape: shape of one observation, for a subclassed model
        that has not been called yet. Default: what the model was built with.
      card: what is to be said of the policy in `assets/card.json`, for
        `dice_tf.export.read_card`. An export adds what it sees.
      overwrite: whether to replace a SavedModel at `path`.

    Raises:
      TypeError: if `policy` is not a `keras.Model`, its head does not return a
        tfp distribution, or another argument has the wrong type.
      ValueError: if something is in the way at `path`, the policy, its head,
        `num_actions` and `observation_shape` do not fit each other, or its
        weights or probabilities are not finite.

    Example:
      >>> dice_tf.export.export_policy(policy, "tit_for_tat")
      >>> loaded = tf.saved_model.load("tit_for_tat")
      >>> act = loaded.signatures["act"]
      >>> seeds = tf.stack([tf.range(5), tf.zeros(5, tf.int32)], axis=1)
      >>> played = act(observation=tf.eye(5), seed=seeds)
      >>> played["action"].shape
      TensorShape([5])
    """
    path = check_folder(path, overwrite)
    read = _recurrent_signatures if has_memory(policy) else _signatures
    signatures = read(policy, num_actions, observation_shape)
    text = card_text(card, policy, signatures)

    def write(folder: str) -> None:
        write_archive(policy, signatures, folder)
        assets = os.path.join(folder, "assets")
        tf.io.gfile.makedirs(assets)
        with tf.io.gfile.GFile(os.path.join(assets, CARD_NAME), "w") as file:
            file.write(text)
        write_warm_up(folder, policy.name, signatures)

    write_folder(path, write, overwrite)


def _signatures(
    policy: keras.Model, num_actions: Any, observation_shape: Any
) -> dict[str, Signature]:
    reading = read_policy(policy, num_actions, observation_shape)

    def checked(observation: tf.Tensor) -> Distribution:
        # A served function does not check shapes: a wrong one would fail deep
        # in the graph, or be broadcast.
        shape = reading.observation.shape
        return reading.distribution(tf.ensure_shape(observation, shape))

    return policy_signatures(checked, reading.observation, num_actions)


def _recurrent_signatures(
    policy: keras.Model, num_actions: Any, observation_shape: Any
) -> dict[str, Signature]:
    reading = read_recurrent_policy(policy, num_actions, observation_shape)
    return recurrent_signatures(*reading, num_actions)


def write_archive(
    policy: keras.Model, signatures: dict[str, Signature], folder: str
) -> None:
    """Writes a SavedModel, whose default is the first signature.

    Args:
      policy: what the signatures read.
      signatures: by name.
      folder: where to write.
    """
    archive = keras.export.ExportArchive()
    archive.track(policy)
    with _inlined_functions():
        for name, signature in signatures.items():
            function, inputs, python_inputs = signature
            if python_inputs is None:
                archive.add_endpoint(name, function, input_signature=inputs)
            else:
                archive.add_endpoint(
                    name, _in_both_forms(function, inputs, python_inputs)
                )
        archive.write_out(folder, verbose=False)


def _in_both_forms(
    function: Callable, *forms: Sequence[tf.TensorSpec]
) -> tf.types.experimental.GenericFunction:
    """Returns a function of both forms that a signature takes.

    The archive serves the form that is traced first. In Python, what is loaded
    chooses by the shapes of its arguments.
    """
    function = tf.function(function, autograph=False)
    for inputs in forms:
        function.get_concrete_function(*inputs)
    return function


@contextlib.contextmanager
def _inlined_functions() -> Iterator[None]:
    """Lets traces take in the operations of the functions that they call.

    `tf.vectorized_map` cannot convert a call of a function in a function that
    was loaded, so that a policy which calls a `tf.function` could not be
    brought back for many runs.
    """
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)
