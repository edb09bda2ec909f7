"""Exported policies, brought back as frozen opponents."""

import os
from typing import Any

import keras
import numpy as np
import tensorflow as tf

# Not in TensorFlow's public API, but the way that its guides show.
from tensorflow.python.framework.convert_to_constants import (
    convert_variables_to_constants_v2,
)

from dice_tf.policies.signatures import PROBABILITIES

_OBSERVATION = "observation"

# Below the smallest normal number logarithms differ between processors.
_SMALLEST = float(np.finfo(np.float32).tiny)


@keras.saving.register_keras_serializable(package="dice_tf")
class SavedPolicy(keras.layers.Layer):
    """The log-probabilities of an exported policy, as a layer.

    It has no variables: what the policy learned is held as constants.

    Args:
      path: folder of the SavedModel.
      **kwargs: of a `keras.layers.Layer`.

    Attributes:
      folder: absolute path of the SavedModel.
      observation_spec: `tf.TensorSpec` of the observations, `[None, ...]`.

    Raises:
      TypeError: if `path` is not a path.
      ValueError: if there is no exported policy, or its probabilities are not
        finite.
    """

    def __init__(self, path: str | os.PathLike, **kwargs: Any):
        # Inputs are cast to the policy's dtype in `call`.
        super().__init__(**{**kwargs, "trainable": False, "autocast": False})
        self.folder = _check_path(path)
        self._function = _load_probabilities(self.folder)
        (observation,) = self._function.inputs
        self.observation_spec = tf.TensorSpec.from_tensor(observation)
        shape = [size or 1 for size in observation.shape]
        self._check_numbers(tf.zeros(shape, observation.dtype))

    def _check_numbers(self, observation: tf.Tensor) -> None:
        (probabilities,) = tf.nest.flatten(self._function(observation))
        if not np.all(np.isfinite(probabilities)):
            raise ValueError(
                f"The SavedModel at `path` ({self.folder!r}) must give finite "
                "probabilities, and gives NaN, as after a training that has "
                "diverged."
            )

    def call(self, observation: tf.Tensor) -> tf.Tensor:
        observation = tf.cast(observation, self.observation_spec.dtype)
        (probabilities,) = tf.nest.flatten(self._function(observation))
        return tf.math.log(tf.maximum(probabilities, _SMALLEST))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "path": self.folder}


def from_saved_model(
    path: str | os.PathLike, *, name: str | None = None
) -> keras.Model:
    """Brings an exported policy back, as one that does not learn.

    Args:
      path: folder that `dice_tf.export.export_policy` wrote, of a policy with
        a finite set of actions.
      name: name of the model. Default: "saved_policy".

    Returns:
      A `keras.Model` from observations to logits, which are the exported
      policy's log-probabilities (not below -87.3, to stay finite). It has no
      variables and no longer needs the folder. A `.keras` file of it names
      the folder, and can be loaded only where the folder is.

    Raises:
      TypeError: if `path` is not a path.
      ValueError: if there is no SavedModel, or it is not such a policy, or its
        probabilities are not finite.

    Example:
      >>> dice_tf.export.export_policy(
      ...     dice_tf.policies.tit_for_tat(game, 1), "tit_for_tat"
      ... )
      >>> opponent = dice_tf.policies.from_saved_model("tit_for_tat")
      >>> objective = dice_tf.objectives.DiCEObjective(
      ...     game, [policy, opponent]
      ... )
      >>> trainer = dice_tf.Trainer(objective, learners=[learner, None])
    """
    layer = SavedPolicy(path, name="logits")
    spec = layer.observation_spec
    observation = keras.Input(
        spec.shape[1:], dtype=spec.dtype.name, name=_OBSERVATION
    )
    return keras.Model(
        observation, layer(observation), name=name or "saved_policy"
    )


def _inputs(function: Any) -> dict[str, tf.TensorSpec]:
    """Returns the named inputs of a loaded signature."""
    return function.structured_input_signature[1]


def _check_path(path: Any) -> str:
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(
            "`path` must be a string or path of an exported policy's folder. "
            f"Received: {path!r} (of type {type(path).__name__})."
        )
    path = os.path.abspath(path)
    if not tf.saved_model.contains_saved_model(path):
        raise ValueError(
            "`path` must be the folder of a SavedModel, as written by "
            f"dice_tf.export.export_policy. Received: path={path!r}, "
            f"{_what_is_at(path)}."
        )
    return path


def _load_probabilities(path: str) -> Any:
    """Returns the probabilities of an exported policy as one pure function.

    A loaded function cannot be vectorised over runs where it calls others, as
    that of a policy exported twice does. Freezing makes it a single one.
    """
    try:
        loaded = tf.saved_model.load(path)
        signatures = getattr(loaded, "signatures", {})
        function = signatures.get(PROBABILITIES)
        is_policy = (
            function is not None
            and list(_inputs(function)) == [_OBSERVATION]
            and list(function.structured_outputs) == [PROBABILITIES]
        )
        if is_policy:
            # Assertions need not keep their place: all are inlined.
            return convert_variables_to_constants_v2(
                function, lower_control_flow=False, aggressive_inlining=True
            )
    except Exception as error:
        raise ValueError(
            f"The SavedModel at `path` ({path!r}) cannot be loaded: {error}"
        ) from error
    raise ValueError(
        "`path` must hold an exported policy with a finite set of actions, "
        f"which has the signature {PROBABILITIES}({_OBSERVATION}) -> "
        f"{{{PROBABILITIES}}}. Received: path={path!r} with "
        f"{_describe(signatures)}."
    )


def _what_is_at(path: str) -> str:
    if not os.path.exists(path):
        return "where there is nothing"
    if not os.path.isdir(path):
        return "which is a file"
    return f"a folder that holds {sorted(os.listdir(path))}"


def _describe(signatures: Any) -> str:
    found = [
        f"{name}({', '.join(sorted(_inputs(function)))}) -> "
        f"{{{', '.join(sorted(function.structured_outputs))}}}"
        for name, function in signatures.items()
    ]
    return f"the signatures {', '.join(found)}" if found else "no signatures"
