"""Trains two players in the Coin Game, and draws what they do.

  python -m experiments.coin_game --policy=tabular --num_seeds=5 \\
    --learner=lola_dice_1_lookahead --output_dir=runs/coins_lola
  python -m experiments.coin_game --output_dir=runs/coins
  python -m experiments.coin_game --learner=pola --learning_rate=0.02 \\
    --num_iterations=20 --output_dir=runs/coins_pola
  python -m experiments.coin_game --output_dir=runs/coins --resume

A player that takes any coin has an own-coin share of 0.5 and earns nothing on
average; a player that leaves the opponent's coins alone has a share of 1.
Networks see the grid and learn from play. Tables (--policy=tabular) see it from
where the player stands, and whose coins both took last. They learn from exact
values over an infinite horizon; only measurements are played. The last command
continues a run that was interrupted, given its flags, as if nothing had
happened.

The folder gets coins.csv (own-coin share and mean reward per step of every run,
measured on fresh episodes), curves.png, episode.png (the first steps of an
episode of the first run), summary.json and config.json.
"""

import csv
import pathlib
from typing import Any

from absl import flags

# Only imports that are cheap: --help and mistakes are answered at once.
from experiments.coins.coin_settings import (
    DEFAULTS,
    LEARNERS,
    TABULAR,
    CoinSettings,
    resolve,
)
from experiments.command_line.commands import Command
from experiments.command_line.flag_parsers import (
    LARGEST_SIZE,
    MOST_UNROLLED,
    Number,
    define,
    define_seed,
    define_size,
)
from experiments.results.outputs import OutputFolder, optional
from experiments.settings.training_flags import (
    MOST_SEEDS,
    define_output_flags,
    define_resume_flags,
)

# Steps of the episode that is drawn.
_NUM_DRAWN = 24
_MOST = {
    "num_seeds": MOST_SEEDS,
    "num_lookaheads": MOST_UNROLLED,
    "num_outer_steps": MOST_UNROLLED,
}


def define_flags() -> None:
    """Defines the flags."""
    define_output_flags()
    define_resume_flags()
    flags.DEFINE_enum(
        "policy", "mlp", tuple(DEFAULTS), "What both players are."
    )
    flags.DEFINE_enum("learner", "naive", LEARNERS, "How both players learn.")
    for name, default, least, text in (
        ("num_seeds", 1, 1, "Number of independent runs."),
        ("batch_size", 64, 2, "Episodes of each play."),
        ("episode_length", 32, 1, "Steps of an episode."),
        ("hidden_units", 32, 1, "mlp: width of both layers."),
        ("num_outer_steps", 20, 1, "pola: outer steps of each update."),
        ("num_lookaheads", 2, 0, "pola: look-aheads of each outer step."),
        ("num_iterations", None, 1, "Number of updates."),
    ):
        most = _MOST.get(name, LARGEST_SIZE)
        define_size(name, default, text + _default(name), least, most)
    define_seed("Seed of the first run.")
    for name, text in (
        (
            "learning_rate",
            "Rate of Adam, of SGD (tabular), or of the outer steps of pola.",
        ),
        ("inner_learning_rate", "Rate of imagined steps."),
    ):
        define(name, None, Number(), text + _default(name))
    for name, default, text in (
        ("outer_penalty", "10", "pola: price of the player's own divergence."),
        ("inner_penalty", "5", "pola: price of the opponent's divergence."),
    ):
        define(name, default, Number(), text)
    define(
        "discount", "0.96", Number(0.0, 1.0), "Worth of a reward a step later."
    )


def _default(name: str) -> str:
    """Returns a sentence on the defaults of a flag that follow --policy."""
    if name not in DEFAULTS[TABULAR]:
        return ""
    networks, tables = (defaults[name] for defaults in DEFAULTS.values())
    return f" Default: {networks}; for tabular {tables}."


def run(settings: CoinSettings, folder: OutputFolder) -> None:
    """Trains and writes the files."""
    from dice_tf.games import CoinGame
    from experiments.coins import coin_plot, coin_training
    from experiments.results.curves import failed_runs, print_failed
    from experiments.results.provenance import collect_results

    name = settings.learner
    trainer = coin_training.build_trainer(settings)
    print(f"{name}: {settings.num_seeds} runs", flush=True)
    progress = coin_training.train(trainer, settings, folder)
    print_failed(progress.returns[-1])
    entry = {
        "failed_runs": failed_runs(progress.returns[-1]),
        "final_own_coin_share_per_run": progress.shares[-1].tolist(),
        "final_mean_reward_per_run": progress.returns[-1].mean(1).tolist(),
    }
    with collect_results(folder, {name: settings}, {name: entry}) as stage:
        _write_csv(stage / "coins.csv", name, progress)
        picture = stage / "curves.png"
        with optional(picture):
            coin_plot.plot_progress(picture, progress, name)
        picture = stage / "episode.png"
        with optional(picture):
            # Tables, too, are measured on the grid.
            game = CoinGame(settings.episode_length)
            coin_plot.plot_episode(picture, game, progress, _NUM_DRAWN)


def _write_csv(path: pathlib.Path, name: str, progress: Any) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        columns = ["own_coin_share", "player_0_reward", "player_1_reward"]
        writer.writerow(["method", "run", "iteration", *columns])
        for iteration, shares, returns in zip(
            progress.iterations, progress.shares, progress.returns, strict=True
        ):
            runs = zip(shares, returns, strict=True)
            for run_id, (share, rewards) in enumerate(runs, 1):
                numbers = [f"{number:.6g}" for number in (share, *rewards)]
                writer.writerow([name, run_id, iteration, *numbers])


COMMAND = Command(define_flags, resolve, run)

if __name__ == "__main__":
    COMMAND.start()
