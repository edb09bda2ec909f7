"""Where a training leaves its checkpoints, and from where it goes on."""

import re
from typing import Any, NamedTuple

import dice_tf
from experiments.results.outputs import OutputFolder
from experiments.results.partial_results import PartialResults


class CheckpointPlan(NamedTuple):
    """Where, how often, and whether to start from there.

    Attributes:
      folder: whose checkpoints.
      every_seconds: time between two, at least.
    """

    folder: OutputFolder
    every_seconds: float

    def of(self, method: str, settings: Any) -> dice_tf.callbacks.Checkpoint:
        """Returns the checkpoint of one training.

        Args:
          method: its name.
          settings: named tuple, all that determines it.
        """
        return dice_tf.callbacks.Checkpoint(
            self.folder.checkpoints / _file_name(method),
            configuration=settings._asdict(),
            every_seconds=self.every_seconds,
            resume=False,
            keep=True,
        )

    def partial_results(self, name: str, settings: Any) -> PartialResults:
        """Returns where arrays are kept that are no state of a trainer.

        Args:
          name: unlike that of any other, and of any training.
          settings: named tuple, all that determines them.
        """
        return PartialResults(
            self.folder.checkpoints / f"{_file_name(name)}.npz",
            settings._asdict(),
            self.every_seconds,
        )


def _file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text)
