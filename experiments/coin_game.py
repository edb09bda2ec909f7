"""Trains two players in the Coin Game, and shows what they do.

  python -m experiments.coin_game --learner=advantage_alignment \\
    --num_seeds=10 --output_dir=runs/coins
  python -m experiments.coin_game --policy=tabular --num_seeds=5 \\
    --learner=lola_dice_1_lookahead --output_dir=runs/coins_lola
  python -m experiments.coin_game --learner=pola --learning_rate=0.02 \\
    --num_iterations=20 --output_dir=runs/coins_pola
  python -m experiments.coin_game --learner=advantage_alignment \\
    --num_seeds=10 --output_dir=runs/coins --resume

A player that takes any coin has an own-coin share of 0.5 and earns nothing on
average; a player that leaves the opponent's coins alone has a share of 1, and
earns 0.35 a step if the opponent is like that, too.

Networks see the grid and learn from play. With actor_critic,
advantage_alignment and loqa, one network sits in both seats; a feed-forward one
also sees whose coin each player last took, and one with memory the grid alone.
With the other learners, each seat has its own network, which sees the grid
alone. Tables (--policy=tabular) see it from where the player stands, and whose
coins both took last. They learn from exact values over an infinite horizon;
only measurements are played. The last command continues a run that was
interrupted, given its flags, as if nothing had happened.

The folder gets coins.csv (own-coin share, mean reward per step and pick-ups of
every run, measured on fresh episodes), curves.png, episode.png and episode.gif
(an episode of the first run), cross_play.csv and cross_play.png (each run
against all runs, against a bot that leaves the other's coins alone,
always_cooperate, and against one that takes any coin, always_defect), the
policies in saved_model/run_<r>/player_<i>/ (only that of player_0 if both seats
share it), summary.json and config.json.
"""

# `python experiments/...` starts a file outside of its package.
__package__ = __package__ or "experiments"

import csv
import pathlib
from collections.abc import Sequence
from typing import Any

# Only imports that are cheap: --help and mistakes are answered at once.
from .coins.coin_flags import define_coin_flags
from .coins.coin_settings import CoinSettings, resolve
from .command_line.commands import Command
from .results.outputs import (
    SAVED_MODELS,
    OutputFolder,
    optional,
)

# Steps of the episode that is drawn.
_NUM_DRAWN = 24


def define_flags() -> None:
    """Defines the flags."""
    define_coin_flags()


def run(settings: CoinSettings, folder: OutputFolder) -> None:
    """Trains and writes the files."""
    from dice_tf.games import CoinGame

    from .coins import coin_cross_play, coin_plot, coin_training
    from .results.curves import failed_runs, print_failed
    from .results.provenance import collect_results

    name = settings.learner
    trainer = coin_training.build_trainer(settings)
    print(
        f"{name}: {settings.num_seeds} runs. Compiling takes a while.",
        flush=True,
    )
    progress = coin_training.train(trainer, settings, folder)
    print_failed(progress.returns[-1])
    print("Playing against each other and against bots.", flush=True)
    objective = coin_training.measured_in_play(trainer.objective, settings)
    played = coin_cross_play.cross_play(objective, progress.runs, settings.seed)
    entry = {
        "failed_runs": failed_runs(progress.returns[-1]),
        "final_own_coin_share_per_run": progress.shares[-1].tolist(),
        "final_mean_reward_per_run": progress.returns[-1].mean(1).tolist(),
        "final_pick_ups_per_step_per_run": progress.pick_ups[-1].tolist(),
        **played.summary(),
    }
    _print_entry(entry)
    with collect_results(folder, {name: settings}, {name: entry}) as stage:
        _write_csv(stage / "coins.csv", name, progress)
        coin_cross_play.write_cross_play(stage / "cross_play.csv", played)
        # All policies are measured on the grid.
        game = CoinGame(settings.episode_length)
        for file, draw, *contents in (
            ("curves.png", coin_plot.plot_progress, progress, name),
            ("episode.png", coin_plot.plot_episode, game, progress, _NUM_DRAWN),
            ("episode.gif", coin_plot.animate_episode, game, progress),
            ("cross_play.png", coin_cross_play.plot_cross_play, played, name),
        ):
            picture = stage / file
            with optional(picture):
                draw(picture, *contents)
        _write_policies(stage, trainer, objective, entry["failed_runs"])


def _write_policies(
    stage: pathlib.Path, trainer: Any, objective: Any, failed: Sequence[int]
) -> None:
    """Exports the policies of each run, one that sits in both seats once."""
    from dice_tf.export import export_policy

    with optional(stage / SAVED_MODELS):
        for run in range(trainer.num_seeds):
            if run + 1 in failed:
                continue
            trainer.load_run(run)
            for seat, policy in enumerate(objective.policies):
                if policy in objective.policies[:seat]:
                    continue
                name = f"run_{run + 1}", f"player_{seat}"
                export_policy(policy, stage.joinpath(SAVED_MODELS, *name))


def _print_entry(entry: dict[str, Any]) -> None:
    """Prints what the summary says, as means over runs."""
    for name, value in entry.items():
        if name == "failed_runs" or value is None:
            continue
        text = name.removeprefix("final_").removesuffix("_per_run")
        if isinstance(value, list):
            value = sum(value) / len(value)
        print(f"  {text.replace('_', ' ')}: {value:.3f}", flush=True)


def _write_csv(path: pathlib.Path, name: str, progress: Any) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        columns = ["own_coin_share", "player_0_reward", "player_1_reward"]
        columns.append("pick_ups_per_step")
        writer.writerow(["method", "run", "iteration", *columns])
        for iteration, *measured in zip(
            progress.iterations,
            progress.shares,
            progress.returns,
            progress.pick_ups,
            strict=True,
        ):
            runs = zip(*measured, strict=True)
            for run_id, (share, rewards, pick_ups) in enumerate(runs, 1):
                numbers = [
                    f"{number:.6g}" for number in (share, *rewards, pick_ups)
                ]
                writer.writerow([name, run_id, iteration, *numbers])


COMMAND = Command(define_flags, resolve, run)

if __name__ == "__main__":
    COMMAND.start()
