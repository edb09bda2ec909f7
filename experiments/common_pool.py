"""Trains two players that harvest a common pool, and shows an episode.

  python -m experiments.common_pool --output_dir=runs/pool
  python -m experiments.common_pool --num_seeds=20 --output_dir=runs/pool \\
    --learners=lola_dice_1_lookahead,lola_dice_1_lookahead_vs_naive

Both take units of a stock of up to 12, and what they leave regrows by a
quarter. Two players that take one unit each when the stock is full earn 1 a
step for ever; two that take all they may leave a single unit, which does not
grow, after two steps. Tables learn by exact values over an infinite horizon,
from random starts.

The folder gets curves.csv (the return of every player, run and iteration),
summary.json (also what is left of the stock after an episode), config.json,
learning_curves.png, episode.gif (an episode of the median run of each of the
first three methods), and in saved_model/<method>/ the policies of that run.
"""

# `python experiments/...` starts a file outside of its package.
__package__ = __package__ or "experiments"

import pathlib
from collections.abc import Mapping
from typing import Any

from absl import flags

# Only imports that are cheap: --help and mistakes are answered at once.
from .command_line.commands import Command
from .command_line.flag_parsers import (
    Number,
    define,
    define_seed,
    define_size,
)
from .pools.pool_settings import PoolSettings, resolve
from .results.outputs import CURVES, SAVED_MODELS, OutputFolder, optional
from .settings.training_flags import MOST_SEEDS, define_output_flags


def define_flags() -> None:
    """Defines the flags."""
    define_output_flags()
    flags.DEFINE_list(
        "learners",
        "naive,lola_dice_1_lookahead",
        "Methods to train, named as in compare_learners. Those that learn from "
        "play cannot be trained here.",
    )
    define_size("num_seeds", 10, "Number of independent runs.", most=MOST_SEEDS)
    define_seed("Seed of the first run.")
    define_size("num_iterations", 300, "Number of updates.")
    define_size("episode_length", 50, "Steps of the episodes that are shown.")
    for name, default, parser, text in (
        ("discount", "0.96", Number(0.0, 1.0), "Worth of a reward a step on."),
        (
            "learning_rate",
            "1",
            Number(),
            "Learning rate of the updates, on discounted, unnormalised "
            "returns.",
        ),
        (
            "inner_learning_rate",
            "10",
            Number(),
            "Learning rate of the steps that a player imagines.",
        ),
    ):
        define(name, default, parser, text)


def run(settings: dict[str, PoolSettings], folder: OutputFolder) -> None:
    """Trains all methods and writes the files."""
    from .pools import pool_training
    from .results.curves import summarise, write_curves
    from .results.pictures import plot_curves
    from .results.provenance import collect_results
    from .results.result_files import print_report

    trained, summary = {}, {}
    for name, method in settings.items():
        print(
            f"{name}: {method.num_seeds} runs. Compiling takes a while.",
            flush=True,
        )
        runs = trained[name] = pool_training.train(method)
        each = runs.seconds / method.num_iterations
        summary[name] = summarise(runs.judged, runs.seconds, each, False)
        summary[name]["final_stock_per_run"] = runs.final_stocks.tolist()
    curves = {name: runs.curves for name, runs in trained.items()}
    with collect_results(folder, settings, summary) as stage:
        write_curves(stage / CURVES, curves)
        picture = stage / "learning_curves.png"
        with optional(picture):
            plot_curves(picture, curves, "Common pool", with_published=False)
        _write_episodes(stage / "episode.gif", trained)
        _write_policies(stage, trained)
    left = [f"{runs.final_stocks.mean():.1f}" for runs in trained.values()]
    print_report(summary, [["stock after an episode", *left]])


def _write_episodes(path: pathlib.Path, trained: Mapping[str, Any]) -> None:
    """Draws an episode of the median run of each of the first methods."""
    from .pools import pool_plot

    episodes = {
        name: pool_plot.first_episode(runs.episodes)
        for name, runs in trained.items()
        if runs.median is not None
    }
    shown = dict(list(episodes.items())[: pool_plot.MOST_PANELS])
    game = next(iter(trained.values())).trainer.objective.game
    with optional(path):
        if shown:
            pool_plot.animate_episodes(path, game.capacity, shown)


def _write_policies(stage: pathlib.Path, trained: Mapping[str, Any]) -> None:
    """Exports the policies of the median run of each method."""
    from dice_tf.export import export_policy

    for name, runs in trained.items():
        if runs.median is None:
            continue
        with optional(stage / SAVED_MODELS / name):
            runs.trainer.load_run(runs.median)
            for seat, policy in enumerate(runs.trainer.objective.policies):
                path = stage / SAVED_MODELS / name / f"player_{seat}"
                export_policy(policy, path)


COMMAND = Command(define_flags, resolve, run)

if __name__ == "__main__":
    COMMAND.start()
