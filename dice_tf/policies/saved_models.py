"""Exported policies, brought back as frozen opponents.

A SavedModel is a program: its operations may read and write files when it is
called. Files of Keras models are data in Keras' safe mode, so that none of them
may name a SavedModel to be run.
"""

import json
import os
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dice_tf.checks import check_name
from dice_tf.policies.signatures import PROBABILITIES

_OBSERVATION = "observation"
# Of a card that says who wrote a SavedModel, and of what it says in an error.
_MOST_BYTES, _MOST_CHARACTERS = 2**24, 200

# Below the smallest normal number logarithms differ between processors.
_SMALLEST = float(np.finfo(np.float32).tiny)


class _Folder(str):
    """The path of a SavedModel that was loaded, with its operations.

    In the configuration of a layer it tells a copy of a layer in this process
    from what was read from a file, where it is a plain string.

    Attributes:
      graph: the `FrozenGraph` that was loaded.
    """

    graph: "FrozenGraph"

    def __deepcopy__(self, memo: dict) -> "_Folder":
        # What was loaded does not change.
        return self


class _Program(keras.layers.TFSMLayer):
    """Comes back from a configuration where Keras' layer for SavedModels may.

    Keras has no public function that tells whether safe mode is on. This layer
    loads nothing: it takes the check of `TFSMLayer.from_config` and no more.
    """

    def __init__(self) -> None:
        keras.layers.Layer.__init__(self)


@keras.saving.register_keras_serializable(package="dice_tf")
class SavedPolicy(keras.layers.Layer):
    """The log-probabilities of an exported policy, as a layer.

    It has no variables: what the policy learned is held as constants. A
    SavedModel is a program, so this layer comes back from a `.keras` file or
    another configuration only outside of Keras' safe mode, as
    `keras.layers.TFSMLayer` does. `keras.models.clone_model` shares what the
    layer has loaded, and reads no folder.

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
        if isinstance(path, _Folder):
            self.folder, self._graph = str(path), path.graph
        else:
            self.folder = _check_path(path)
            self._graph = _load_probabilities(self.folder)
        self.observation_spec = spec = self._graph.observation
        # Called eagerly, a graph must be a function.
        self._function = tf.compat.v1.wrap_function(self._graph, [spec])
        self._check_numbers(tf.zeros([n or 1 for n in spec.shape], spec.dtype))

    def _check_numbers(self, observation: tf.Tensor) -> None:
        probabilities = self._function(observation)
        if not np.all(np.isfinite(probabilities)):
            raise ValueError(
                f"The SavedModel at `path` ({self.folder!r}) must give finite "
                "probabilities, and gives NaN, as after a training that has "
                "diverged."
            )

    def call(self, observation: tf.Tensor) -> tf.Tensor:
        observation = tf.cast(observation, self.observation_spec.dtype)
        # In a graph its operations are put in place, and not called: functions
        # in functions cannot be vectorised once they are exported again.
        is_eager = tf.executing_eagerly()
        evaluate = self._function if is_eager else self._graph
        probabilities = evaluate(observation)
        return tf.math.log(tf.maximum(probabilities, _SMALLEST))

    def get_config(self) -> dict[str, Any]:
        folder = _Folder(self.folder)
        folder.graph = self._graph
        return {**super().get_config(), "path": folder}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SavedPolicy":
        """Makes the layer that a configuration describes.

        Args:
          config: what `get_config` returned.

        Raises:
          ValueError: in Keras' safe mode, which is on unless it was turned
            off, if the configuration comes from outside of this process.
        """
        path = config.get("path")
        if not isinstance(path, _Folder):
            _check_unsafe_mode(path)
        return cls(**config)


class FrozenGraph:
    """The operations of a loaded function, with constants for variables.

    Variables that are read inside a loop stay variables.

    Args:
      loaded: what was loaded, which holds the variables.
      function: a concrete function of one observation and of variables.

    Attributes:
      observation: `tf.TensorSpec`, `[None, ...]`.
    """

    def __init__(self, loaded: Any, function: Any):
        observation, *placeholders = function.inputs
        self.observation = tf.TensorSpec.from_tensor(observation)
        self._input, self._output = observation.name, function.outputs[0].name
        self._definition = function.graph.as_graph_def()
        resources = {
            placeholder.op.name: resource
            for placeholder, resource in zip(
                placeholders, function.captured_inputs, strict=True
            )
        }
        for node in self._definition.node:
            if node.op == "ReadVariableOp" and node.input[0] in resources:
                _freeze(node, resources[node.input[0]])
        # XLA would compile placeholders as well, and cannot.
        kept = [
            node for node in self._definition.node if node.op != "Placeholder"
        ]
        inputs = {name for node in kept for name in node.input}
        self._resources = {
            f"{name}:0": resource
            for name, resource in resources.items()
            if name in inputs
        }
        self._loaded = loaded if self._resources else None
        del self._definition.node[:]
        self._definition.node.extend(kept)

    def __call__(self, observation: tf.Tensor) -> tf.Tensor:
        """Adds the operations to the graph that is being built."""
        # Importing takes tensors of this graph only.
        resources = {
            name: tf.identity(resource)
            for name, resource in self._resources.items()
        }
        (result,) = tf.graph_util.import_graph_def(
            self._definition,
            input_map={self._input: observation, **resources},
            return_elements=[self._output],
            name="saved_policy",
        )
        return result


def _freeze(node: Any, resource: tf.Tensor) -> None:
    """Makes a constant of the node that reads a variable."""
    dtype = tf.as_dtype(node.attr["dtype"].type)
    value = tf.raw_ops.ReadVariableOp(resource=resource, dtype=dtype)
    proto = tf.make_tensor_proto(value.numpy(), dtype)
    node.op = "Const"
    del node.input[:]
    node.attr.clear()
    node.attr["dtype"].type = dtype.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(proto)


def _check_unsafe_mode(path: Any) -> None:
    """Raises if Keras would not let a file name a SavedModel."""
    try:
        _Program.from_config({})
    except ValueError as error:
        raise ValueError(
            f"The file names the SavedModel {str(path)!r}, which is a program: "
            "it may read and write files when the policy acts. Keras' safe "
            "mode does not load it. If you trust the file and that folder, "
            "call keras.saving.load_model(..., safe_mode=False), or load the "
            "folder itself with dice_tf.policies.from_saved_model."
        ) from error


def from_saved_model(
    path: str | os.PathLike, *, name: str | None = None
) -> keras.Model:
    """Brings an exported policy back, as one that does not learn.

    A SavedModel is a program, which runs with your rights whenever the policy
    acts: it may read and write files. Load only those of people whom you trust.

    Args:
      path: folder that `dice_tf.export.export_policy` wrote, of a policy with
        a finite set of actions; also on another file system of `tf.io.gfile`.
      name: name of the model. Default: "saved_policy".

    Returns:
      A `keras.Model` from observations to logits, which are the exported
      policy's log-probabilities (not below -87.3, to stay finite). It has no
      variables and no longer needs the folder. A `.keras` file of it names
      the folder, and can be loaded only where the folder is, with
      `keras.saving.load_model(..., safe_mode=False)`.

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
        observation,
        layer(observation),
        name=check_name("name", name) or "saved_policy",
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
    path = os.fspath(path)
    if "://" not in path:
        path = os.path.abspath(path)
    if not tf.saved_model.contains_saved_model(path):
        raise ValueError(
            "`path` must be the folder of a SavedModel, as written by "
            f"dice_tf.export.export_policy. Received: path={path!r}, "
            f"{_what_is_at(path)}."
        )
    return path


