"""The trainings of a measurement: what they were, and what they came to."""

import numpy as np

from experiments.building.builders import build_trainer
from experiments.building.checkpoints import CheckpointPlan
from experiments.building.training import train
from experiments.comparisons import facts
from experiments.results.report import failed_text
from experiments.results.summary import failed_runs
from experiments.settings.settings import Settings


class Record:
    """Trains, tells what is going on, and keeps what was trained.

    Args:
      plan: where trainings leave checkpoints.

    Attributes:
      settings: by name, the settings of every training so far.
      checkpoint: of the training that was started last.
      tables: where its final policies are kept, if they are measured.
    """

    def __init__(self, plan: CheckpointPlan) -> None:
        self.settings: dict[str, Settings] = {}
        self._plan = plan

    def start(self, name: str, settings: Settings) -> None:
        """Notes that a training starts."""
        self.settings[name] = settings
        self.checkpoint = self._plan.of(name, settings)
        self.tables = self._plan.partial_results(name, settings)
        print(f"{name}: {settings.num_seeds} runs", flush=True)

    def say(self, text: str) -> None:
        """Prints a finding."""
        print(f"  {text}", flush=True)

    def final_returns(self, name: str, settings: Settings) -> np.ndarray:
        """Trains all players, from the checkpoint on.

        Returns:
          `[num_runs, num_players]`, returns over the last iterations.
        """
        self.start(name, settings)
        trainer = build_trainer(settings)
        curves = train(trainer, settings, self.checkpoint).judged
        finals = facts.final_returns(curves)
        if failed := failed_runs(finals):
            self.say(failed_text(failed, len(finals)))
        return finals
