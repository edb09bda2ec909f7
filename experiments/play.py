"""Plays a match of two policies in an iterated matrix game.

  python -m experiments.play --policy=runs/ipd/saved_model/player_0
  python -m experiments.play --policy=runs/ipd/saved_model/player_0 \\
    --opponent=runs/mixed/saved_model/player_1 --batch_size=1000
  python -m experiments.play --policy=grim_trigger --opponent=random --seed=1

Each is a fixed policy or a SavedModel. Prints what both get, how often they
cooperate, and the opening moves of the first episode. With --output_dir it
also writes config.json, summary.json and, if Matplotlib is installed,
state_diagram.png: the match as states and steps, of two policies that see what
both did last and choose between two actions.
"""

# `python experiments/...` starts a file outside of its package.
__package__ = __package__ or "experiments"

from absl import flags

# Only imports that are cheap: --help and mistakes are answered at once.
from .command_line.commands import Command, user_errors
from .command_line.flag_parsers import (
    LARGEST_SIZE,
    define_seed,
    define_size,
)
from .matches.match_settings import MatchSettings, resolve_match
from .results.outputs import OutputFolder
from .settings.line_up import OPPONENTS, PROGRAMS
from .settings.matrix_games import TWO_PLAYER_GAMES
from .settings.training_flags import (
    define_game_flags,
    define_output_flags,
)


def define_flags() -> None:
    """Defines the flags."""
    known = f"{', '.join(OPPONENTS)}, or the path of a SavedModel. {PROGRAMS}"
    flags.DEFINE_string("policy", None, f"Who plays: {known}", required=True)
    flags.DEFINE_string("opponent", "tit_for_tat", f"Against whom: {known}")
    define_game_flags(TWO_PLAYER_GAMES)
    for name, default, least, most, text in (
        (
            "player_id",
            0,
            0,
            1,
            "Seat of --policy; --opponent takes the other one.",
        ),
        ("batch_size", 256, 1, LARGEST_SIZE, "Number of episodes."),
        (
            "num_moves",
            40,
            1,
            LARGEST_SIZE,
            "Number of opening moves of the first episode to show.",
        ),
    ):
        define_size(name, default, text, least, most)
    define_seed("Seed of the episodes.")
    define_output_flags(required=False)


def run(settings: MatchSettings, folder: OutputFolder | None) -> None:
    """Plays the match, prints it, and writes the files if there is a folder."""
    from .matches.match_play import draw_states, play, report, summary
    from .results.provenance import collect_results

    with user_errors():
        match = play(settings)
    print(report(settings, match))
    if folder is not None:
        content = summary(settings, match)
        with collect_results(folder, {"play": settings}, content) as stage:
            draw_states(stage, settings, match)


COMMAND = Command(define_flags, resolve_match, run, libraries=())

if __name__ == "__main__":
    COMMAND.start()
