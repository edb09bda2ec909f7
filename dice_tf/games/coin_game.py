"""The Coin Game: a social dilemma on a grid that closes upon itself."""

import functools
import operator
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from dice_tf.checks import (
    MOST_EPISODES,
    as_tensor,
    check_choice,
    check_flag,
    check_float_dtype,
    check_kind,
    check_last_axes,
    check_same_shape,
    check_whole_number,
)
from dice_tf.games.game import Game, TimeStep, check_actions
from dice_tf.games.torus import free_cell, move, random_cell, to_int
from dice_tf.seeds import Seed, uniform

_NO_CELL = -1
CHANNELS_FIRST, _CHANNELS_LAST = "channels_first", "channels_last"


class CoinState(NamedTuple):
    """Where everything lies; cells are numbered row by row.

    Attributes:
      players: the cell of each player, int32 `[B]`.
      coins: the cell of each player's coin, int32 `[B]`, -1 where it is not
        on the grid.
    """

    players: tuple[tf.Tensor, ...]
    coins: tuple[tf.Tensor, ...]


class CoinStatistics(NamedTuple):
    """What the players picked up, one entry per player.

    Attributes:
      own_coin_share: scalars, the share of a player's pick-ups that were its
        own coins; NaN if it picked up nothing.
      pick_ups_per_step: scalars, coins of either colour per step.
    """

    own_coin_share: tuple[tf.Tensor, ...]
    pick_ups_per_step: tuple[tf.Tensor, ...]


