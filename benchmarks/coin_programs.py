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
from benchmarks import jax_coin_game
from benchmarks.jax_coin_game import NUM_CELLS, SIZE

Program = Callable[[int], np.ndarray]


def tensorflow_program(batch_size: int, episode_length: int) -> Program:
    """Returns a function from a seed to the absolute rewards per step."""
    game = dice_tf.games.CoinGame(episode_length, grid_size=SIZE)

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
        joint, key = inputs
        noise = jax.random.uniform(key, [batch_size])
        players, coins, rewards = jax_coin_game.step(
            players, coins, joint, noise
        )
        paid += jnp.abs(rewards[0]) + jnp.abs(rewards[1])
        seen = jax_coin_game.observe(players, coins)
        return (players, coins, seen, paid), None

    @jax.jit
    def play(key: Any) -> tuple:
        *keys, action_key, step_key = jax.random.split(key, 6)
        players = tuple(
            jax.random.randint(key, [batch_size], 0, NUM_CELLS)
            for key in keys[:2]
        )
        place = jax.random.uniform(keys[2], [batch_size])
        cell = jax_coin_game.free_cell(players, place)
        is_first = jax.random.bernoulli(keys[3], shape=[batch_size])
        coins = (jnp.where(is_first, cell, -1), jnp.where(is_first, -1, cell))
        carry = (players, coins, jax_coin_game.observe(players, coins))
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


def _per_step(
    paid: Any, seen: Any, batch_size: int, episode_length: int
) -> np.ndarray:
    # Two observations, each of two players and one coin.
    if float(seen) != 6 * batch_size:
        raise ValueError(f"The observations are wrong: they sum to {seen}.")
    return np.asarray(paid) / episode_length
