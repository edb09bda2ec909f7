"""What trained methods leave behind: all files, and a table at the end."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import dice_tf

from ..building.builders import is_prisoners_dilemma
from ..building.trainings import Training
from ..settings.line_up import seat_name
from ..settings.matrix_games import (
    NAMED_GAMES,
    TANDEM,
    action_letters,
    state_labels,
    title,
)
from ..settings.training_settings import EXACT, TrainingSettings
from .check_list import aligned
from .curves import (
    COOPERATIVE,
    FINAL_ITERATIONS,
    final_joint_returns,
    median_run,
    print_failed,
    summarise,
    write_curves,
)
from .outputs import (
    CURVES,
    SAVED_MODELS,
    OutputFolder,
    optional,
)
from .pictures import minus_sign, plot_curves
from .provenance import collect_results
from .state_diagram import DIAGRAM, has_diagram, plot_states

# The first runs stand for all: more would make the picture too tall.
_MOST_RUNS = 40


def write_results(
    folder: OutputFolder,
    trainings: Mapping[str, Training],
    notes: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Writes curves and summary, or nothing, and pictures and policies.

    Runs that have failed are named in `summary.json`; the others are written.
    A picture or policy that cannot be written is left out with a warning.

    Args:
      folder: the folder of the results.
      trainings: by method name, all of one game.
      notes: by method name, what to add to its entry of `summary.json`.

    Returns:
      The content of `summary.json`.
    """
    first = next(iter(trainings.values()))
    has_policies = first.settings.game != TANDEM
    is_known = has_policies and is_prisoners_dilemma(
        first.trainer.objective.game
    )
    curves = {name: method.curves for name, method in trainings.items()}
    summary = {
        name: summarise(
            method.judged,
            method.seconds,
            method.seconds_per_iteration,
            is_known,
        )
        | dict((notes or {}).get(name, {}))
        for name, method in trainings.items()
    }
    settings = {name: method.settings for name, method in trainings.items()}
    with collect_results(folder, settings, summary) as stage:
        write_curves(stage / CURVES, curves)
        picture = stage / "learning_curves.png"
        with optional(picture):
            plot_curves(
                picture,
                curves,
                title(first.settings.game),
                with_published=is_known and first.settings.objective != EXACT,
            )
        for name, method in trainings.items() if has_policies else ():
            _write_policies(stage, method, name if len(trainings) > 1 else "")
    return summary


def _write_policies(stage: pathlib.Path, training: Training, name: str) -> None:
    """Draws the first runs' policies and exports those of the median run.

    What is drawn are tables, which policies with memory do not have. A method
    alone also gets a picture of the match of the median run. If all runs have
    failed, nothing is exported.
    """
    trainer = training.trainer
    have_tables = not any(x.has_memory for x in trainer.objective.actors)
    if have_tables:
        _draw_policies(stage, training, name)
    median = median_run(training.judged)
    if median is None:
        return
    if have_tables and not name:
        _draw_match(stage / DIAGRAM, training, median)
    with optional(stage / SAVED_MODELS / name):
        trainer.load_run(median)
        for player_id, policy in enumerate(trainer.objective.policies):
            path = stage / SAVED_MODELS / name / f"player_{player_id}"
            dice_tf.export.export_policy(policy, path)


def _draw_policies(stage: pathlib.Path, training: Training, name: str) -> None:
    settings, trainer = training.settings, training.trainer
    finals = final_joint_returns(training.judged)[:_MOST_RUNS]
    picture = stage / (f"policies_{name}.png" if name else "policies.png")
    with optional(picture):
        plot_policies(
            picture,
            policy_tables(trainer, len(finals)),
            finals,
            _player_names(settings),
            settings.game,
            f"{title(settings.game)}: policies at the end",
        )


