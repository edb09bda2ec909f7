"""Playing a game: trajectories without gradients, log-probabilities with them.

A trajectory is sampled in a forward-only loop. Its log-probabilities are then
recomputed from what was stored, in one batched call: that keeps the inner
updates of a look-ahead differentiable, and differentiating through a loop
under XLA on CPU can hang.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from dice_tf.checks import check_whole_number
from dice_tf.dice import magic_box
from dice_tf.games.finite import FiniteGame
from dice_tf.games.game import Game
from dice_tf.lookup import lookup
from dice_tf.models import Weights
from dice_tf.policies.actor import Actor, all_log_probs
from dice_tf.seeds import seed_tensor, split_seed, uniform


class Trajectory(NamedTuple):
    """What was seen and done in `B` episodes of `T` steps. Constant.

    Attributes:
      observations: one tensor per player, `[T, B, ...]`.
      actions: one tensor per player, int32 `[T, B]` (`[T, B, ...]` where the
        player's actions are not a finite set).
      rewards: one tensor per player, `[T, B]`.
      discounts: `[T, B]`, 0 at the step that ended an episode early, else 1.
      states: int32 `[T, B]`, the states of a `FiniteGame`, else `None`.
    """

    observations: tuple[tf.Tensor, ...]
    actions: tuple[tf.Tensor, ...]
    rewards: tuple[tf.Tensor, ...]
    discounts: tf.Tensor
    states: tf.Tensor | None


def sample_trajectory(
    game: Game,
    actors: Sequence[Actor],
    weights: Sequence[Weights],
    batch_size: int,
    seed: Any,
) -> Trajectory:
    """Plays `batch_size` episodes of a game.

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
    play = _sample_finite if isinstance(game, FiniteGame) else _sample_general
    weights = tf.nest.map_structure(tf.stop_gradient, list(weights))
    return tf.nest.map_structure(
        tf.stop_gradient, play(game, actors, weights, batch_size, seed)
    )


def player_log_probs(
    actor: Actor, weights: Weights, trajectory: Trajectory, player_id: int
) -> tf.Tensor:
    """Returns the log-probabilities of what a player did.

    Args:
      actor: the player's actor.
      weights: its weights, to which the result is differentiable.
      trajectory: what was played, held constant.
      player_id: the seat.

    Returns:
      `[T, B]`.
    """
    actions = trajectory.actions[player_id]
    if trajectory.states is None:
        observations = trajectory.observations[player_id]
        return actor.distribution(weights, observations).log_prob(actions)
    table = actor.log_prob_table(weights)
    index = trajectory.states * actor.num_actions + actions
    return lookup(tf.reshape(table, [-1]), index)


def player_entropies(
    actor: Actor, weights: Weights, trajectory: Trajectory, player_id: int
) -> tf.Tensor:
    """Returns the entropy of a player's policy at each step, in nats.

    Where the actions are not a finite set and the distribution does not know
    its entropy, it is estimated by `-log_prob` of the action taken.

    Args:
      actor: the player's actor.
      weights: its weights, to which the result is differentiable.
      trajectory: what was played, held constant.
      player_id: the seat.

    Returns:
      `[T, B]`.
    """
    if trajectory.states is not None:
        table = actor.log_prob_table(weights)
        entropies = -tf.reduce_sum(tf.exp(table) * table, axis=-1)
        return lookup(entropies, trajectory.states)
    observations = trajectory.observations[player_id]
    distribution = actor.distribution(weights, observations)
    if actor.num_actions is not None:
        log_probs = all_log_probs(distribution, actor.num_actions)
        return -tf.reduce_sum(tf.exp(log_probs) * log_probs, axis=-1)
    try:
        return distribution.entropy()
    except NotImplementedError:
        log_probs = distribution.log_prob(trajectory.actions[player_id])
        return -magic_box(log_probs) * tf.stop_gradient(log_probs)


def _invert(cumulative: list[tf.Tensor], noise: tf.Tensor) -> tf.Tensor:
    """Samples actions by inversion: how many thresholds the noise passes."""
    action = tf.zeros(tf.shape(noise), tf.int32)
    for threshold in cumulative:
        action += tf.cast(noise >= threshold, tf.int32)
    return action


def _thresholds(log_probs: tf.Tensor) -> tf.Tensor:
    """Cumulative probabilities of all actions but the last, `[A - 1, ...]`."""
    cumulative = tf.cumsum(tf.exp(log_probs), axis=-1)[..., :-1]
    rank = cumulative.shape.rank
    return tf.transpose(cumulative, [rank - 1, *range(rank - 1)])


def _write(buffer: tf.Tensor, step: tf.Tensor, row: tf.Tensor) -> tf.Tensor:
    # Unlike a TensorArray this works under tf.vectorized_map and XLA at once.
    return tf.tensor_scatter_nd_update(buffer, [[step]], row[tf.newaxis])


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
        tf.unstack(tf.cast(_thresholds(actor.log_prob_table(own)), game.dtype))
        for actor, own in zip(actors, weights, strict=True)
    ]
    noise = uniform(
        action_seed, [length, game.num_players, batch_size], game.dtype
    )
    chance = uniform(game_seed, [length, batch_size], game.dtype)

    def play(step, state, states, joints):
        joint = game.joint_action(
            [
                _invert(
                    [lookup(row, state) for row in table],
                    noise[step, player_id],
                )
                for player_id, table in enumerate(tables)
            ]
        )
        following = game.next_state(state, joint, chance[step])
        states = _write(states, step, state)
        return step + 1, following, states, _write(joints, step, joint)

    empty = tf.zeros([length, batch_size], tf.int32)
    state = game.first_state(uniform(reset_seed, [batch_size], game.dtype))
    _, _, states, joints = tf.while_loop(
        lambda step, *_: step < length,
        play,
        (tf.constant(0), state, empty, empty),
        maximum_iterations=length,
    )
    players = range(game.num_players)
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
    """Plays step by step, with each policy called at every step."""
    length = game.episode_length
    players = range(game.num_players)
    reset_seed, *seeds = split_seed(seed, 2 + game.num_players)
    keys = [
        tf.stack([seed_tensor(child) for child in split_seed(own, length)])
        for own in seeds
    ]
    state, first = game.reset(seed_tensor(reset_seed), batch_size)

    def act(player_id: int, observation: tf.Tensor, step: tf.Tensor):
        actor, key = actors[player_id], keys[player_id][step]
        distribution = actor.distribution(weights[player_id], observation)
        if actor.num_actions is None:
            return distribution.sample(seed=key)
        log_probs = all_log_probs(distribution, actor.num_actions)
        noise = uniform(key, [batch_size], log_probs.dtype)
        return _invert(tf.unstack(_thresholds(log_probs)), noise)

    def play(step, state, observations, buffers):
        actions = tuple(
            act(player_id, observations[player_id], step)
            for player_id in players
        )
        state, after = game.step(state, actions, keys[-1][step])
        rows = (observations, actions, after.rewards, after.discounts)
        buffers = tf.nest.map_structure(
            lambda buffer, row: _write(buffer, step, row), buffers, rows
        )
        return step + 1, state, after.observations, buffers

    actions = tuple(
        act(player_id, first.observations[player_id], tf.constant(0))
        for player_id in players
    )
    buffers = tf.nest.map_structure(
        lambda row: tf.zeros([length, *row.shape], row.dtype),
        (first.observations, actions, first.rewards, first.discounts),
    )
    *_, buffers = tf.while_loop(
        lambda step, *_: step < length,
        play,
        (tf.constant(0), state, first.observations, buffers),
        maximum_iterations=length,
    )
    return Trajectory(*buffers, states=None)
