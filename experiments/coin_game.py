"""Trains two players in the Coin Game, and draws what they do.

  python -m experiments.coin_game --policy=tabular --num_seeds=5 \\
    --learner=lola_dice_1_lookahead --output_dir=runs/coins_lola
  python -m experiments.coin_game --output_dir=runs/coins
  python -m experiments.coin_game --learner=pola --learning_rate=0.02 \\
    --num_iterations=20 --output_dir=runs/coins_pola
  python -m experiments.coin_game --output_dir=runs/coins --resume

Whoever takes any coin has an own-coin share of .5 and earns nothing on average;
who leaves the other's coins alone has 1. Networks see the grid and learn from
play. Tables (--policy=tabular) see it from where the player stands, and whose
coins both took last, and learn from exact values over an infinite horizon; only
what is measured is played. The last command continues a run that was
interrupted, given its flags, as if nothing had happened.

The folder gets coins.csv (own-coin share and mean reward per step of every run,
measured on fresh episodes), curves.png, episode.png (the first steps of an
episode of the first run), summary.json and config.json.
"""

import csv
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from absl import app, flags

# Only what is cheap to import: --help and mistakes are answered at once.
from experiments.command_line.flag_parsers import define, number, whole_number
from experiments.command_line.quiet_tensorflow import import_tensorflow
from experiments.command_line.requirements import require_matplotlib
from experiments.command_line.user_errors import user_errors
from experiments.results.outputs import (
    CONFIG,
    SUMMARY,
    OutputFolder,
    finished,
    interrupted,
    write_json,
)
from experiments.settings.common_flags import (
    define_output_flags,
    define_resume_flags,
)

FLAGS = flags.FLAGS
_NUM_MEASUREMENTS = 20
_NUM_DRAWN = 24
_DEFAULTS = {
    "mlp": {
        "num_iterations": 200,
        "learning_rate": 0.01,
        "inner_learning_rate": 0.02,
    },
    "tabular": {
        "num_iterations": 80,
        "learning_rate": 6.0,
        "inner_learning_rate": 25.0,
    },
}


def define_flags() -> None:
    """Defines the flags; other experiments have some of the same names."""
    define_output_flags()
    define_resume_flags()
    flags.DEFINE_enum(
        "policy", "mlp", tuple(_DEFAULTS), "What both players are."
    )
    flags.DEFINE_enum(
        "learner",
        "naive",
        ("naive", "lola_dice_1_lookahead", "pola"),
        "How both players learn.",
    )
    for name, default, least, text in (
        ("num_seeds", 1, 1, "Number of independent runs."),
        ("seed", 0, 0, "Seed of the first run."),
        ("batch_size", 64, 2, "Episodes of each play."),
        ("episode_length", 32, 1, "Steps of an episode."),
        ("hidden_units", 32, 1, "Of networks: width of both layers."),
        ("num_outer_steps", 20, 1, "Of pola, in each update."),
        ("num_lookaheads", 2, 0, "Of pola, in each outer step."),
    ):
        define(name, str(default), whole_number(least), text)
    for name, parser, text in (
        ("num_iterations", whole_number(1), "Number of updates."),
        (
            "learning_rate",
            number(0.0),
            "Of Adam, of SGD (tabular), or of the outer steps of pola.",
        ),
        ("inner_learning_rate", number(0.0), "Of imagined steps."),
    ):
        networks, tables = (own[name] for own in _DEFAULTS.values())
        text = f"{text} Default: {networks}; for tabular {tables}."
        define(name, None, parser, text)
    for name, default, text in (
        ("outer_penalty", 10.0, "Of pola: what its own divergence costs."),
        ("inner_penalty", 5.0, "Of pola: what the opponent's costs."),
    ):
        define(name, str(default), number(0.0), text)
    define("discount", "0.96", number(0.0, 1.0), "Of a reward a step later.")


