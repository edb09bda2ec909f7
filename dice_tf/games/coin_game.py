"""The Coin Game: a social dilemma on a grid that closes upon itself."""

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
_PLAYERS = range(2)
_CHANNELS_FIRST, _CHANNELS_LAST = "channels_first", "channels_last"


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
    """Two players collect coins on a torus; each coin belongs to one of them.

    Actions move by one cell: right (0), left (1), down (2), up (3). Whoever
    steps on a coin picks it up and earns 1, and its owner loses 2 if that was
    the other player: both collect where both are on it. Players may share a
    cell and start anywhere.

    With one coin its owner alternates: once picked up, the other's coin
    appears. With two (Lu et al.) each player's coin is always there and only
    what was picked up appears anew. Coins appear on any cell without a player
    with the same probability. The first of a single coin is either's.

    An observation has four channels, each zero except for a one: the player
    itself, the other, its own coin, the other's. The game is thus the same
    from both seats.

    It is a dilemma: each does best by taking every coin, but two who do so
    earn nothing on average, and most if they leave the other's coins alone.

    Args:
      episode_length: T.
      grid_size: number of rows, and of columns, at least 2.
      num_coins: 1, or 2 for the variant.
      can_stay: whether there is a fifth action, to stay (4).
      data_format: `"channels_first"`, observations `[4, rows, columns]`, or
        `"channels_last"`, `[rows, columns, 4]`, as `keras.layers.Conv2D`
        needs them on CPU.
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
      et al. 2022 (Model-Free Opponent Shaping).
    """

    num_players = 2

    def __init__(
        self,
        episode_length: int = 50,
        *,
        grid_size: int = 3,
        num_coins: int = 1,
        can_stay: bool = False,
        data_format: str = _CHANNELS_FIRST,
        dtype: str = "float32",
    ):
        self.episode_length = check_whole_number(
            "episode_length", episode_length, 1
        )
        # On one cell there would be no place for a coin.
        self.grid_size = check_whole_number("grid_size", grid_size, 2, 2**10)
        self.num_coins = check_choice("num_coins", num_coins, (1, 2))
        self.num_actions = (5 if check_flag("can_stay", can_stay) else 4,) * 2
        self.data_format = check_choice(
            "data_format", data_format, (_CHANNELS_FIRST, _CHANNELS_LAST)
        )
        self.dtype = check_float_dtype("dtype", dtype)
        shape = [grid_size, grid_size]
        shape.insert(0 if data_format == _CHANNELS_FIRST else 2, 4)
        self.observation_shapes = (tuple(shape),) * 2

    def reset(self, seed: Seed, batch_size: int) -> tuple[CoinState, TimeStep]:
        check_whole_number("batch_size", batch_size, 1, MOST_EPISODES)
        # The first three rows place the players and choose the coin's owner.
        noise = uniform(seed, [3 + self.num_coins, batch_size])
        players = tuple(random_cell(noise[i], self.num_cells) for i in _PLAYERS)
        cells = [self._free_cell(players, row) for row in tf.unstack(noise[3:])]
        if self.num_coins == 2:
            state = CoinState(players, tuple(cells))
        else:
            absent = tf.fill([batch_size], _NO_CELL)
            is_first = noise[2] < 0.5
            state = CoinState(
                players,
                (
                    tf.where(is_first, cells[0], absent),
                    tf.where(is_first, absent, cells[0]),
                ),
            )
        nothing = tf.zeros([batch_size], self.dtype)
        return state, self._time_step(state, (nothing, nothing))

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
        is_own = [players[i] == state.coins[i] for i in _PLAYERS]
        foreign = [players[i] == state.coins[1 - i] for i in _PLAYERS]
        rewards = tuple(
            tf.cast(to_int(is_own[i]) + to_int(foreign[i]), self.dtype)
            - 2.0 * tf.cast(foreign[1 - i], self.dtype)
            for i in _PLAYERS
        )
        noise = uniform(seed, [self.num_coins, players[0].shape[0]])
        cells = [self._free_cell(players, row) for row in tf.unstack(noise)]
        taken = [is_own[i] | foreign[1 - i] for i in _PLAYERS]
        if self.num_coins == 2:
            coins = tuple(
                tf.where(taken[i], cells[i], state.coins[i]) for i in _PLAYERS
            )
        else:
            # The coin that was not there appears in place of the other.
            coins = tuple(
                tf.where(
                    taken[0] | taken[1],
                    tf.where(taken[i], _NO_CELL, cells[0]),
                    state.coins[i],
                )
                for i in _PLAYERS
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
            for i in _PLAYERS
        ]
        shares, rates = [], []
        for i in _PLAYERS:
            own_rate, foreign = (
                tf.reduce_mean(tf.cast(players[i] == coins, self.dtype))
                for coins in (state.coins[i], state.coins[1 - i])
            )
            shares.append(own_rate / (own_rate + foreign))
            rates.append(own_rate + foreign)
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
        axis = -3 if self.data_format == _CHANNELS_FIRST else -1
        cells = []
        for grid in tf.unstack(observations, axis=axis):
            flat = tf.reshape(grid, [*grid.shape[:-2], self.num_cells])
            cell = tf.argmax(flat, axis=-1, output_type=tf.int32)
            is_there = tf.reduce_max(flat, axis=-1) > 0.5
            cells.append(tf.where(is_there, cell, _NO_CELL))
        return CoinState(tuple(cells[:2]), tuple(cells[2:]))

    @property
    def num_cells(self) -> int:
        """Number of cells of the grid."""
        return self.grid_size**2

    def _move(self, cell: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
        return move(cell, action, self.grid_size)

    def _free_cell(
        self, players: tuple[tf.Tensor, ...], noise: tf.Tensor
    ) -> tf.Tensor:
        return free_cell(*players, noise, self.num_cells)

    def _time_step(
        self, state: CoinState, rewards: tuple[tf.Tensor, ...]
    ) -> TimeStep:
        return TimeStep(
            tuple(self._observe(state, i) for i in _PLAYERS),
            rewards,
            tf.ones_like(rewards[0]),
        )

    def _observe(self, state: CoinState, player_id: int) -> tf.Tensor:
        other = 1 - player_id
        cells = tf.stack(
            [
                state.players[player_id],
                state.players[other],
                state.coins[player_id],
                state.coins[other],
            ],
            axis=1,
        )
        # A coin that is not there, -1, is all zeros.
        axis = 2 if self.data_format == _CHANNELS_FIRST else 1
        seen = tf.one_hot(cells, self.num_cells, axis=axis, dtype=self.dtype)
        return tf.reshape(seen, [-1, *self.observation_shapes[player_id]])


def check_played(trajectory: Any, parts: tuple[str, ...]) -> None:
    """Raises if it is not a trajectory, nor has parts like one."""
    missing = [part for part in parts if not hasattr(trajectory, part)]
    if missing:
        raise TypeError(
            "`trajectory` must be a dice_tf.play.Trajectory. Received: "
            f"trajectory={trajectory!r} (of type {type(trajectory).__name__}), "
            f"without {' and '.join(missing)}."
        )
