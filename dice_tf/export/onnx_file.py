"""A policy as an ONNX file, for other runtimes."""

import os
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import keras
import tensorflow as tf

from dice_tf.checks import check_choice, check_installed
from dice_tf.export.cards import CARD_NAME, Card, card_text
from dice_tf.export.files import check_file, write_file
from dice_tf.export.noise_draws import MARKS, ONNX
from dice_tf.export.portable import portable_signatures
from dice_tf.policies.action_sets import INFERRED
from dice_tf.policies.signatures import Signature


def export_onnx(
    policy: keras.Model,
    path: str | os.PathLike,
    *,
    signature: str | None = None,
    num_actions: int | str = INFERRED,
    observation_shape: Sequence[int | None] | None = None,
    card: Card | None = None,
    overwrite: bool = False,
) -> None:
    """Writes one signature of a policy with finitely many actions as ONNX.

    Inputs and outputs have the names and shapes of `export_policy`, for
    batches of any size, but that `act(observation, noise) -> {action,
    log_prob}` takes noise in place of a seed: float32 `[B]`, uniform on
    [0, 1). Noise and actions of another length are refused; NaN and actions
    that do not exist give what they give in a SavedModel. With memory, `step`
    takes noise in place of a seed, too, and the state that follows a step is
    `next_state`: ONNX has one value for each name. Needs the extra
    `dice_tf[onnx]`.

    Args:
      policy: a `keras.Model` from observations to the inputs of its head.
      path: file to write, `*.onnx`, as of `export_policy`. Folders above it
        are made.
      signature: `"act"`, `"act_greedy"`, `"probabilities"` or `"log_prob"`;
        with memory `"step"`, `"step_greedy"`, `"step_probabilities"` or
        `"initial_state"`. An ONNX file holds one function. Default: the
        first of these.
      num_actions: as of `export_policy`, except `None`.
      observation_shape: as of `export_policy`.
      card: as of `export_policy`; metadata of the model, named `card.json`.
      overwrite: whether to replace a file at `path`.

    Raises:
      ImportError: if tf2onnx is not installed.
      TypeError, ValueError: as of `export_policy`; or if ONNX has no
        operation for what the policy does.

    Example:
      >>> import onnxruntime
      >>> dice_tf.export.export_onnx(policy, "policy.onnx")
      >>> session = onnxruntime.InferenceSession("policy.onnx")
      >>> observation = np.eye(5, dtype=np.float32)
      >>> noise = np.random.default_rng(0).random(5, dtype=np.float32)
      >>> (action,) = session.run(
      ...     ["action"], {"observation": observation, "noise": noise}
      ... )
    """
    tf2onnx, onnx = _converters()
    path = check_file(path, ".onnx", overwrite)
    signatures = portable_signatures(
        policy, num_actions, observation_shape, ONNX
    )
    if signature is None:
        signature = next(iter(signatures))
    check_choice("signature", signature, tuple(signatures))
    text = card_text(card, policy, signatures)
    chosen = _with_unique_names(signatures[signature])
    try:
        model, _ = tf2onnx.convert.from_function(
            tf.function(chosen.function), input_signature=chosen.inputs
        )
        _fuse_marks(model, onnx)
        # The converter copies operations that ONNX does not have, and only logs
        # that.
        onnx.checker.check_model(model)
    except Exception as error:
        raise ValueError(
            f"The policy {policy.name!r} cannot be converted to ONNX: {error}"
        ) from error
    model.metadata_props.add(key=CARD_NAME, value=text)
    write_file(path, model.SerializeToString())


def _with_unique_names(signature: Signature) -> Signature:
    """Returns a signature whose outputs are not named as its inputs.

    In an ONNX graph each name stands for one value.
    """
    taken = {spec.name for spec in signature.inputs}

    def renamed(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        return {
            f"next_{name}" if name in taken else name: output
            for name, output in signature.function(*tensors).items()
        }

    return signature._replace(function=renamed)


def _fuse_marks(model: Any, onnx: ModuleType) -> None:
    """Fuses the product that marks rows with the addition that reads it.

    ONNX Runtime does so itself, but only for shapes that are known.

    Args:
      model: an `onnx.ModelProto`, which is changed.
      onnx: the library.
    """
    nodes = model.graph.node
    for marks in [node for node in nodes if node.name == MARKS]:
        (name,) = marks.output
        readers = [node for node in nodes if name in node.input]
        if [reader.op_type for reader in readers] != ["Add"]:
            continue
        (addition,) = readers
        added = [operand for operand in addition.input if operand != name]
        fused = onnx.helper.make_node(
            "Gemm", [*marks.input, *added], addition.output, name=MARKS
        )
        nodes.insert([*nodes].index(addition), fused)
        nodes.remove(marks)
        nodes.remove(addition)


def _converters() -> tuple[ModuleType, ModuleType]:
    for library in ("onnx", "tf2onnx"):
        check_installed(library, f"ONNX files need {library}", "onnx")
    import onnx
    import tf2onnx.convert

    return tf2onnx, onnx
