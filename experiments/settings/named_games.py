"""The games that experiments know by name, and words for their actions."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

PRISONERS_DILEMMA = "prisoners_dilemma"
CUSTOM = "custom"
# Of losses that are functions of two numbers, for --mode=exact.
TANDEM = "tandem"
TANDEM_PLAYERS = 2


class NamedGame(NamedTuple):
    """A game, and what its actions are called.

    Attributes:
      letters: one letter per action, for the labels of states.
      first: what it is to take action 0, for the titles of pictures.
      num_players: how many play.
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
    """Returns a label per observation of a player: its own action first.

    Args:
      game: name of the game.
      num_actions: number of actions of each player.
      player_id: who observes.

    Returns:
      Labels in the order of the observations, `["CC", "CD", "DC", "DD",
      "start"]` in the prisoner's dilemma.
    """
    seats = [*range(player_id, len(num_actions)), *range(player_id)]
    letters = [action_letters(game, num_actions[seat]) for seat in seats]
    joint = ["".join(actions) for actions in itertools.product(*letters)]
    return [*joint, "start"]
