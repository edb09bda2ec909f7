"""All files that trained methods leave behind."""

import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import dice_tf
from experiments.building.builders import is_prisoners_dilemma
from experiments.building.training import Training
from experiments.results import outputs
from experiments.results.curve_plot import plot_curves
from experiments.results.curves_csv import write_curves
from experiments.results.policy_plot import plot_policies
from experiments.results.policy_tables import policy_tables
from experiments.results.provenance import config
from experiments.results.summary import (
    final_joint_returns,
    median_run,
    summarise,
)
from experiments.settings.line_up import seat_name
from experiments.settings.named_games import title
from experiments.settings.settings import Settings
from experiments.settings.shared_settings import EXACT

# More would make the picture of the policies too tall; the first stand for all.
_MOST_RUNS = 40


class Result(NamedTuple):
    """A trained method.

    Attributes:
      settings: what it was trained with.
      trainer: holds what was learned.
      training: what the training recorded.
    """

    settings: Settings
    trainer: dice_tf.Trainer
    training: Training


def write_results(
    folder: outputs.OutputFolder,
    results: Mapping[str, Result],
    notes: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Writes all files, or none.

    Runs that have failed are named in `summary.json`, and are no reason to
    leave out the others.

    Args:
      folder: where to.
      results: by method name, all of one game.
      notes: by method name, what to add to its entry of `summary.json`.

    Returns:
      What `summary.json` holds.
    """
    first = next(iter(results.values()))
    game = getattr(first.trainer.objective, "game", None)
    is_known = game is not None and is_prisoners_dilemma(game)
    curves = {name: own.training.curves for name, own in results.items()}
    summary = {
        name: summarise(
            own.training.judged,
            own.training.seconds,
            own.training.seconds_per_iteration,
            is_known,
        )
        | dict((notes or {}).get(name, {}))
        for name, own in results.items()
    }
    settings = {name: own.settings for name, own in results.items()}
    with folder.collect() as stage:
        outputs.write_json(
            stage / outputs.CONFIG, config(settings, folder.path)
        )
        write_curves(stage / outputs.CURVES, curves)
        plot_curves(
            stage / "learning_curves.png",
            curves,
            title(first.settings.game),
            with_published=is_known and first.settings.objective != EXACT,
        )
        for name, own in results.items() if game is not None else ():
            several = len(results) > 1
            _write_policies(stage, own, name if several else "")
        outputs.write_json(stage / outputs.SUMMARY, summary)
    return summary


def _write_policies(stage: pathlib.Path, result: Result, method: str) -> None:
    """Draws the first runs' policies and exports those of the median run.

    Nothing is exported where all runs have failed.
    """
    settings, trainer, training = result
    finals = final_joint_returns(training.judged)[:_MOST_RUNS]
    plot_policies(
        stage / (f"policies_{method}.png" if method else "policies.png"),
        policy_tables(trainer, len(finals)),
        finals,
        list(map(seat_name, settings.learner, settings.num_lookaheads)),
        settings.game,
        f"{title(settings.game)}: policies at the end",
    )
    median = median_run(training.judged)
    if median is None:
        return
    trainer.load_run(median)
    for player_id, policy in enumerate(trainer.objective.policies):
        dice_tf.export.export_policy(
            policy,
            stage / outputs.SAVED_MODELS / method / f"player_{player_id}",
        )
