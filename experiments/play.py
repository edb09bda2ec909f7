"""Plays a match of two policies in an iterated matrix game.

  python -m experiments.play --policy=runs/ipd/saved_model/player_0
  python -m experiments.play --policy=runs/ipd/saved_model/player_0 \\
    --opponent=runs/mixed/saved_model/player_1 --batch_size=1000
  python -m experiments.play --policy=grim_trigger --opponent=random --seed=1

Each is a fixed policy or a SavedModel. Prints what both get, how often they
cooperate, and the opening moves of the first episode. With --output_dir it
also writes config.json and summary.json.
"""

import sys
from collections.abc import Sequence

from absl import app, flags

# Only what is cheap to import: --help and mistakes are answered at once.
from experiments.command_line.flag_parsers import define, whole_number
from experiments.command_line.quiet_tensorflow import import_tensorflow
from experiments.command_line.user_errors import user_errors
from experiments.matches.match_settings import Settings, resolve
from experiments.results.outputs import (
    CONFIG,
    SUMMARY,
    OutputFolder,
    write_json,
)
from experiments.settings.common_flags import (
    define_game_flags,
    define_output_flags,
)
from experiments.settings.line_up import OPPONENTS
from experiments.settings.named_games import TWO_PLAYER_GAMES

FLAGS = flags.FLAGS


def define_flags() -> None:
    """Defines the flags; other experiments have some of the same names."""
    known = f"{', '.join(OPPONENTS)}, or the path of a SavedModel"
    flags.DEFINE_string("policy", None, f"Who plays: {known}.", required=True)
    flags.DEFINE_string("opponent", "tit_for_tat", f"Against whom: {known}.")
    define(
        "player_id",
        "0",
        whole_number(0, 1),
        "Seat of --policy; --opponent takes the other one.",
    )
    define_game_flags(TWO_PLAYER_GAMES)
    define("batch_size", "256", whole_number(1), "Number of episodes.")
    define("seed", "0", whole_number(0, 2**31 - 1), "Seed of the episodes.")
    define(
        "num_moves",
        "40",
        whole_number(1),
        "Number of opening moves of the first episode to show.",
    )
    define_output_flags(required=False)


def main(argv: Sequence[str]) -> None:
    with user_errors():
        if len(argv) > 1:
            raise ValueError(f"Flags start with --. Received: {argv[1]!r}.")
        settings = resolve(FLAGS)
        folder = None
        if FLAGS.output_dir is not None:
            folder = OutputFolder(FLAGS.output_dir, FLAGS.overwrite)
    try:
        run(settings, folder)
    except KeyboardInterrupt:
        sys.exit("\nInterrupted.")


def run(settings: Settings, folder: OutputFolder | None) -> None:
    """Plays the match, prints it, and writes the files if there is a folder."""
    import_tensorflow()
    from experiments.matches.match_report import play, report, summary
    from experiments.results.provenance import config

    with user_errors():
        match = play(settings)
    print(report(settings, match))
    if folder is not None:
        with user_errors(), folder.collect() as stage:
            write_json(stage / CONFIG, config({"play": settings}, folder.path))
            write_json(stage / SUMMARY, summary(settings, match))
        print(f"\nFiles: {folder.path}")


if __name__ == "__main__":
    define_flags()
    app.run(main)
