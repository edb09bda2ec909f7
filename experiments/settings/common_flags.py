"""Flags that several experiments have: each defines those that it needs."""

from collections.abc import Collection

from absl import flags

from experiments.command_line.flag_parsers import (
    ItemType,
    choice,
    define,
    number,
    whole_number,
)
from experiments.settings.named_games import PRISONERS_DILEMMA

# Flags defined here belong to the module that asks for them.
flags.disclaim_key_flags()


def define_output_flags(required: bool = True) -> None:
    """Defines --output_dir and --overwrite."""
    flags.DEFINE_string(
        "output_dir",
        None,
        "Folder for the results; made if it is not there. A folder that holds "
        "an earlier run is refused, see --overwrite.",
        required=required,
    )
    flags.DEFINE_boolean(
        "overwrite",
        False,
        "Replace the earlier run in --output_dir, once this one has finished.",
    )


def define_resume_flags() -> None:
    """Defines --resume and --checkpoint_every."""
    flags.DEFINE_boolean(
        "resume",
        False,
        "Continue the run in --output_dir that was interrupted, or killed, "
        "given the same flags as then. It ends as if nothing had happened. "
        "Without a checkpoint there, start at the beginning.",
    )
    define(
        "checkpoint_every",
        "10",
        number(0.0),
        "Seconds between two checkpoints, at least; they are written between "
        "moves of the progress bar. With 0, at every one of them.",
    )


def define_game_flags(
    names: Collection[str],
    names_text: str = "",
    episode_length: ItemType | None = None,
    episode_length_text: str = "",
) -> None:
    """Defines --game, --payoffs, --episode_length and --discount.

    Args:
      names: of the games.
      names_text: what else to say of them.
      episode_length: what the flag takes. Default: a whole number.
      episode_length_text: what else to say of it.
    """
    define(
        "game",
        PRISONERS_DILEMMA,
        choice(names),
        "Matrix game that is played again and again. See also --payoffs."
        + names_text,
    )
    flags.DEFINE_string(
        "payoffs",
        None,
        "Payoffs of a game of your own, instead of --game: an array "
        "[num_players, A_1, ..., A_N], the payoff of each player for each "
        "joint action, as JSON or as the path of a .json or .npy file. "
        "Example: [[[-1,-3],[0,-2]],[[-1,0],[-3,-2]]] is the prisoner's "
        "dilemma.",
    )
    define(
        "episode_length",
        "150",
        episode_length or whole_number(1),
        f"Number of rounds in an episode.{episode_length_text}",
    )
    define(
        "discount",
        "0.96",
        number(0.0, 1.0),
        "What a reward one round later is worth. Reported returns are "
        "(1 - discount) times the discounted sum of rewards; at discount 1, "
        "the mean reward per round.",
    )
