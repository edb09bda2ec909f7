"""What the zoo holds: games, networks, and what their entries mean."""

import functools
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import keras

from dice_tf import games, policies
from dice_tf.games.coin_table import numbered_states
from dice_tf.games.game import Game
from dice_tf.models.coin_layers import ByCoinMemory, SeenFromPlayer
from dice_tf.policies.networks import dense_stack, seat_input

_STEPS = 50
_MOVES = ("right", "left", "down", "up")
_DILEMMA = ("cooperate", "defect")


class Entry(NamedTuple):
    """What is to be known of a policy before its weights are read.

    Attributes:
      game: makes what it plays.
      policy: makes the model of a seat, from the game and a `player_id`.
      actions: what each action means.
      observations: from the game to what each entry of an observation means;
        `None` if cards of the game's matrix say it.
    """

    game: Callable[[], Game]
    policy: Callable[[Game, int], keras.Model]
    actions: tuple[str, ...]
    observations: Callable[[Any], list[str]] | None = None


def _grid_game() -> Game:
    return games.CoinGameWithMemory(games.CoinGame(_STEPS))


def _grid_network(game: Game, player_id: int) -> keras.Model:
    """Returns the network that `experiments.coin_game` trains."""
    observation, num_outputs = seat_input(game, player_id)
    dtype = game.dtype.name
    x = SeenFromPlayer(dtype=dtype)(observation)
    x = ByCoinMemory(dtype=dtype)(x)
    outputs = dense_stack(x, (64, 64), "tanh", num_outputs)
    return keras.Model(observation, outputs, name=f"coin_policy_{player_id}")


def _grid_entries(game: games.CoinGameWithMemory) -> list[str]:
    channels = (
        "player itself",
        "other player",
        "own coin",
        "coin of the other",
        "player itself last took a coin of the other",
        "other player last took a coin of this player",
    )
    size = range(game.grid_game.grid_size)
    return [
        f"{channel}, row {row}, column {column}"
        for channel, row, column in itertools.product(channels, size, size)
    ]


def _table_entries(game: games.TabularCoinGame) -> list[str]:
    states, _ = numbered_states(game.grid_size)
    texts = []
    for other, coin, is_foreign, took, other_took in states:
        cells = [divmod(int(cell), game.grid_size) for cell in (other, coin)]
        texts.append(
            f"other player at {cells[0]}, "
            f"{'coin of the other' if is_foreign else 'own coin'} at "
            f"{cells[1]}, rows and columns away; last took a coin of the "
            f"other: {'yes' if took else 'no'}; other player did: "
            f"{'yes' if other_took else 'no'}"
        )
    return texts


_dilemma_table = Entry(
    games.iterated_prisoners_dilemma, policies.tabular, _DILEMMA
)
ENTRIES = {
    "coin_game/advantage_alignment": Entry(
        _grid_game, _grid_network, _MOVES, _grid_entries
    ),
    "coin_game/lola_dice": Entry(
        functools.partial(games.TabularCoinGame, _STEPS),
        policies.tabular,
        _MOVES,
        _table_entries,
    ),
    "ipd/lola_dice": _dilemma_table,
    "ipd/lola_dice_mlp": _dilemma_table._replace(policy=policies.mlp),
    "ipd/naive": _dilemma_table,
    "matching_pennies/lola_dice": Entry(
        games.iterated_matching_pennies, policies.tabular, ("heads", "tails")
    ),
    "public_goods/lola_dice": Entry(
        games.iterated_public_goods, policies.tabular, ("contribute", "keep")
    ),
    "stag_hunt/lola_dice": Entry(
        games.iterated_stag_hunt, policies.tabular, ("stag", "hare")
    ),
}
