"""Export: a policy as a SavedModel that acts with TensorFlow alone."""

import os
import pathlib
import tempfile
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from dice_tf.checks import check_whole_number
from dice_tf.models import SeatModel, observation_spec
from dice_tf.policies.heads import head_of
from dice_tf.policies.signatures import INFERRED, policy_signatures

__all__ = ["export_policy"]


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
    no `probabilities`.

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
    path = _check_path(path, overwrite)
    if num_actions not in (INFERRED, None):
        check_whole_number("num_actions", num_actions, 1)
    observation = observation_spec(policy, observation_shape)
    model = SeatModel(
        "policy",
        policy,
        tuple(size or 1 for size in observation.shape[1:]),
        observation.dtype,
    )
    seat_actions = num_actions
    if num_actions == INFERRED:
        # Without an attached head, one output means two actions.
        seat_actions = max(model.num_outputs, 2)
    head = head_of(policy, model.num_outputs, seat_actions)

    def distribution(observation: tf.Tensor) -> tfp.distributions.Distribution:
        outputs = policy(observation)
        # In half precision no uniform noise is fine enough.
        if outputs.dtype.size < 4:
            outputs = tf.cast(outputs, tf.float32)
        return head(outputs)

    signatures = policy_signatures(distribution, observation, num_actions)
    archive = keras.export.ExportArchive()
    archive.track(policy)
    # The first one is also the default of TensorFlow Serving.
    for name, (function, inputs) in signatures.items():
        archive.add_endpoint(name, function, input_signature=inputs)
    _write(archive, path, overwrite)


def _check_path(path: Any, overwrite: bool) -> pathlib.Path:
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(
            "`path` must be a string or path of a folder to write. "
            f"Received: {path!r} (of type {type(path).__name__})."
        )
    if not str(path) or "://" in str(path):
        raise ValueError(
            "`path` must be a folder on a local disk. Received: "
            f"path={str(path)!r}."
        )
    path = pathlib.Path(os.path.abspath(path))
    if path.exists() and not path.is_dir():
        raise ValueError(
            f"`path` must be a folder to write. Received: {str(path)!r}, "
            "which is a file."
        )
    if path.is_dir() and any(path.iterdir()):
        if not overwrite:
            raise ValueError(
                f"`path` must be new or empty. Received: {str(path)!r}, which "
                "is not. Pass overwrite=True to replace an earlier export."
            )
        if not tf.saved_model.contains_saved_model(path):
            raise ValueError(
                "overwrite=True replaces only a SavedModel, but `path` "
                f"({str(path)!r}) holds something else."
            )
    return path


def _write(
    archive: keras.export.ExportArchive, path: pathlib.Path, overwrite: bool
) -> None:
    """Writes beside `path` first, and then moves all at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=f".{path.name}-", dir=path.parent
    ) as folder:
        # Inside of it, since the temporary folder is closed to other users.
        written = pathlib.Path(folder, "written")
        earlier = pathlib.Path(folder, "earlier")
        archive.write_out(str(written), verbose=False)
        if not (overwrite and path.exists()):
            os.replace(written, path)
            return
        os.replace(path, earlier)
        try:
            os.replace(written, path)
        except BaseException:
            os.replace(earlier, path)
            raise
