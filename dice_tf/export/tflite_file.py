"""A policy as a TFLite file, for small devices."""

import os
import pathlib
import tempfile
from collections.abc import Sequence

import keras
import tensorflow as tf

from dice_tf.export.cards import Card, card_text, with_card
from dice_tf.export.files import check_file, write_file
from dice_tf.export.noise_draws import TFLITE
from dice_tf.export.portable import portable_signatures
from dice_tf.export.saved_model import write_archive
from dice_tf.policies.action_sets import INFERRED


def export_tflite(
    policy: keras.Model,
    path: str | os.PathLike,
    *,
    num_actions: int | str = INFERRED,
    observation_shape: Sequence[int | None] | None = None,
    card: Card | None = None,
    overwrite: bool = False,
) -> None:
    """Writes a policy with finitely many actions as a TFLite file.

    Its signatures are those of `export_policy`, for batches of any size, but
    that `act(observation, noise) -> {action, log_prob}` takes noise in place
    of a seed: float32 `[B]`, uniform on [0, 1), from any generator. Where a
    device has none, `act_greedy` needs no noise. With memory, `step` takes
    noise in place of a seed, too; a device hands on the state.

    NaN and actions that do not exist give what they give in a SavedModel.
    TFLite takes inputs of any shape: the file holds concatenations that fail on
    a single observation without a batch axis, and on noise or actions of
    another length.

    Args:
      policy: a `keras.Model` from observations to the inputs of its head.
      path: file to write, `*.tflite`, as of `export_policy`. Folders above it
        are made.
      num_actions: as of `export_policy`, except `None`.
      observation_shape: as of `export_policy`.
      card: as of `export_policy`; the file holds it as TFLite files hold what
        goes with them, so that `unzip` finds `card.json`.
      overwrite: whether to replace a file at `path`.

    Raises:
      TypeError, ValueError: as of `export_policy`; or if TFLite has no
        operation for what the policy does.

    Example:
      >>> dice_tf.export.export_tflite(policy, "policy.tflite")
      >>> from ai_edge_litert.interpreter import Interpreter
      >>> act = Interpreter("policy.tflite").get_signature_runner("act")
      >>> observation = np.eye(5, dtype=np.float32)
      >>> noise = np.random.default_rng(0).random(5, dtype=np.float32)
      >>> action = act(observation=observation, noise=noise)["action"]
    """
    path = check_file(path, ".tflite", overwrite)
    signatures = portable_signatures(
        policy, num_actions, observation_shape, TFLITE
    )
    text = card_text(card, policy, signatures)
    with tempfile.TemporaryDirectory() as folder:
        # The converter writes wrong weights for a tf.Module that holds a Keras
        # model, and right ones for what Keras exports.
        saved = str(pathlib.Path(folder, "saved_model"))
        write_archive(policy, signatures, saved)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            saved, signature_keys=list(signatures)
        )
        try:
            content = converter.convert()
        except Exception as error:
            raise ValueError(
                f"The policy {policy.name!r} cannot be converted to TFLite: "
                f"{error}"
            ) from error
    write_file(path, with_card(content, text))
