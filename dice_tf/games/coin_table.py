"""The Coin Game as a table: few states, so that values are exact."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from dice_tf.checks import check_choice, check_whole_number
from dice_tf.games.coin_game import CoinStatistics, check_played
from dice_tf.games.finite import FiniteGame
from dice_tf.games.torus import move, seen_from

_NUM_ACTIONS = 4


class TabularCoinGame(FiniteGame):
    """The Coin Game with one coin, seen from the players, with a memory.

    The rules are those of `CoinGame`. What matters on a torus is where things
    lie from where a player stands: the state is the place of the other player
    and of the coin as player 0 sees them, whose coin it is, and for each
    player whether the last coin that it picked up was the other's (at first
    it was not). That makes 512 states with 3 x 3 cells. Without the memory,
    nobody could answer what the other does.

    Each player observes its own view of the state, one-hot: views of the same
    situation are the same from both seats. What is learned here plays in
    `CoinGame` by `dice_tf.policies.on_the_grid`.

    Args:
      episode_length: T.
      grid_size: number of rows, and of columns: 2 or 3. (With 4 the table of
        transitions would take 0.4 GB, with 5 2.7 GB.)
      dtype: floating dtype, "float32" or "float64".

    Attributes:
      pick_ups: `[2, 2, S, 4, 4]`, NumPy: whether a player (first axis) picks
        up its own coin (0 on the second axis) or the other's (1).

    Raises:
      TypeError, ValueError: if an argument is out of its range.

    References:
      As of `CoinGame`.
    """

    def __init__(
        self,
        episode_length: int = 50,
        *,
        grid_size: int = 3,
        dtype: str = "float32",
    ):
        check_whole_number("grid_size", grid_size, 2)
        self.grid_size = check_choice("grid_size", grid_size, (2, 3))
        states, number = numbered_states(grid_size)
        self._states, self._number = states, number
        # The rules of the Coin Game are tensors; here they make arrays.
        with tf.init_scope():
            self.pick_ups, transitions = self._tables()
        own_pick_ups, foreign = self.pick_ups[:, 0], self.pick_ups[:, 1]
        other, coin, owner, *memories = states.T
        beginning = (memories[0] == 0) & (memories[1] == 0)
        # Players start anywhere, and the coin on any of the free cells.
        initial = beginning / (2 * grid_size**2)
        initial /= grid_size**2 - 1 - (other != 0)
        # Player 1 sees the other's place, coin and memory as its own.
        seen = number[
            seen_from(other, 0, grid_size),
            seen_from(other, coin, grid_size),
            1 - owner,
            memories[1],
            memories[0],
        ]
        views = np.eye(len(states))
        super().__init__(
            own_pick_ups + foreign - 2.0 * foreign[::-1],
            transitions,
            initial,
            episode_length=episode_length,
            observations=[views, views[seen]],
            dtype=dtype,
        )

    def statistics(self, trajectory: Any) -> CoinStatistics:
        """Counts what was picked up, as `CoinGame.statistics` does.

        Args:
          trajectory: a `Trajectory` of this game.

        Returns:
          `CoinStatistics`, means over all steps and episodes.
        """
        check_played(trajectory, ("states", "actions"))
        index = trajectory.states * _NUM_ACTIONS**2 + self.joint_action(
            trajectory.actions
        )
        own_rates, foreign = (
            tf.reduce_mean(
                tf.gather(
                    tf.constant(
                        self.pick_ups[:, kind].reshape(2, -1), self.dtype
                    ),
                    index,
                    axis=1,
                ),
                axis=[1, 2],
            )
            for kind in range(2)
        )
        return CoinStatistics(
            tuple(tf.unstack(own_rates / (own_rates + foreign))),
            tuple(tf.unstack(own_rates + foreign)),
        )

    def _tables(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns who picks up what, and transitions."""
        size = len(self._states)
        pick_ups = np.zeros([2, 2, size, _NUM_ACTIONS, _NUM_ACTIONS])
        transitions = np.zeros([size, _NUM_ACTIONS, _NUM_ACTIONS, size])
        every = np.arange(size)
        other, coin, owner, *memories = self._states.T
        for actions in itertools.product(range(_NUM_ACTIONS), repeat=2):
            first, second = actions
            players = [
                np.asarray(move(cell, action, self.grid_size))
                for cell, action in zip(
                    (np.zeros_like(other), other), actions, strict=True
                )
            ]
            following = []
            for player, cell in enumerate(players):
                taken, is_foreign = cell == coin, owner != player
                pick_ups[player, 0, :, first, second] = taken & ~is_foreign
                pick_ups[player, 1, :, first, second] = taken & is_foreign
                following.append(np.where(taken, is_foreign, memories[player]))
            for chance, after in self._outcomes(players, following):
                # An outcome of chance 0 may have no state: its number is -1.
                transitions[every, first, second, after] += chance
        return pick_ups, transitions

    def _outcomes(
        self, players: list[np.ndarray], memories: list[np.ndarray]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields the chance of each place of the coin, and the state then.

        Args:
          players: the cell of each, after its move, `[S]`.
          memories: of each, after it.
        """
        _, coin, owner, *_ = self._states.T
        taken = (players[0] == coin) | (players[1] == coin)
        num_free = self.grid_size**2 - 1 - (players[0] != players[1])
        for cell in range(self.grid_size**2):
            is_free = (cell != players[0]) & (cell != players[1])
            yield (
                np.where(taken, is_free / num_free, cell == coin),
                self._number[
                    seen_from(players[0], players[1], self.grid_size),
                    seen_from(players[0], cell, self.grid_size),
                    np.where(taken, 1 - owner, owner),
                    *memories,
                ],
            )


def numbered_states(grid_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the states of the table, and their numbers.

    Args:
      grid_size: number of rows, and of columns.

    Returns:
      `[S, 5]`, for each state the cell of the other player and that of the
      coin, as seen from the player, whether the coin is the other's, and for
      both players, itself first, whether the coin that it last took was not
      its own; and `[cells, cells, 2, 2, 2]`, the number of the state that is
      so described, -1 where there is none.
    """
    cells = range(grid_size**2)
    states = np.array(
        [
            (other, coin, *rest)
            for other, coin, *rest in itertools.product(
                cells, cells, *[range(2)] * 3
            )
            if coin not in (0, other)
        ]
    )
    numbers = np.full([len(cells)] * 2 + [2] * 3, -1)
    numbers[tuple(states.T)] = np.arange(len(states))
    return states, numbers
