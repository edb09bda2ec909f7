"""Policies of the Coin Game as a table, at play on the grid."""

from typing import Any

import keras
import tensorflow as tf

from dice_tf.checks import check_kind, check_model
from dice_tf.games.coin_game import CoinGame
from dice_tf.games.coin_game_with_memory import took_foreign_last
from dice_tf.games.coin_table import numbered_states
from dice_tf.games.torus import seen_from
from dice_tf.policies.heads import attached_head, with_head
from dice_tf.policies.networks import seat_input

_NUM_REMEMBERED = 4


@keras.saving.register_keras_serializable(package="dice_tf")
class CoinMemory(keras.layers.Layer):
    """Turns what a player of the Coin Game sees into its view of the table.

    What it remembers is where each coin lay (its cell plus 1, or 0), and for
    both players whether the coin that they last took was not their own. A
    player who stands where a coin lay has just taken it.

    Args:
      grid_size: of the game, with one coin and channels first.
      **kwargs: as of `keras.layers.Layer`.
    """

    def __init__(self, grid_size: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.grid_size = grid_size
        states, numbers = numbered_states(grid_size)
        self._num_states, self._numbers = len(states), numbers

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "grid_size": self.grid_size}

    def call(
        self, observation: tf.Tensor, memory: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the view, one-hot `[B, S]`, and the memory `[B, 4]`.

        Args:
          observation: `[B, 4, rows, columns]`.
          memory: as of the step before, zeros at first.
        """
        num_cells = self.grid_size**2
        grids = tf.reshape(observation, [-1, 4, num_cells])
        cells = tf.argmax(grids, axis=-1, output_type=tf.int32)
        is_there = tf.cast(tf.reduce_max(grids, axis=-1) > 0.5, tf.int32)
        cell, other, *coins = tf.unstack(cells, axis=1)
        is_own = is_there[:, 2]
        before = tf.cast(memory, tf.int32)
        lay_own, lay_foreign = before[:, 0] - 1, before[:, 1] - 1
        took = took_foreign_last(cell, lay_own, [lay_foreign], before[:, 2])
        other_took = took_foreign_last(
            other, lay_foreign, [lay_own], before[:, 3]
        )
        coin = tf.where(is_own > 0, *coins)
        index = [
            seen_from(cell, other, self.grid_size),
            seen_from(cell, coin, self.grid_size),
            1 - is_own,
            took,
            other_took,
        ]
        number = tf.gather_nd(
            tf.constant(self._numbers, tf.int32), tf.stack(index, axis=-1)
        )
        lie = (cells[:, 2:] + 1) * is_there[:, 2:]
        remembered = tf.concat(
            [lie, tf.stack([took, other_took], axis=1)], axis=1
        )
        # An observation that no play shows counts as the first state.
        number = tf.maximum(number, 0)
        view = tf.one_hot(number, self._num_states, dtype=memory.dtype)
        return view, tf.cast(remembered, memory.dtype)


def on_the_grid(
    game: CoinGame, policy: keras.Model, player_id: int
) -> keras.Model:
    """Returns a policy of `TabularCoinGame` as one of `CoinGame`.

    It has a memory, as a functional model with explicit state,

      `[observation [B, 4, rows, columns], memory [B, 4]]
          -> [outputs, memory [B, 4]]`,

    acts as the table does, and shares its weights and attached head.

    Args:
      game: the Coin Game, with one coin, four actions and channels first.
      policy: of a `TabularCoinGame` of the same size, in either seat; they
        see alike.
      player_id: the seat.

    Raises:
      ValueError: if the game or the policy has another form.

    Example:
      >>> table = dice_tf.games.TabularCoinGame(episode_length=32)
      >>> policy = dice_tf.policies.tabular(table, 0)
      >>> game = dice_tf.games.CoinGame(episode_length=32)
      >>> player = dice_tf.policies.on_the_grid(game, policy, 0)
    """
    check_kind("game", game, CoinGame, "a dice_tf.games.CoinGame")
    check_model("policy", policy)
    observation, num_outputs = seat_input(game, player_id)
    num_states = len(numbered_states(game.grid_size)[0])
    is_standard = (
        game.num_players == 2
        and game.num_coins == 1
        and game.observation_shapes[player_id][0] == 4
        and num_outputs == 4
    )
    if not is_standard or policy.input_shape[1:] != (num_states,):
        raise ValueError(
            "`game` must have two players, one coin, four actions and "
            f"channels first, and `policy` must take views {(num_states,)} of "
            "a TabularCoinGame of its size. Received: "
            f"num_players={game.num_players}, num_coins={game.num_coins}, "
            f"num_actions={game.num_actions}, "
            f"data_format={game.data_format!r}, a policy of inputs "
            f"{policy.input_shape[1:]}."
        )
    memory = keras.Input((_NUM_REMEMBERED,), dtype=observation.dtype)
    view, after = CoinMemory(game.grid_size, dtype=observation.dtype)(
        observation, memory
    )
    player = keras.Model(
        [observation, memory],
        [policy(view), after],
        name=f"coin_policy_{player_id}",
    )
    head = attached_head(policy)
    return player if head is None else with_head(player, head)
