"""Playing a game: trajectories, sampled in a forward-only loop.

No gradient flows through a rollout: differentiating through a loop under XLA
on CPU can hang, and what a learner differentiates are the log-probabilities of
the trajectory, see `dice_tf.trajectory`.
"""

import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dice_tf.checks import check_whole_number
from dice_tf.games.finite import FiniteGame
from dice_tf.games.game import Game
from dice_tf.models import Weights
from dice_tf.policies.actor import Actor
from dice_tf.policies.heads import all_log_probs
from dice_tf.policies.sampling import invert, sample_actions, thresholds
from dice_tf.replicas import own_seed, own_share, share_size
from dice_tf.seeds import (
    as_uniform,
    private_seed,
    random_bits,
    seed_tensor,
    split_seed,
    uniform,
)
from dice_tf.tables import select
from dice_tf.trajectory import Trajectory


def sample_trajectory(
    game: Game,
    actors: Sequence[Actor],
    weights: Sequence[Weights],
    batch_size: int,
    seed: Any,
) -> Trajectory:
    """Plays `batch_size` episodes of a game; a replica plays its share.

    Episodes are the same however many replicas share them, but for what is
    drawn from a seed during play: by the head of a policy whose actions are
    not a finite set, and by `Game.step`. There each replica has its own seed.

    Args:
      game: the game.
      actors: one per player.
      weights: the weights that each plays with; no gradient flows to them.
      batch_size: B.
      seed: int32 `[2]`.

    Returns:
      A `Trajectory`.
    """
    check_whole_number("batch_size", batch_size, 1)
    share_size(batch_size)
    by_state = isinstance(game, FiniteGame) and not any(
        actor.has_memory for actor in actors
    )
    play = _sample_finite if by_state else _sample_general
    # Not even recorded: a loop that a tape has seen cannot be vectorised.
    weights = tf.nest.map_structure(tf.stop_gradient, list(weights))
    trajectory = play(game, actors, weights, batch_size, seed)
    # To tf.nest, `None` is a leaf.
    return tf.nest.map_structure(
        lambda x: None if x is None else tf.stop_gradient(x), trajectory
    )


def _write(buffer: tf.Tensor, step: tf.Tensor, row: tf.Tensor) -> tf.Tensor:
    # Unlike a TensorArray this works under tf.vectorized_map and XLA at once.
    return tf.tensor_scatter_nd_update(buffer, [[step]], tf.expand_dims(row, 0))


def _integer_below(bound: int) -> tf.DType:
    """Returns the smallest integer type that holds `0, ..., bound - 1`."""
    return next(
        dtype
        for dtype in (tf.int8, tf.int16, tf.int32)
        if bound - 1 <= dtype.max
    )


def _sample_finite(
    game: FiniteGame,
    actors: Sequence[Actor],
    weights: Sequence[Weights],
    batch_size: int,
    seed: Any,
) -> Trajectory:
    """Plays with each policy evaluated once per state, not per step."""
    length = game.episode_length
    reset_seed, action_seed, game_seed = split_seed(seed, 3)
    tables = [
        [
            tf.cast(row, game.dtype)
            for row in thresholds(actor.log_prob_table(own), actor.is_masked)
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

    def play(step, row, played):
        # A row is written one turn after it was played: XLA would play it
        # twice, once to write it and once for the state that follows.
        before = step - 1
        luck = None
        if chance is not None:
            luck = as_uniform(chance[before], game.dtype)
        following = game.next_state(*split(row), luck)
        return step + 1, act(step, following), _write(played, before, row)

    # All rows are overwritten. Were they zeros, tf.vectorized_map would first
    # take them for the same in all runs, and convert the loop twice.
    any_number = tf.cast(bits[0, 0, 0], number)
    *_, row, played = tf.while_loop(
        lambda step, *_: step < length,
        play,
        (
            tf.constant(1),
            act(0, game.first_state(batch_size, start)),
            tf.broadcast_to(any_number, [length, batch_size]),
        ),
        maximum_iterations=length - 1,
    )
    played = _write(played, length - 1, row)
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


def _sample_general(
    game: Game,
    actors: Sequence[Actor],
    weights: Sequence[Weights],
    batch_size: int,
    seed: Any,
) -> Trajectory:
    """Plays step by step, with each policy called at every step.

    What policies with memory remember is carried from step to step. Of a
    finite game, its states are kept.
    """
    length = game.episode_length
    players = range(game.num_players)
    # A learner may split the seed too, and play again with a child of it.
    reset_seed, *seeds = split_seed(private_seed(seed), 2 + game.num_players)
    keys = [
        tf.stack([seed_tensor(child) for child in split_seed(own, length)])
        for own in seeds
    ]
    state, first = own_share(game.reset(seed_tensor(reset_seed), batch_size))

    memories = [
        actor.model.initial_state(share_size(batch_size)) for actor in actors
    ]
    keeps_states = isinstance(game, FiniteGame)

    def act(player_id: int, observation, memory, step: tf.Tensor):
        actor, key = actors[player_id], keys[player_id][step]
        distribution, memory = actor.step(
            weights[player_id], observation, memory
        )
        if actor.num_actions is None:
            return distribution.sample(seed=own_seed(key)), memory
        log_probs = all_log_probs(distribution, actor.num_actions)
        noise = own_share(uniform(key, [batch_size], log_probs.dtype))
        return sample_actions(log_probs, noise, actor.is_masked), memory

    def act_all(observations, memories, step: tf.Tensor):
        acts = [
            act(player_id, observations[player_id], memories[player_id], step)
            for player_id in players
        ]
        return tuple(own for own, _ in acts), [memory for _, memory in acts]

    def play(step, state, observations, memories, buffers):
        actions, memories = act_all(observations, memories, step)
        before = state if keeps_states else ()
        state, after = game.step(state, actions, own_seed(keys[-1][step]))
        rows = (observations, actions, after.rewards, after.discounts, before)
        buffers = tf.nest.map_structure(
            lambda buffer, row: _write(buffer, step, row), buffers, rows
        )
        return step + 1, state, after.observations, memories, buffers

    actions, _ = act_all(first.observations, memories, tf.constant(0))
    before = state if keeps_states else ()
    rows = (first.observations, actions, first.rewards, first.discounts, before)
    buffers = tf.nest.map_structure(
        lambda row: tf.zeros([length, *row.shape], row.dtype), rows
    )
    *_, (*played, states) = tf.while_loop(
        lambda step, *_: step < length,
        play,
        (tf.constant(0), state, first.observations, memories, buffers),
        maximum_iterations=length,
    )
    return Trajectory(*played, states if keeps_states else None)
