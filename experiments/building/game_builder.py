"""Games from their names or payoffs."""

from typing import Any

import dice_tf


def build_named_game(
    name: str, payoffs: Any, episode_length: int
) -> dice_tf.games.FiniteGame:
    """Returns an iterated matrix game.

    Args:
      name: of a game of `named_games`; ignored with payoffs.
      payoffs: `[num_players, A_1, ..., A_N]`, or `None`.
      episode_length: number of rounds.
    """
    if payoffs is not None:
        return dice_tf.games.iterated_matrix_game(payoffs, episode_length)
    return getattr(dice_tf.games, f"iterated_{name}")(episode_length)