def _load_probabilities(path: str) -> FrozenGraph:
    """Returns the probabilities of an exported policy as operations."""
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
            (function,) = getattr(loaded, PROBABILITIES).concrete_functions
            return FrozenGraph(loaded, function)
    except Exception as error:
        raise ValueError(
            f"The SavedModel at `path` ({path!r}) cannot be loaded: {error}"
            f"{_writer_of(path)}"
        ) from error
    raise ValueError(
        "`path` must hold an exported policy with a finite set of actions, "
        f"which has the signature {PROBABILITIES}({_OBSERVATION}) -> "
        f"{{{PROBABILITIES}}}. Received: path={path!r} with "
        f"{_describe(signatures)}.{_writer_of(path)}"
    )


def _writer_of(path: str) -> str:
    """Returns a sentence on which versions wrote a SavedModel, or nothing."""
    try:
        card = os.path.join(path, "assets", "card.json")
        with tf.io.gfile.GFile(card, "rb") as file:
            versions = json.loads(file.read(_MOST_BYTES))["versions"]
    except (tf.errors.OpError, ValueError, LookupError, TypeError):
        return ""
    return f" It was written by {repr(versions)[:_MOST_CHARACTERS]}."


def _what_is_at(path: str) -> str:
    if not tf.io.gfile.exists(path):
        return "where there is nothing"
    if not tf.io.gfile.isdir(path):
        return "which is a file"
    return f"a folder that holds {sorted(tf.io.gfile.listdir(path))}"


def _describe(signatures: Any) -> str:
    found = [
        f"{name}({', '.join(sorted(_inputs(function)))}) -> "
        f"{{{', '.join(sorted(function.structured_outputs))}}}"
        for name, function in signatures.items()
    ]
    return f"the signatures {', '.join(found)}" if found else "no signatures"
