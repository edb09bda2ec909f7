"""Matrix games by name or payoffs, and words for their actions."""

import itertools
import json
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from absl import flags

PRISONERS_DILEMMA = "prisoners_dilemma"
CUSTOM = "custom"
# What reading payoffs may raise, also of files that are nested too deeply, or
# claim to be huge.
_UNREADABLE = (
    EOFError,
    MemoryError,
    OSError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
)
_LONGEST = 200
# Its losses are functions of two numbers: it is for --mode=exact.
TANDEM = "tandem"
TANDEM_PLAYERS = 2


class NamedGame(NamedTuple):
    """A game, and what its actions are called.

    Attributes:
      letters: one letter per action, for the labels of states.
      first: words for taking action 0, for the titles of pictures.
      num_players: number of players.
    """

    letters: str
    first: str
    num_players: int = 2


# `dice_tf.games.iterated_<name>` builds each of them.
NAMED_GAMES = {
    PRISONERS_DILEMMA: NamedGame("CD", "cooperation"),
    "matching_pennies": NamedGame("HT", "heads"),
    "stag_hunt": NamedGame("SH", "hunting stag"),
    "chicken": NamedGame("SD", "swerving"),
    "battle_of_the_sexes": NamedGame("BS", "Bach"),
    "public_goods": NamedGame("CD", "cooperation", num_players=3),
}
TWO_PLAYER_GAMES = tuple(
    name for name, game in NAMED_GAMES.items() if game.num_players == 2
)


def count_players(game: str, payoffs: list | None) -> int:
    """Returns the number of players of a game."""
    if payoffs is not None:
        return len(payoffs)
    return TANDEM_PLAYERS if game == TANDEM else NAMED_GAMES[game].num_players


def given_game(values: flags.FlagValues) -> tuple[str, list | None]:
    """Returns the name of the game, and the payoffs of --payoffs if given.

    Raises:
      ValueError: if both flags are given, or the payoffs are not payoffs.
    """
    if values.payoffs is None:
        return values.game, None
    if values["game"].present:
        raise ValueError("--game and --payoffs exclude each other.")
    return CUSTOM, read_payoffs(values.payoffs)


def read_payoffs(text: str) -> list:
    """Reads payoffs `[num_players, A_1, ..., A_N]`.

    Args:
      text: JSON, or the path of a .json or .npy file.

    Raises:
      ValueError: if it does not hold such an array, or cannot be read.
    """
    # It takes a while, and most command lines have no payoffs.
    import numpy as np

    path = pathlib.Path(text)
    try:
        if path.suffix == ".npy":
            payoffs = np.load(path, allow_pickle=False)
        elif path.suffix == ".json":
            payoffs = json.loads(path.read_text(encoding="utf-8"))
        else:
            payoffs = json.loads(text)
        payoffs = np.asarray(payoffs, np.float64)
    except _UNREADABLE as error:
        shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
        raise ValueError(
            "--payoffs must be one array of numbers, as JSON or as the path "
            f"of a .json or .npy file. Received: {shown!r} ({error})."
        ) from error
    if payoffs.ndim < 2 or len(payoffs) != payoffs.ndim - 1 or not payoffs.size:
        raise ValueError(
            "--payoffs must have shape [num_players, A_1, ..., A_N]: one "
            "entry, and one action axis, per player. Received shape "
            f"{list(payoffs.shape)}."
        )
    with np.errstate(over="ignore"):
        are_finite = np.isfinite(payoffs.astype(np.float32))
    if not np.all(are_finite):
        raise ValueError(
            "--payoffs must be finite, in float32. Received NaN, infinity or a "
            f"number of more than {np.finfo(np.float32).max:.3g}."
        )
    return payoffs.tolist()


def title(game: str) -> str:
    """Returns the name of a game as a person would write it."""
    if game == CUSTOM:
        return "Game of --payoffs"
    if game == TANDEM:
        return "Tandem game"
    words = game.replace("prisoners", "prisoner's").replace("_", " ")
    return f"Iterated {words}"


def action_letters(game: str, num_actions: int) -> list[str]:
    """Returns one short label per action."""
    if game in NAMED_GAMES:
        return list(NAMED_GAMES[game].letters)
    return [str(action) for action in range(num_actions)]


def state_labels(
    game: str, num_actions: Sequence[int], player_id: int
) -> list[str]:
    """Returns a label per observation of a player, its own action first.

    The labels are in the order of the observations, `["CC", "CD", "DC", "DD",
    "start"]` in the prisoner's dilemma.
    """
    seats = [*range(player_id, len(num_actions)), *range(player_id)]
    letters = [action_letters(game, num_actions[seat]) for seat in seats]
    joint = ["".join(actions) for actions in itertools.product(*letters)]
    return [*joint, "start"]
