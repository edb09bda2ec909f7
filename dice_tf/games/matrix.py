"""Iterated matrix games, from any payoff array."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dice_tf.checks import check_finite, check_float_dtype
from dice_tf.games.finite import FiniteGame, check_table_bytes


def iterated_matrix_game(
    payoffs: Any, episode_length: int = 150, *, dtype: str = "float32"
) -> FiniteGame:
    """Plays a matrix game again and again, with memory of one step.

    The state is the previous joint action, row-major, or the start. What a
    player observes is one-hot over it, *as that player sees it*: its own
    action first, then those of seats i+1, i+2, ... modulo N, row-major, and
    the start last. Two players with two actions see `[CC, CD, DC, DD, start]`.

    Args:
      payoffs: `[num_players, A_1, ..., A_N]`: the payoff of each player for
        each joint action. Any number of players and of actions; players may
        have different payoffs and numbers of actions.
      episode_length: T, the number of rounds.
      dtype: floating dtype, "float32" or "float64".

    Returns:
      A `FiniteGame` of `A_1 * ... * A_N + 1` states.

    Raises:
      TypeError, ValueError: if the number of action axes is not the number of
        players, an axis is empty, a payoff is not finite in the dtype, or the
        dtype is another one; if the tables would take more than 2 GiB. They
        grow with the square of the number of joint actions.

    Example:
      >>> game = dice_tf.games.iterated_matrix_game(
      ...     [[[3, 0], [5, 1]], [[3, 5], [0, 1]]], episode_length=10
      ... )
      >>> game.num_players, game.num_actions, game.num_states
      (2, (2, 2), 5)
    """
    try:
        payoffs = np.asarray(payoffs, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "`payoffs` must be one array of numbers of shape "
            f"[num_players, A_1, ..., A_N]. Received: {payoffs!r}."
        ) from error
    if payoffs.ndim < 2 or len(payoffs) != payoffs.ndim - 1:
        raise ValueError(
            "`payoffs` must have shape [num_players, A_1, ..., A_N]: one "
            "entry, and one action axis, per player. Received shape "
            f"{payoffs.shape}: {len(payoffs) if payoffs.ndim else 0} entries "
            f"and {max(payoffs.ndim - 1, 0)} action axes."
        )
    if payoffs.size == 0:
        raise ValueError(
            "`payoffs` must give every player at least one action. Received "
            f"shape {payoffs.shape}."
        )
    num_actions = payoffs.shape[1:]
    check_num_actions(num_actions)
    check_finite("payoffs", payoffs, check_float_dtype("dtype", dtype))
    num_joint = math.prod(num_actions)
    num_states = num_joint + 1
    # Each state leads to the state that is named by the joint action.
    transitions = np.broadcast_to(
        np.eye(num_states)[:num_joint].reshape(*num_actions, num_states),
        (num_states, *num_actions, num_states),
    )
    rewards = np.broadcast_to(
        payoffs[:, np.newaxis], (len(payoffs), num_states, *num_actions)
    )
    return FiniteGame(
        rewards,
        transitions,
        np.eye(num_states)[-1],
        episode_length=episode_length,
        observations=_memory_one_observations(num_actions),
        dtype=dtype,
    )


def check_num_actions(num_actions: Sequence[int]) -> None:
    """Raises if an iterated matrix game would need too much memory.

    Args:
      num_actions: of each player.

    Raises:
      ValueError: with the number of bytes.
    """
    check_table_bytes(
        "An iterated matrix game, which has a state for each of "
        f"{math.prod(num_actions):,} joint actions,",
        table_bytes(num_actions),
        "Observations are one-hot over these states. Give fewer actions, or "
        "write a dice_tf.games.Game that shows the last actions as they are.",
    )


def table_bytes(num_actions: Sequence[int]) -> int:
    """Returns the bytes of transitions, and of each player's observations."""
    num_states = math.prod(num_actions) + 1
    return 8 * num_states**2 * (1 + len(num_actions))


def _memory_one_observations(num_actions: tuple[int, ...]) -> list[np.ndarray]:
    """Returns for each player `[num_states, num_states]`, a permutation."""
    num_players = len(num_actions)
    num_joint = math.prod(num_actions)
    tables = []
    for player_id in range(num_players):
        seats = [(player_id + k) % num_players for k in range(num_players)]
        seen = [num_actions[seat] for seat in seats]
        table = np.zeros([num_joint + 1] * 2)
        table[-1, -1] = 1.0
        for state, joint in enumerate(
            itertools.product(*(range(count) for count in num_actions))
        ):
            view = np.ravel_multi_index([joint[seat] for seat in seats], seen)
            table[state, view] = 1.0
        tables.append(table)
    return tables
