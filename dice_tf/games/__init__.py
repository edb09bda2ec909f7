"""Games: the protocol, iterated and finite ones, grids, continuous ones."""

from dice_tf.games.coin_game import CoinGame, CoinState, CoinStatistics
from dice_tf.games.coin_game_with_memory import (
    CoinGameWithMemory,
    CoinMemoryState,
)
from dice_tf.games.coin_table import TabularCoinGame
from dice_tf.games.common_pool import CommonPool
from dice_tf.games.continuous import RepeatedCournot
from dice_tf.games.finite import FiniteGame
from dice_tf.games.game import Game, TimeStep
from dice_tf.games.matrix import iterated_matrix_game
from dice_tf.games.named import (
    iterated_battle_of_the_sexes,
    iterated_chicken,
    iterated_matching_pennies,
    iterated_prisoners_dilemma,
    iterated_public_goods,
    iterated_stag_hunt,
)
from dice_tf.games.negotiation import Negotiation, NegotiationState
from dice_tf.games.point_navigation import PointNavigation

__all__ = [
    "CoinGame",
    "CoinGameWithMemory",
    "CoinMemoryState",
    "CoinState",
    "CoinStatistics",
    "CommonPool",
    "FiniteGame",
    "Game",
    "Negotiation",
    "NegotiationState",
    "PointNavigation",
    "RepeatedCournot",
    "TabularCoinGame",
    "TimeStep",
    "iterated_battle_of_the_sexes",
    "iterated_chicken",
    "iterated_matching_pennies",
    "iterated_matrix_game",
    "iterated_prisoners_dilemma",
    "iterated_public_goods",
    "iterated_stag_hunt",
]
