"""The matrix games that the field knows by name, iterated.

Action 0 is the cooperative one where the game has one. The prisoner's dilemma
and matching pennies have the payoffs of Foerster et al. 2018 (Learning with
Opponent-Learning Awareness); of the others there are many versions, and each
function says which one it is.
"""

import itertools

import numpy as np

from dice_tf.checks import check_number, check_whole_number
from dice_tf.games.finite import FiniteGame
from dice_tf.games.matrix import check_num_actions, iterated_matrix_game


def _symmetric(own_payoffs: list[list[float]]) -> list[list[list[float]]]:
    """Returns both players' payoffs, given `[own action][other's action]`."""
    transposed = [list(column) for column in zip(*own_payoffs, strict=True)]
    return [own_payoffs, transposed]


def iterated_prisoners_dilemma(
    episode_length: int = 150, *, dtype: str = "float32"
) -> FiniteGame:
    """Iterated prisoner's dilemma: cooperate (0) or defect (1).

    Payoffs: CC (-1, -1), CD (-3, 0), DC (0, -3), DD (-2, -2).

    Args:
      episode_length: T, the number of rounds.
      dtype: floating dtype, "float32" or "float64".
    """
    payoffs = _symmetric([[-1.0, -3.0], [0.0, -2.0]])
    return iterated_matrix_game(payoffs, episode_length, dtype=dtype)


def iterated_matching_pennies(
    episode_length: int = 150, *, dtype: str = "float32"
) -> FiniteGame:
    """Iterated matching pennies: heads (0) or tails (1), zero-sum.

    Player 0 gets 1 when the coins match and -1 otherwise, player 1 the
    opposite.

    Args:
      episode_length: T, the number of rounds.
      dtype: floating dtype, "float32" or "float64".
    """
    payoffs = [[[1.0, -1.0], [-1.0, 1.0]], [[-1.0, 1.0], [1.0, -1.0]]]
    return iterated_matrix_game(payoffs, episode_length, dtype=dtype)


def iterated_stag_hunt(
    episode_length: int = 150, *, dtype: str = "float32"
) -> FiniteGame:
    """Iterated stag hunt: stag (0) or hare (1), a game of trust.

    Payoffs: stag-stag (4, 4), stag-hare (1, 3), hare-stag (3, 1), hare-hare
    (2, 2).

    Args:
      episode_length: T, the number of rounds.
      dtype: floating dtype, "float32" or "float64".
    """
    payoffs = _symmetric([[4.0, 1.0], [3.0, 2.0]])
    return iterated_matrix_game(payoffs, episode_length, dtype=dtype)


def iterated_chicken(
    episode_length: int = 150, *, dtype: str = "float32"
) -> FiniteGame:
    """Iterated chicken: swerve (0) or drive straight (1).

    Payoffs: swerve-swerve (0, 0), swerve-straight (-1, 1), straight-swerve
    (1, -1), crash (-10, -10).

    Args:
      episode_length: T, the number of rounds.
      dtype: floating dtype, "float32" or "float64".
    """
    payoffs = _symmetric([[0.0, -1.0], [1.0, -10.0]])
    return iterated_matrix_game(payoffs, episode_length, dtype=dtype)


def iterated_battle_of_the_sexes(
    episode_length: int = 150, *, dtype: str = "float32"
) -> FiniteGame:
    """Iterated battle of the sexes (Bach or Stravinsky): coordinate, but how.

    Payoffs: both 0 (3, 2), both 1 (2, 3), apart (0, 0).

    Args:
      episode_length: T, the number of rounds.
      dtype: floating dtype, "float32" or "float64".
    """
    payoffs = [[[3.0, 0.0], [0.0, 2.0]], [[2.0, 0.0], [0.0, 3.0]]]
    return iterated_matrix_game(payoffs, episode_length, dtype=dtype)


def iterated_public_goods(
    episode_length: int = 150,
    *,
    num_players: int = 3,
    multiplier: float = 1.5,
    dtype: str = "float32",
) -> FiniteGame:
    """Iterated public goods: contribute 1 to a pot (0) or keep it (1).

    The pot is multiplied and shared equally: with c contributors everyone gets
    `multiplier c / num_players`, less 1 for those who contributed. With a
    multiplier between 1 and `num_players` it is a dilemma: all do best if
    all contribute, and each does better by keeping.

    Args:
      episode_length: T, the number of rounds.
      num_players: number of players, at least 2.
      multiplier: at least 0.
      dtype: floating dtype, "float32" or "float64".

    Raises:
      TypeError, ValueError: if an argument is out of its range, or the tables
        would take more than 2 GiB.
    """
    num_players = check_whole_number("num_players", num_players, 2, 12)
    multiplier = check_number("multiplier", multiplier)
    # Of more than 40 players, the numbers themselves would be too large.
    check_num_actions([2] * min(num_players, 40))
    payoffs = np.zeros([num_players] + [2] * num_players)
    for actions in itertools.product(range(2), repeat=num_players):
        share = multiplier * actions.count(0) / num_players
        place: tuple[slice | int, ...] = (slice(None), *actions)
        payoffs[place] = share - 1.0 + np.asarray(actions)
    return iterated_matrix_game(payoffs, episode_length, dtype=dtype)