def _draw_match(path: pathlib.Path, training: Training, run: int) -> None:
    """Draws the match of two players of two actions as a state diagram."""
    settings, trainer = training.settings, training.trainer
    with optional(path):
        trainer.load_run(run)
        tables = _loaded_tables(trainer)
        if has_diagram(tables):
            plot_states(
                path,
                tables,
                action_letters(settings.game, 2),
                _player_names(settings),
                f"{title(settings.game)}: run {run + 1}",
            )


def _player_names(settings: TrainingSettings) -> list[str]:
    return list(
        map(
            seat_name,
            settings.learner,
            settings.num_lookaheads,
            settings.look_ahead_weight,
        )
    )


def policy_tables(
    trainer: dice_tf.Trainer, num_runs: int | None = None
) -> list[np.ndarray]:
    """Returns the probabilities of actions in a matrix game, of the first runs.

    Returns:
      For each player `[num_runs, num_observations, num_actions]`, with
      observations as that player sees them.
    """
    runs = []
    for run in range(trainer.num_seeds if num_runs is None else num_runs):
        trainer.load_run(run)
        runs.append(_loaded_tables(trainer))
    return [np.stack(tables) for tables in zip(*runs, strict=True)]


def _loaded_tables(trainer: dice_tf.Trainer) -> list[np.ndarray]:
    """Returns the probabilities of each player's actions in the loaded run."""
    objective = trainer.objective
    return [
        dice_tf.evaluation.action_probabilities(
            objective.game, policy, player_id
        )
        for player_id, policy in enumerate(objective.policies)
    ]


def plot_policies(
    path: pathlib.Path,
    tables: Sequence[np.ndarray],
    finals: np.ndarray,
    players: Sequence[str],
    game: str,
    title: str,
) -> None:
    """Draws the probability of actions: per state, player and run.

    Args:
      path: file to write.
      tables: per player `[num_runs, num_observations, num_actions]`.
      finals: `[num_runs]`, final joint returns.
      players: what each player is called.
      game: name of the game.
      title: title of the picture.
    """
    num_actions = [table.shape[2] for table in tables]
    shown = NAMED_GAMES[game].first if game in NAMED_GAMES else None
    figure = dice_tf.evaluation.policy_figure(
        tables,
        run_labels=[
            f"run {run}  ({minus_sign(final)})"
            for run, final in enumerate(finals, 1)
        ],
        run_title="run (final joint return)",
        player_labels=players,
        state_labels=[
            state_labels(game, num_actions, player_id)
            for player_id in range(len(tables))
        ],
        state_title="last round, own action first",
        action_labels=action_letters(game, max(num_actions)),
        shown=shown,
        title=title,
    )
    figure.savefig(path, dpi=150)


def print_report(
    summary: Mapping[str, Mapping[str, Any]],
    columns: Sequence[Sequence[str]] = (),
) -> None:
    """Prints one line per method.

    In the prisoner's dilemma it counts the runs that end in cooperation. Runs
    that have failed are named.

    Args:
      summary: the content of `summary.json`.
      columns: further columns, each a header and one cell per method.
    """
    is_known = any("iterations_to" in entry for entry in summary.values())
    header = ["method", f"joint return (last {FINAL_ITERATIONS})"]
    if is_known:
        header.append(f"runs at least {COOPERATIVE}")
    rows = [header]
    for method, entry in summary.items():
        finals = entry["final_joint_return_per_run"]
        mean = f"{entry['final_joint_return_mean']:.3f}"
        if entry["final_joint_return_std"] is not None:
            mean += f" +- {entry['final_joint_return_std']:.3f}"
        rows.append([method, mean])
        if is_known:
            reached = sum(final >= COOPERATIVE for final in finals)
            rows[-1].append(f"{reached} of {len(finals)}")
    seconds = [f"{entry['seconds']:.1f}" for entry in summary.values()]
    for column in (*columns, ["seconds", *seconds]):
        for row, cell in zip(rows, column, strict=True):
            row.append(cell)
    print(f"\n{aligned(rows)}")
    for method, entry in summary.items():
        print_failed(entry["final_joint_return_per_run"], f"{method}: ")
