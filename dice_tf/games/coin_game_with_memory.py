"""The Coin Game for players without memory: they see who took whose coin."""

import functools
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from dice_tf.checks import as_tensor, check_kind, check_last_axes
from dice_tf.games.coin_game import (
    CHANNELS_FIRST,
    CoinGame,
    CoinState,
    CoinStatistics,
    check_played,
)
from dice_tf.games.game import Game, TimeStep
from dice_tf.seeds import Seed


class CoinMemoryState(NamedTuple):
    """Where everything lies, and what the players took last.

    Attributes:
      grid: the `CoinState`.
      took_foreign: for each player whether the last coins that it picked up
        were not all its own, int32 `[B]`: 1 if so; 0 if not, or if it has
        picked up nothing yet.
    """

    grid: CoinState
    took_foreign: tuple[tf.Tensor, ...]


class CoinGameWithMemory(Game):
    """The Coin Game whose observations tell who last took whose coin.

    From the grid alone, nobody can answer what another player did: networks
    without memory learn to take every coin. Here the observation has one more
    channel for each player, all ones if the last coins that this player picked
    up were not all its own, else all zeros: first the player itself, then
    seats i+1, i+2, ... modulo N. The channels before are those of the game
    that is wrapped. With two players and one coin this is the memory of
    `TabularCoinGame`.

    Args:
      game: the `CoinGame`, of any number of players and coins.

    Attributes:
      grid_game: the game that is wrapped.

    Raises:
      TypeError: if the game is not a `CoinGame`.

    Example:
      >>> grid_game = dice_tf.games.CoinGame(episode_length=50)
      >>> game = dice_tf.games.CoinGameWithMemory(grid_game)
      >>> game.observation_shapes[0]
      (6, 3, 3)
      >>> policies = [dice_tf.policies.mlp(game, i) for i in range(2)]

    References:
      As of `CoinGame`.
    """

    def __init__(self, game: CoinGame):
        self.grid_game = check_kind(
            "game", game, CoinGame, "a dice_tf.games.CoinGame"
        )
        self.episode_length = game.episode_length
        self.num_players = game.num_players
        self.num_actions = game.num_actions
        self.dtype = game.dtype
        shape = [game.grid_size, game.grid_size]
        place = 0 if self._channels_first else 2
        shape.insert(place, 3 * game.num_players)
        self.observation_shapes = (tuple(shape),) * game.num_players

    def reset(
        self, seed: Seed, batch_size: int
    ) -> tuple[CoinMemoryState, TimeStep]:
        grid, time_step = self.grid_game.reset(seed, batch_size)
        nothing = tf.zeros([batch_size], tf.int32)
        state = CoinMemoryState(grid, (nothing,) * self.num_players)
        return state, self._with_memory(state, time_step)

    def step(
        self, state: CoinMemoryState, actions: tuple[tf.Tensor, ...], seed: Seed
    ) -> tuple[CoinMemoryState, TimeStep]:
        expected = "a dice_tf.games.CoinMemoryState"
        check_kind("state", state, CoinMemoryState, expected)
        grid, time_step = self.grid_game.step(state.grid, actions, seed)
        coins = state.grid.coins
        took_foreign = tuple(
            took_foreign_last(
                cell, coins[i], [*coins[:i], *coins[i + 1 :]], before
            )
            for i, (cell, before) in enumerate(
                zip(grid.players, state.took_foreign, strict=True)
            )
        )
        state = CoinMemoryState(grid, took_foreign)
        return state, self._with_memory(state, time_step)

    def statistics(self, trajectory: Any) -> CoinStatistics:
        """Counts what was picked up, as `CoinGame.statistics` does.

        Args:
          trajectory: a `Trajectory`, or whatever has its `observations` and
            `actions`.

        Returns:
          `CoinStatistics`, means over all steps and episodes.
        """
        check_played(trajectory, ("observations", "actions"))
        grids = tuple(map(self.grid_of, trajectory.observations))
        return self.grid_game.statistics(_Played(grids, trajectory.actions))

    def state_of(self, observations: tf.Tensor) -> CoinMemoryState:
        """Reads the state off what player 0 sees.

        Args:
          observations: `[..., *observation_shape]`.

        Returns:
          A `CoinMemoryState` with entries of the leading axes.
        """
        grid = self.grid_game.state_of(self.grid_of(observations))
        # Each of these channels holds one number.
        if self._channels_first:
            bits = observations[..., 2 * self.num_players :, 0, 0]
        else:
            bits = observations[..., 0, 0, 2 * self.num_players :]
        took_foreign = tf.cast(tf.convert_to_tensor(bits) > 0.5, tf.int32)
        return CoinMemoryState(grid, tuple(tf.unstack(took_foreign, axis=-1)))

    def grid_of(self, observations: tf.Tensor) -> tf.Tensor:
        """Returns what a player of the game that is wrapped would see.

        Args:
          observations: `[..., *observation_shape]`, of any player.

        Returns:
          The channels without those of the memory.
        """
        observations = as_tensor("observations", observations)
        shape = self.observation_shapes[0]
        check_last_axes("observations", observations, shape)
        num_channels = 2 * self.num_players
        if self._channels_first:
            return observations[..., :num_channels, :, :]
        return observations[..., :num_channels]

    @property
    def _channels_first(self) -> bool:
        return self.grid_game.data_format == CHANNELS_FIRST

    def _with_memory(
        self, state: CoinMemoryState, time_step: TimeStep
    ) -> TimeStep:
        bits = tf.cast(tf.stack(state.took_foreign, axis=1), self.dtype)
        ones = tf.ones([self.grid_game.grid_size] * 2, self.dtype)
        if self._channels_first:
            planes, axis = bits[:, :, tf.newaxis, tf.newaxis] * ones, 1
        else:
            planes = bits[:, tf.newaxis, tf.newaxis] * ones[..., tf.newaxis]
            axis = 3
        observations = tuple(
            # As the player sees them: itself first, then the next seats.
            tf.concat([grid, tf.roll(planes, -i, axis)], axis)
            for i, grid in enumerate(time_step.observations)
        )
        return time_step._replace(observations=observations)


class _Played(NamedTuple):
    """The parts of a `Trajectory` that statistics read."""

    observations: tuple[tf.Tensor, ...]
    actions: tuple[tf.Tensor, ...]


def took_foreign_last(
    cell: tf.Tensor,
    own_coin: tf.Tensor,
    foreign_coins: Sequence[tf.Tensor],
    before: tf.Tensor,
) -> tf.Tensor:
    """Returns whether the last coins that a player took were not all its own.

    Args:
      cell: int32 `[B]`, where the player stands after its move.
      own_coin: int32 `[B]`, where its coin lay, negative where it did not.
      foreign_coins: the same of the others' coins.
      before: `[B]`, 1 or 0, what was so before the move.

    Returns:
      `[B]` like `before`.
    """
    takes_foreign = functools.reduce(
        operator.or_, [cell == coin for coin in foreign_coins]
    )
    stays = tf.where(cell == own_coin, tf.zeros_like(before), before)
    return tf.where(takes_foreign, tf.ones_like(before), stays)