def main(argv: Sequence[str]) -> None:
    with user_errors():
        if len(argv) > 1:
            raise ValueError(f"Flags start with --. Received: {argv[1]!r}.")
        require_matplotlib()
        if FLAGS.policy == "tabular" and FLAGS.discount == 1.0:
            raise ValueError(
                "With --policy=tabular values are exact over an infinite "
                "horizon: --discount must be below 1. Received: 1."
            )
        rates = (FLAGS.learning_rate, FLAGS.inner_learning_rate)
        if FLAGS.policy == "tabular" and FLAGS.learner == "pola":
            if None in rates:
                raise ValueError(
                    "The default rates of --policy=tabular are not those of "
                    "pola: give --learning_rate and --inner_learning_rate."
                )
        folder = OutputFolder(FLAGS.output_dir, FLAGS.overwrite, FLAGS.resume)
    if folder.has_finished:
        print(finished(folder))
        return
    try:
        run(FLAGS, folder, FLAGS.checkpoint_every)
    except KeyboardInterrupt:
        sys.exit(interrupted(folder))
    print(f"\nFiles: {folder.path}")


def resolve(values: Any) -> Any:
    """Returns `Settings`, in which the defaults fit the policies."""
    from experiments.coins.coin_training import Settings

    defaults = _DEFAULTS[values.policy]
    given = {name: getattr(values, name) for name in Settings._fields}
    return Settings(
        **{
            name: defaults[name] if value is None else value
            for name, value in given.items()
        }
    )


def run(values: Any, folder: OutputFolder, checkpoint_every: float) -> None:
    """Trains and writes the files.

    Args:
      values: flags.
      folder: where to.
      checkpoint_every: seconds, see --checkpoint_every.
    """
    import_tensorflow()
    from dice_tf.games import CoinGame
    from experiments.building.checkpoints import CheckpointPlan
    from experiments.coins import coin_plot, coin_training
    from experiments.results.provenance import config
    from experiments.results.report import failed_text
    from experiments.results.summary import failed_runs

    settings = resolve(values)
    trainer = coin_training.build_trainer(settings)
    print(f"{settings.learner}: {settings.num_seeds} runs", flush=True)
    progress = coin_training.train(
        trainer,
        settings,
        _NUM_MEASUREMENTS,
        lambda text: print(text, flush=True),
        CheckpointPlan(folder, checkpoint_every),
    )
    if failed := failed_runs(progress.returns[-1]):
        print(failed_text(failed, settings.num_seeds), flush=True)
    with folder.collect() as stage:
        name = settings.learner
        write_json(stage / CONFIG, config({name: settings}, folder.path))
        write_json(stage / SUMMARY, {name: _summary(progress)})
        _write_csv(stage / "coins.csv", name, progress)
        coin_plot.plot_progress(stage / "curves.png", progress, name)
        # Tables, too, are measured on the grid.
        game = CoinGame(settings.episode_length)
        coin_plot.plot_episode(
            stage / "episode.png", game, progress, _NUM_DRAWN
        )


def _summary(progress: Any) -> dict[str, Any]:
    from experiments.results.summary import failed_runs

    return {
        "failed_runs": failed_runs(progress.returns[-1]),
        "final_own_coin_share_per_run": progress.shares[-1].tolist(),
        "final_mean_reward_per_run": progress.returns[-1].mean(1).tolist(),
    }


def _write_csv(path: pathlib.Path, name: str, progress: Any) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        columns = ["own_coin_share", "player_0_reward", "player_1_reward"]
        writer.writerow(["method", "run", "iteration", *columns])
        for iteration, shares, returns in zip(
            progress.iterations, progress.shares, progress.returns, strict=True
        ):
            for run_id, (share, rewards) in enumerate(
                zip(shares, returns, strict=True)
            ):
                numbers = [f"{x:.6g}" for x in (share, *rewards)]
                writer.writerow([name, run_id + 1, iteration, *numbers])


if __name__ == "__main__":
    define_flags()
    app.run(main)
