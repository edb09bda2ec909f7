"""Training several methods, one after the other."""

from collections.abc import Mapping

from experiments.building.builders import build_trainer
from experiments.building.checkpoints import CheckpointPlan
from experiments.building.training import train
from experiments.command_line.user_errors import user_errors
from experiments.results.result_files import Result
from experiments.settings.settings import Settings


def train_methods(
    settings: Mapping[str, Settings], plan: CheckpointPlan
) -> dict[str, Result]:
    """Trains methods, showing the progress of each.

    Args:
      settings: by method name.
      plan: where each of them leaves checkpoints.

    Returns:
      By method name, what was learned.
    """
    # What does not fit the game should come out before the first training.
    with user_errors():
        trainers = {name: build_trainer(own) for name, own in settings.items()}
    results = {}
    for number, (name, own) in enumerate(settings.items(), 1):
        print(
            f"{name} ({number} of {len(settings)}): {own.num_seeds} runs. "
            "Compiling takes a while.",
            flush=True,
        )
        training = train(trainers[name], own, plan.of(name, own))
        results[name] = Result(own, trainers[name], training)
    return results
