"""Random play in the Coin Game: our game, and the same written in JAX.

Both do the same work: every step moves both players by random actions, pays
them, puts the coin back, and makes both players' observations, which the loop
carries as a rollout would. What comes out depends on all of it.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tensorflow as tf

import dice_tf

_SIZE = 3
_CELLS = _SIZE**2

Program = Callable[[int], np.ndarray]


def tensorflow_program(batch_size: int, episode_length: int) -> Program:
    """Returns a function from a seed to the absolute rewards per step."""
    game = dice_tf.games.CoinGame(episode_length, grid_size=_SIZE)

    @tf.function(jit_compile=True)
    def play(noise: tf.Tensor, keys: tf.Tensor) -> tuple[tf.Tensor, ...]:
        state, first = game.reset(keys[-1], batch_size)

        def body(step, state, observations, paid):
            joint = tf.unstack(tf.cast(4.0 * noise[step], tf.int32))
            state, after = game.step(state, tuple(joint), keys[step])
            paid += tf.add_n([tf.abs(reward) for reward in after.rewards])
            return step + 1, state, after.observations, paid

        loop = (tf.constant(0), state, first.observations)
        *_, seen, paid = tf.while_loop(
            lambda step, *_: step < episode_length,
            body,
            (*loop, tf.zeros([batch_size])),
            maximum_iterations=episode_length,
        )
        seen = tf.add_n([tf.reduce_sum(grid) for grid in seen])
        return tf.reduce_mean(paid), seen

    @tf.function
    def draw_and_play(seed: tf.Tensor) -> tuple[tf.Tensor, ...]:
        keys = tf.random.stateless_uniform(
            [episode_length + 2, 2], seed, 0, 2**31 - 1, dtype=tf.int32
        )
        # As rollouts do: noise that is drawn within XLA on CPU is drawn again
        # for whatever uses it.
        shape = [episode_length, 2, batch_size]
        noise = tf.random.stateless_uniform(shape, keys[-1])
        return play(noise, keys[:-1])

    def run(seed: int) -> np.ndarray:
        paid, seen = draw_and_play(tf.constant([seed, 1]))
        return _per_step(paid, seen, batch_size, episode_length)

    return run


def jax_program(batch_size: int, episode_length: int) -> Program:
    """Returns a function from a seed to the absolute rewards per step."""

    def body(carry: tuple, inputs: tuple) -> tuple[tuple, None]:
        players, coins, _, paid = carry
        players, coins, rewards = _step(players, coins, *inputs)
        paid += jnp.abs(rewards[0]) + jnp.abs(rewards[1])
        return (players, coins, _observe(players, coins), paid), None

    @jax.jit
    def play(key: Any) -> tuple:
        *keys, action_key, step_key = jax.random.split(key, 6)
        players = tuple(
            jax.random.randint(key, [batch_size], 0, _CELLS) for key in keys[:2]
        )
        cell = _free_cell(players, keys[2])
        is_first = jax.random.bernoulli(keys[3], shape=[batch_size])
        coins = (jnp.where(is_first, cell, -1), jnp.where(is_first, -1, cell))
        carry = (players, coins, _observe(players, coins))
        # All at once, as in the other program: faster than within the loop.
        joints = jax.random.randint(
            action_key, [episode_length, 2, batch_size], 0, 4
        )
        keys = jax.random.split(step_key, episode_length)
        (*_, seen, paid), _ = jax.lax.scan(
            body, (*carry, jnp.zeros([batch_size])), (joints, keys)
        )
        return paid.mean(), sum(grid.sum() for grid in seen)

    def run(seed: int) -> np.ndarray:
        paid, seen = play(jax.random.key(seed))
        return _per_step(paid, seen, batch_size, episode_length)

    return run


def _step(players: tuple, coins: tuple, joint: Any, key: Any) -> tuple:
    players = tuple(_move(players[i], joint[i]) for i in range(2))
    same_color = [players[i] == coins[i] for i in range(2)]
    foreign = [players[i] == coins[1 - i] for i in range(2)]
    rewards = tuple(
        same_color[i].astype(jnp.float32) + foreign[i] - 2.0 * foreign[1 - i]
        for i in range(2)
    )
    cell = _free_cell(players, key)
    taken = [same_color[i] | foreign[1 - i] for i in range(2)]
    coins = tuple(
        jnp.where(taken[0] | taken[1], jnp.where(taken[i], -1, cell), coins[i])
        for i in range(2)
    )
    return players, coins, rewards


def _move(cell: Any, action: Any) -> Any:
    row, column = cell // _SIZE, cell % _SIZE
    row = (row + (action == 2).astype(jnp.int32) - (action == 3)) % _SIZE
    column = (column + (action == 0).astype(jnp.int32) - (action == 1)) % _SIZE
    return _SIZE * row + column


def _free_cell(players: tuple, key: Any) -> Any:
    low, high = jnp.minimum(*players), jnp.maximum(*players)
    apart = (low != high).astype(jnp.int32)
    noise = jax.random.uniform(key, low.shape)
    cell = (noise * (_CELLS - 1 - apart)).astype(jnp.int32)
    cell = cell + (cell >= low)
    return cell + apart * (cell >= high)


def _observe(players: tuple, coins: tuple) -> tuple:
    seen = []
    for i in range(2):
        cells = (players[i], players[1 - i], coins[i], coins[1 - i])
        grid = jax.nn.one_hot(jnp.stack(cells, axis=1), _CELLS)
        seen.append(grid.reshape([-1, 4, _SIZE, _SIZE]))
    return tuple(seen)


def _per_step(
    paid: Any, seen: Any, batch_size: int, episode_length: int
) -> np.ndarray:
    # Two observations, each of two players and one coin.
    if float(seen) != 6 * batch_size:
        raise ValueError(f"The observations are wrong: they sum to {seen}.")
    return np.asarray(paid) / episode_length
