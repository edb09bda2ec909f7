"""Pictures of the policies while they learn."""

import io
import os
import pathlib
import warnings
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from dice_tf.callbacks.policy_tables import check_tables, run_tables
from dice_tf.checks import check_installed, check_kind, check_whole_number
from dice_tf.evaluation.policy_figures import policy_figure, require_matplotlib
from dice_tf.export.files import write_file


class PolicyPictures(keras.callbacks.Callback):
    """Draws what all policies do, every n epochs: to files or TensorBoard.

    Needs a `FiniteGame` that players see one-hot, such as every iterated
    matrix game, and Matplotlib: `pip install "dice_tf[experiments]"`.

    Args:
      folder: for `policies_<epoch>.png`, epochs counted from 1.
      log_dir: folder of TensorBoard (`pip install "dice_tf[tensorboard]"`),
        for an image named `policies`.
      every: number of epochs from one picture to the next.
      most_runs: how many runs are drawn at most, the first ones.
      state_labels: per player, the name of each observation.

    Raises:
      ImportError: if Matplotlib or TensorBoard is needed and not installed.
      ValueError: if neither `folder` nor `log_dir` is given, or, when training
        starts, if policies are not tables.

    Example:
      >>> pictures = dice_tf.callbacks.PolicyPictures("pictures", every=5)
      >>> trainer.fit(epochs=20, steps_per_epoch=10, callbacks=[pictures])
    """

    def __init__(
        self,
        folder: str | os.PathLike | None = None,
        *,
        log_dir: str | os.PathLike | None = None,
        every: int = 1,
        most_runs: int = 20,
        state_labels: Sequence[Sequence[str]] | None = None,
    ):
        super().__init__()
        require_matplotlib()
        kinds = (str, os.PathLike, type(None))
        check_kind("folder", folder, kinds, "a string or a path")
        check_kind("log_dir", log_dir, kinds, "a string or a path")
        if folder is None and log_dir is None:
            raise ValueError("Give a `folder`, a `log_dir`, or both.")
        if log_dir is not None:
            need = "`log_dir` needs TensorBoard"
            check_installed("tensorboard", need, "tensorboard")
        self._folder = None if folder is None else pathlib.Path(folder)
        self._log_dir = log_dir
        self._every = check_whole_number("every", every, 1)
        self._most_runs = check_whole_number("most_runs", most_runs, 1)
        self._state_labels = state_labels
        self._writer: tf.summary.SummaryWriter | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        check_tables(self.model, "PolicyPictures")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if (epoch + 1) % self._every:
            return
        num_runs = min(self.model.num_seeds, self._most_runs)
        figure = policy_figure(
            run_tables(self.model, num_runs),
            state_labels=self._state_labels,
            title=f"Policies after {self.model.iterations} iterations",
        )
        picture = io.BytesIO()
        figure.savefig(picture, format="png", dpi=100)
        if self._folder is not None:
            _write(
                self._folder / f"policies_{epoch + 1}.png", picture.getvalue()
            )
        if self._log_dir is not None:
            if self._writer is None:
                self._writer = tf.summary.create_file_writer(str(self._log_dir))
            image = tf.image.decode_png(picture.getvalue(), channels=4)
            with self._writer.as_default():
                tf.summary.image("policies", image[tf.newaxis], step=epoch)
            self._writer.flush()

    def on_train_end(self, logs: Any = None) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _write(path: pathlib.Path, picture: bytes) -> None:
    """Writes a picture, or warns: no picture is worth the training."""
    try:
        write_file(path, picture)
    except OSError as error:
        warnings.warn(
            f"The picture {str(path)!r} could not be written: {error}. "
            "Training goes on.",
            stacklevel=2,
        )
