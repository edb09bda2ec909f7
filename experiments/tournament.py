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

# `python experiments/...` starts a file outside of its package.
__package__ = __package__ or "experiments"

from absl import flags

# Only imports that are cheap: --help and mistakes are answered at once.
from .command_line.commands import Command, user_errors
from .command_line.flag_parsers import (
    OrNone,
    Size,
    define,
    define_seed,
)
from .matches.entrants import SYNTAX
from .matches.match_settings import (
    TournamentSettings,
    resolve_tournament,
)
from .results.outputs import OutputFolder
from .settings.line_up import OPPONENTS, PROGRAMS
from .settings.matrix_games import TWO_PLAYER_GAMES
from .settings.training_flags import (
    define_game_flags,
    define_output_flags,
)


def define_flags() -> None:
    """Defines the flags."""
    define_output_flags()
    flags.DEFINE_list(
        "entrants",
        ",".join(OPPONENTS),
        f"Who takes part: {SYNTAX}. {PROGRAMS}",
    )
    define_game_flags(TWO_PLAYER_GAMES, can_be_endless=True)
    define(
        "batch_size",
        "none",
        OrNone(Size()),
        "Number of episodes of each seating; with none returns are exact.",
    )
    define_seed("Seed of the episodes.")
    flags.DEFINE_boolean(
        "with_itself", True, "Whether an entrant also meets itself."
    )


def run(settings: TournamentSettings, folder: OutputFolder) -> None:
    """Plays the tournament, writes the files and prints the tables."""
    from .matches.tournament_results import play, write_files

    with user_errors():
        outcome = play(settings)
    print(f"\n{write_files(folder, settings, outcome)}")


COMMAND = Command(define_flags, resolve_tournament, run)

if __name__ == "__main__":
    COMMAND.start()
