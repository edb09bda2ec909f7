"""Playing a game of finitely many states, with policies without memory."""

import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dice_tf.games.finite import FiniteGame
from dice_tf.kernels.row_sums import largest_divisor
from dice_tf.kernels.table_lookups import select
from dice_tf.models.seat_models import Weights
from dice_tf.play.actors import Actor
from dice_tf.play.trajectories import Trajectory
from dice_tf.policies.sampling import invert, thresholds
from dice_tf.replicas import own_share, share_size
from dice_tf.seeds import (
    as_uniform,
    num_runs_of,
    random_bits,
    split_seed,
    uniform,
)

# How many steps of vectorised runs are written together, if it divides all.
_MIN_BLOCK, _MAX_BLOCK = 5, 30


def sample_finite(
    game: FiniteGame,
    actors: Sequence[Actor],
    weights: Sequence[Weights],
    batch_size: int,
    seed: Any,
) -> Trajectory:
    """Plays with each policy evaluated once per state, not per step.

    Arguments and result are those of `dice_tf.play.rollouts.sample_trajectory`.
    """
    length = game.episode_length
    reset_seed, action_seed, game_seed = split_seed(seed, 3)
    tables = [
        [
            tf.cast(row, game.dtype)
            for row in thresholds(actor.log_prob_table(own))
        ]
        for actor, own in zip(actors, weights, strict=True)
    ]
    # Numbers are made of bits in the loop, which saves a pass over memory.
    bits = random_bits(action_seed, [length, game.num_players, batch_size])
    bits = own_share(bits, axis=2)
    start = chance = None
    if game.has_random_start:
        start = own_share(uniform(reset_seed, [batch_size], game.dtype))
    if game.has_random_transitions:
        chance = random_bits(game_seed, [length, batch_size])
        chance = own_share(chance, axis=1)
    batch_size = share_size(batch_size)
    players = range(game.num_players)
    num_joint = math.prod(game.num_actions)
    # What is played is one number per step, in as few bytes as hold it.
    number = _integer_below(game.num_states * num_joint)

    def any_rows(shape):
        # All are overwritten. Were they zeros, tf.vectorized_map would first
        # take them for the same in all runs, and convert a loop twice.
        return tf.broadcast_to(tf.cast(bits[0, 0, 0], number), shape)

    def act(step, state):
        # Row by row: a row of several players XLA would not vectorise.
        noise = [as_uniform(bits[step, own], game.dtype) for own in players]
        joint = game.joint_action(
            [
                invert([select(row, state) for row in table], own)
                for table, own in zip(tables, noise, strict=True)
            ]
        )
        return tf.cast(state * num_joint + joint, number)

    def split(played):
        # XLA makes a quotient of unsigned numbers of far fewer operations.
        played = tf.cast(played, tf.uint32)
        states = tf.cast(played // num_joint, tf.int32)
        return states, tf.cast(played % num_joint, tf.int32)

    def play_block(first, row):
        def play(own, row, rows):
            # A row is written one turn after it was played: XLA would play it
            # twice, once to write it and once for the state that follows.
            step = first + own
            luck = None
            if chance is not None:
                luck = as_uniform(chance[step - 1], game.dtype)
            following = game.next_state(*split(row), luck)
            # After the last step one more is played, which nothing writes.
            row_after = act(tf.minimum(step, length - 1), following)
            return own + 1, row_after, write_row(rows, own - 1, row)

        _, row, rows = tf.while_loop(
            lambda own, *_: own <= block_length,
            play,
            (tf.constant(1), row, any_rows([block_length, batch_size])),
            maximum_iterations=block_length,
        )
        return row, rows

    def play_on(block, row, played):
        row, rows = play_block(block * block_length, row)
        return block + 1, row, write_row(played, block, rows)

    block_length = _block_length(length, num_runs_of(seed))
    num_blocks = length // block_length
    row = act(0, game.first_state(batch_size, start))
    if num_blocks == 1:
        _, played = play_block(tf.constant(0), row)
    else:
        played = any_rows([num_blocks, block_length, batch_size])
        *_, played = tf.while_loop(
            lambda block, *_: block < num_blocks,
            play_on,
            (tf.constant(0), row, played),
            maximum_iterations=num_blocks,
        )
        played = tf.reshape(played, [length, batch_size])
    states, joints = split(played)
    return Trajectory(
        tuple(
            tf.gather(tf.constant(table, game.dtype), states)
            for table in game.observations
        ),
        game.split_joint_action(joints),
        tuple(game.reward(states, joints, player_id) for player_id in players),
        tf.ones([length, batch_size], game.dtype),
        states,
    )


def _integer_below(bound: int) -> tf.DType:
    """Returns the smallest integer type that holds `0, ..., bound - 1`."""
    return next(
        dtype
        for dtype in (tf.int8, tf.int16, tf.int32)
        if bound - 1 <= dtype.max
    )


def _block_length(length: int, num_runs: int) -> int:
    """Returns how many steps are written together.

    Each turn of a loop over vectorised runs copies what the loop has written.
    """
    block_length = largest_divisor(length, _MAX_BLOCK)
    if num_runs == 1 or block_length < _MIN_BLOCK:
        return length
    return block_length


def write_row(buffer: tf.Tensor, step: tf.Tensor, row: tf.Tensor) -> tf.Tensor:
    """Returns the buffer with a row written at this step.

    Unlike a TensorArray this works under `tf.vectorized_map` and XLA at once.
    """
    return tf.tensor_scatter_nd_update(buffer, [[step]], tf.expand_dims(row, 0))
