"""Bots of the Coin Game: policies that nothing trains, on shortest paths."""

import itertools
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import dice_tf

from .coin_settings import ALWAYS_COOPERATE

# The logit of a step that is not taken: exp(-100) is 0 beside 1.
_NEVER = -100.0
_STEPS = ((0, 1), (0, -1), (1, 0), (-1, 0))


class ShortestPaths(keras.layers.Layer):
    """Logits of the steps that lead the fastest to the coin.

    All steps that do so are as probable, and all others never taken.

    Args:
      grid_size: of the game.
      leaves_foreign: whether the player goes away from coins that are not its
        own, by the steps that lead the farthest.
      **kwargs: as of `keras.layers.Layer`.
    """

    def __init__(self, grid_size: int, leaves_foreign: bool, **kwargs: Any):
        super().__init__(**kwargs)
        self._distances = _distances_after(grid_size)
        self._leaves_foreign = leaves_foreign

    def call(self, observation: tf.Tensor) -> tf.Tensor:
        """Returns logits, `[B, 4]`.

        Args:
          observation: `[B, at least 4, rows, columns]`: the player, the other
            player, its own coin and that of the other.
        """
        num_cells = len(self._distances)
        grids = tf.reshape(observation[:, :4], [-1, 4, num_cells])
        player, _, own_coin, foreign_coin = tf.unstack(grids, axis=1)
        distances = tf.constant(self._distances, observation.dtype)
        # Where everything lies is one-hot, and nowhere all zeros.
        steps = tf.tensordot(player, distances, 1)
        to_own = tf.einsum("bac,bc->ba", steps, own_coin)
        to_foreign = tf.einsum("bac,bc->ba", steps, foreign_coin)
        if self._leaves_foreign:
            to_foreign = -to_foreign
        costs = to_own + to_foreign
        least = tf.reduce_min(costs, axis=1, keepdims=True)
        is_best = costs < least + 0.5
        return tf.where(is_best, tf.zeros_like(costs), _NEVER)


def bot(game: dice_tf.games.Game, player_id: int, name: str) -> keras.Model:
    """Returns a bot for a seat.

    Args:
      game: a Coin Game of two players, one coin, four actions and channels
        first, with a memory in its observations or without.
      player_id: the seat.
      name: `"always_cooperate"`, which takes its own coins and goes away from
        the other's, or `"always_defect"`, which takes any coin.

    References:
      Aghajohari et al. 2024 (LOQA: Learning with Opponent Q-Learning
      Awareness), whose authors measured their players against these two.
    """
    shape = game.observation_shapes[player_id]
    inputs = keras.Input(shape, dtype=game.dtype.name, name="observation")
    logits = ShortestPaths(
        shape[-1], name == ALWAYS_COOPERATE, dtype=game.dtype.name
    )(inputs)
    return keras.Model(inputs, logits, name=f"{name}_{player_id}")


def _distances_after(size: int) -> np.ndarray:
    """Returns from each cell, after each action, the distance to each cell.

    Args:
      size: number of rows, and of columns.

    Returns:
      `[cells, 4, cells]`, in steps on the torus.
    """
    places = np.array(list(itertools.product(range(size), repeat=2)))
    after = places[:, np.newaxis] + np.array(_STEPS)
    apart = np.abs(after[:, :, np.newaxis] - places) % size
    return np.minimum(apart, size - apart).sum(axis=-1)
