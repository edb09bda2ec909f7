"""A policy that is a program: it leaves a mark whenever it acts."""

import pathlib

import keras
import tensorflow as tf

import dice_tf


class _Writing(tf.Module):
    """Acts like an exported policy, and leaves a mark."""

    def __init__(self, mark: pathlib.Path):
        super().__init__()
        self._mark = str(mark)

    @tf.function(
        input_signature=[tf.TensorSpec([None, 5], tf.float32, "observation")]
    )
    def probabilities(self, observation):
        with tf.control_dependencies(
            [tf.io.write_file(self._mark, "was here")]
        ):
            shares = tf.fill([tf.shape(observation)[0], 2], 0.5)
        return {"probabilities": shares}


def hostile_policy(
    folder: pathlib.Path,
) -> tuple[keras.Model, pathlib.Path]:
    """Writes the SavedModel `hostile` to a folder, and loads it.

    Returns:
      The policy, and the file that it writes when it acts, which is not there.
    """
    mark = folder / "mark"
    module = _Writing(mark)
    signatures = {"probabilities": module.probabilities}
    tf.saved_model.save(module, folder / "hostile", signatures=signatures)
    policy = dice_tf.policies.from_saved_model(folder / "hostile")
    assert mark.read_text() == "was here"
    mark.unlink()
    return policy, mark
