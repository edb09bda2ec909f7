"""The trainings of a measurement: what they were, and what they came to."""

import numpy as np

from experiments.building.builders import build_trainer
from experiments.building.training import train
from experiments.comparisons import facts
from experiments.settings.settings import Settings


class Record:
    """Trains, tells what is going on, and keeps what was trained.

    Attributes:
      settings: by name, the settings of every training so far.
    """

    def __init__(self) -> None:
        self.settings: dict[str, Settings] = {}

    def start(self, name: str, settings: Settings) -> None:
        """Notes that a training starts."""
        self.settings[name] = settings
        print(f"{name}: {settings.num_seeds} runs", flush=True)

    def say(self, text: str) -> None:
        """Prints a finding."""
        print(f"  {text}", flush=True)

    def final_returns(self, name: str, settings: Settings) -> np.ndarray:
        """Trains all players.

        Returns:
          `[num_runs, num_players]`, returns over the last iterations.
        """
        self.start(name, settings)
        curves = train(build_trainer(settings), settings).curves
        return facts.final_returns(curves)