class CoinGame(Game):
    """Players collect coins on a torus; each coin belongs to one of them.

    Actions move by one cell: right (0), left (1), down (2), up (3). Whoever
    steps on a coin picks it up and earns 1, and its owner loses 2 if another
    player did: all collect that are on it. Players may share a cell and start
    anywhere.

    With one coin its owner rotates in the order of seats: once picked up, the
    next player's coin appears. With one for each player (Lu et al., of two)
    all coins are always there and only what was picked up appears anew. Coins
    appear on any cell without a player with the same probability. The first
    of a single coin is anyone's.

    An observation has two channels for each player, each zero except for a
    one: the player itself, those of seats i+1, i+2, ... modulo N, and their
    coins in the same order. The game is thus the same from all seats.

    It is a dilemma: each does best by taking every coin, but two who do so
    earn nothing on average, and most if they leave the other's coins alone.
    Of more players, one can be robbed by several at once, and loses 2.

    Args:
      episode_length: T.
      num_players: N, at least 2, and fewer than there are cells.
      grid_size: number of rows, and of columns, at least 2.
      num_coins: 1, or N for the variant.
      can_stay: whether there is a fifth action, to stay (4).
      data_format: `"channels_first"`, observations `[2 N, rows, columns]`,
        or `"channels_last"`, `[rows, columns, 2 N]`, as
        `keras.layers.Conv2D` needs them on CPU.
      dtype: floating dtype, "float32" or "float64".

    Raises:
      TypeError, ValueError: if an argument is out of its range.

    Example:
      >>> game = dice_tf.games.CoinGame(episode_length=50)
      >>> policies = [dice_tf.policies.mlp(game, i) for i in range(2)]

    References:
      Lerer and Peysakhovich 2017 (Maintaining cooperation in complex social
      dilemmas using deep reinforcement learning); on 3 x 3 cells Foerster et
      al. 2018 (Learning with Opponent-Learning Awareness), Zhao et al. 2022
      (Proximal Learning With Opponent-Learning Awareness); with two coins Lu
      et al. 2022 (Model-Free Opponent Shaping); for three players Aghajohari
      et al. 2024 (LOQA: Learning with Opponent Q-Learning Awareness).
    """

    def __init__(
        self,
        episode_length: int = 50,
        *,
        num_players: int = 2,
        grid_size: int = 3,
        num_coins: int = 1,
        can_stay: bool = False,
        data_format: str = CHANNELS_FIRST,
        dtype: str = "float32",
    ):
        self.episode_length = check_whole_number(
            "episode_length", episode_length, 1
        )
        # On one cell there would be no place for a coin.
        self.grid_size = check_whole_number("grid_size", grid_size, 2, 2**10)
        self.num_players = check_whole_number(
            "num_players", num_players, 2, self.num_cells - 1
        )
        choices = (1, self.num_players)
        self.num_coins = check_choice("num_coins", num_coins, choices)
        num_actions = 5 if check_flag("can_stay", can_stay) else 4
        self.num_actions = (num_actions,) * num_players
        self.data_format = check_choice(
            "data_format", data_format, (CHANNELS_FIRST, _CHANNELS_LAST)
        )
        self.dtype = check_float_dtype("dtype", dtype)
        shape = [grid_size, grid_size]
        place = 0 if data_format == CHANNELS_FIRST else 2
        shape.insert(place, 2 * num_players)
        self.observation_shapes = (tuple(shape),) * num_players

    def reset(self, seed: Seed, batch_size: int) -> tuple[CoinState, TimeStep]:
        check_whole_number("batch_size", batch_size, 1, MOST_EPISODES)
        # The first rows place the players and choose the coin's owner.
        num_players = self.num_players
        noise = uniform(seed, [num_players + 1 + self.num_coins, batch_size])
        players = tuple(
            random_cell(noise[i], self.num_cells) for i in self._players
        )
        rows = tf.unstack(noise[num_players + 1 :])
        cells = [self._free_cell(players, row) for row in rows]
        if self.num_coins > 1:
            state = CoinState(players, tuple(cells))
        else:
            owner = random_cell(noise[num_players], num_players)
            absent = tf.fill([batch_size], _NO_CELL)
            coins = [
                tf.where(owner == i, cells[0], absent) for i in self._players
            ]
            state = CoinState(players, tuple(coins))
        nothing = tf.zeros([batch_size], self.dtype)
        return state, self._time_step(state, (nothing,) * num_players)

    def step(
        self, state: CoinState, actions: tuple[tf.Tensor, ...], seed: Seed
    ) -> tuple[CoinState, TimeStep]:
        check_kind("state", state, CoinState, "a dice_tf.games.CoinState")
        actions = check_actions(actions, self.num_players)
        check_same_shape("actions[0]", actions[0], "state", state.players[0])
        players = tuple(
            self._move(cell, action)
            for cell, action in zip(state.players, actions, strict=True)
        )
        # Of each player, the owners of the coins that it steps on.
        collected = [[cell == coin for coin in state.coins] for cell in players]
        robbed = [
            _any([collected[j][i] for j in self._players if j != i])
            for i in self._players
        ]
        rewards = tuple(
            tf.cast(_sum(map(to_int, collected[i])), self.dtype)
            - 2.0 * tf.cast(robbed[i], self.dtype)
            for i in self._players
        )
        noise = uniform(seed, [self.num_coins, players[0].shape[0]])
        cells = [self._free_cell(players, row) for row in tf.unstack(noise)]
        taken = [collected[i][i] | robbed[i] for i in self._players]
        if self.num_coins > 1:
            coins = tuple(
                tf.where(taken[i], cells[i], state.coins[i])
                for i in self._players
            )
        else:
            # The coin of the player after its owner appears in its place.
            coins = tuple(
                tf.where(
                    _any(taken),
                    tf.where(taken[i - 1], cells[0], _NO_CELL),
                    state.coins[i],
                )
                for i in self._players
            )
        state = CoinState(players, coins)
        return state, self._time_step(state, rewards)

    def statistics(self, trajectory: Any) -> CoinStatistics:
        """Counts what was picked up.

        Args:
          trajectory: a `Trajectory`, or whatever has its `observations` and
            `actions`.

        Returns:
          `CoinStatistics`, means over all steps and episodes.
        """
        check_played(trajectory, ("observations", "actions"))
        state = self.state_of(trajectory.observations[0])
        players = [
            self._move(state.players[i], trajectory.actions[i])
            for i in self._players
        ]
        shares, rates = [], []
        for i in self._players:
            by_owner = [
                tf.reduce_mean(tf.cast(players[i] == coins, self.dtype))
                for coins in state.coins
            ]
            rate = _sum(by_owner)
            shares.append(by_owner[i] / rate)
            rates.append(rate)
        return CoinStatistics(tuple(shares), tuple(rates))

    def state_of(self, observations: tf.Tensor) -> CoinState:
        """Reads the state off what player 0 sees.

        Args:
          observations: `[..., *observation_shape]`.

        Returns:
          A `CoinState` with entries of the leading axes.
        """
        observations = as_tensor("observations", observations)
        shape = self.observation_shapes[0]
        check_last_axes("observations", observations, shape)
        axis = -3 if self.data_format == CHANNELS_FIRST else -1
        cells = []
        for grid in tf.unstack(observations, axis=axis):
            flat = tf.reshape(grid, [*grid.shape[:-2], self.num_cells])
            cell = tf.argmax(flat, axis=-1, output_type=tf.int32)
            is_there = tf.reduce_max(flat, axis=-1) > 0.5
            cells.append(tf.where(is_there, cell, _NO_CELL))
        num_players = self.num_players
        return CoinState(tuple(cells[:num_players]), tuple(cells[num_players:]))

    @property
    def num_cells(self) -> int:
        """Number of cells of the grid."""
        return self.grid_size**2

    @property
    def _players(self) -> range:
        return range(self.num_players)

    def _move(self, cell: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
        return move(cell, action, self.grid_size)

    def _free_cell(
        self, players: tuple[tf.Tensor, ...], noise: tf.Tensor
    ) -> tf.Tensor:
        return free_cell(players, noise, self.num_cells)

    def _time_step(
        self, state: CoinState, rewards: tuple[tf.Tensor, ...]
    ) -> TimeStep:
        return TimeStep(
            tuple(self._observe(state, i) for i in self._players),
            rewards,
            tf.ones_like(rewards[0]),
        )

    def _observe(self, state: CoinState, player_id: int) -> tf.Tensor:
        # As the player sees them: itself first, then the next seats.
        cells = [
            cell
            for kind in (state.players, state.coins)
            for cell in (*kind[player_id:], *kind[:player_id])
        ]
        cells = tf.stack(cells, axis=1)
        # A coin that is not there, -1, is all zeros.
        axis = 2 if self.data_format == CHANNELS_FIRST else 1
        seen = tf.one_hot(cells, self.num_cells, axis=axis, dtype=self.dtype)
        return tf.reshape(seen, [-1, *self.observation_shapes[player_id]])


def _any(conditions: Sequence[tf.Tensor]) -> tf.Tensor:
    return functools.reduce(operator.or_, conditions)


def _sum(terms: Iterable[tf.Tensor]) -> tf.Tensor:
    return functools.reduce(operator.add, terms)


def check_played(trajectory: Any, parts: tuple[str, ...]) -> None:
    """Raises if it is not a trajectory, nor has parts like one."""
    missing = [part for part in parts if not hasattr(trajectory, part)]
    if missing:
        raise TypeError(
            "`trajectory` must be a dice_tf.play.Trajectory. Received: "
            f"trajectory={trajectory!r} (of type {type(trajectory).__name__}), "
            f"without {' and '.join(missing)}."
        )
