"""Where a training leaves its checkpoints, and from where it goes on."""

import re
from typing import NamedTuple

import dice_tf
from experiments.results.outputs import OutputFolder
from experiments.settings.settings import Settings


class CheckpointPlan(NamedTuple):
    """Where, how often, and whether to start from there.

    Attributes:
      folder: whose checkpoints.
      every_seconds: time between two, at least.
    """

    folder: OutputFolder
    every_seconds: float

    def of(
        self, method: str, settings: Settings
    ) -> dice_tf.callbacks.Checkpoint:
        """Returns the checkpoint of one training.

        Args:
          method: its name.
          settings: all that determines it.
        """
        name = re.sub(r"[^A-Za-z0-9_-]+", "_", method)
        return dice_tf.callbacks.Checkpoint(
            self.folder.checkpoints / name,
            configuration=settings._asdict(),
            every_seconds=self.every_seconds,
            resume=False,
            keep=True,
        )
