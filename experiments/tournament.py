"""Lets policies meet in an iterated matrix game, each pair in both seatings.

  python -m experiments.tournament --output_dir=runs/cup
  python -m experiments.tournament --output_dir=runs/cup \\
    --entrants=tit_for_tat,random,runs/ipd,mine=runs/mixed/saved_model/player_1
  python -m experiments.tournament --output_dir=runs/hunt --game=stag_hunt \\
    --episode_length=none --batch_size=none

An entrant is a fixed policy, a SavedModel (which takes both seats) or a run of
experiments.ipd (one policy per seat). Values are exact, or sampled with
--batch_size. The folder gets tournament.csv (every seating), summary.json,
config.json and cross_play.png; the terminal shows the ranking, and for each
policy its name and how much a best responder takes out of it.
"""

import sys
from collections.abc import Sequence

from absl import app, flags

# Only what is cheap to import: --help and mistakes are answered at once.
from experiments.command_line.flag_parsers import define, optional, whole_number
from experiments.command_line.quiet_tensorflow import import_tensorflow
from experiments.command_line.requirements import require_matplotlib
from experiments.command_line.user_errors import user_errors
from experiments.matches.entrants import SYNTAX
from experiments.matches.tournament_settings import Settings, resolve
from experiments.results.outputs import OutputFolder
from experiments.settings.common_flags import (
    define_game_flags,
    define_output_flags,
)
from experiments.settings.line_up import OPPONENTS
from experiments.settings.named_games import TWO_PLAYER_GAMES

FLAGS = flags.FLAGS


def define_flags() -> None:
    """Defines the flags; other experiments have some of the same names."""
    define_output_flags()
    flags.DEFINE_list(
        "entrants", ",".join(OPPONENTS), f"Who takes part: {SYNTAX}."
    )
    define_game_flags(
        TWO_PLAYER_GAMES,
        episode_length=optional(whole_number(1)),
        episode_length_text=" With none the horizon is infinite, and "
        "--batch_size must be none.",
    )
    define(
        "batch_size",
        "none",
        optional(whole_number(1)),
        "Number of episodes of each seating; with none returns are exact.",
    )
    define("seed", "0", whole_number(0, 2**31 - 1), "Seed of the episodes.")
    flags.DEFINE_boolean(
        "with_itself", True, "Whether an entrant also meets itself."
    )


def main(argv: Sequence[str]) -> None:
    with user_errors():
        if len(argv) > 1:
            raise ValueError(f"Flags start with --. Received: {argv[1]!r}.")
        require_matplotlib()
        settings = resolve(FLAGS)
        folder = OutputFolder(FLAGS.output_dir, FLAGS.overwrite)
    try:
        run(settings, folder)
    except KeyboardInterrupt:
        sys.exit(f"\nInterrupted. Nothing was written to {folder.path}.")


def run(settings: Settings, folder: OutputFolder) -> None:
    """Plays the tournament, writes the files and prints the tables."""
    import_tensorflow()
    from experiments.matches.tournament_files import write_files
    from experiments.matches.tournament_play import play

    with user_errors():
        outcome = play(settings)
        tables = write_files(folder, settings, outcome)
    print(f"\n{tables}\n\nFiles: {folder.path}")


if __name__ == "__main__":
    define_flags()
    app.run(main)
