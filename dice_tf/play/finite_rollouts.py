"""Playing a game of finitely many states, with policies without memory."""

import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dice_tf.games.finite import FiniteGame
from dice_tf.kernels.finite_play import divide, iterate_numbers
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


def sample_finite(
    game: FiniteGame,
    actors: Sequence[Actor],
    weights: Sequence[Weights],
    batch_size: int,
    seed: Any,
) -> Trajectory:
    """Plays with each policy evaluated once per state, not per step.

    What happens at a step is one number, `state * num_joint_actions + joint`,
    and a play is a sequence of such numbers.

    Arguments and result are those of `dice_tf.play.rollouts.sample_trajectory`.
    """
    length, dtype = game.episode_length, game.dtype
    reset_seed, action_seed, game_seed = split_seed(seed, 3)
    tables = [
        _threshold_tables(actor, values, dtype)
        for actor, values in zip(actors, weights, strict=True)
    ]
    # The loop makes uniform numbers of the bits, which saves a pass over
    # memory.
    bits = random_bits(action_seed, [length, game.num_players, batch_size])
    bits = own_share(bits, axis=2)
    start = chance = None
    if game.has_random_start:
        start = own_share(uniform(reset_seed, [batch_size], dtype))
    if game.has_random_transitions:
        chance = own_share(random_bits(game_seed, [length, batch_size]), axis=1)
    num_joint = math.prod(game.num_actions)

    def act(step: Any, state: tf.Tensor) -> tf.Tensor:
        # Each player's row of noise is read alone: XLA does not vectorise the
        # row of several players.
        actions = [
            invert(
                [select(threshold, state) for threshold in table],
                as_uniform(bits[step, player_id], dtype),
            )
            for player_id, table in enumerate(tables)
        ]
        return state * num_joint + game.joint_action(actions)

    def advance(step: tf.Tensor, played: tf.Tensor) -> tf.Tensor:
        state, joint = divide(played, num_joint)
        luck = None
        if chance is not None:
            luck = as_uniform(chance[step - 1], dtype)
        return act(step, game.next_state(state, joint, luck))

    played = iterate_numbers(
        advance,
        act(0, game.first_state(share_size(batch_size), start)),
        length=length,
        bound=game.num_states * num_joint,
        filler=bits[0, 0, 0],
        num_runs=num_runs_of(seed),
    )
    return _trajectory(game, *divide(played, num_joint))


def _threshold_tables(
    actor: Actor, weights: Weights, dtype: tf.DType
) -> list[tf.Tensor]:
    """Returns, for each action but the last, its threshold in each state."""
    log_probs = actor.log_prob_table(weights)
    return [tf.cast(row, dtype) for row in thresholds(log_probs)]


def _trajectory(
    game: FiniteGame, states: tf.Tensor, joints: tf.Tensor
) -> Trajectory:
    """Returns what the players saw, did and got.

    Args:
      game: what was played.
      states: int32 `[T, B]`.
      joints: int32 `[T, B]`, numbers of joint actions.
    """
    return Trajectory(
        tuple(
            tf.gather(tf.constant(table, game.dtype), states)
            for table in game.observations
        ),
        game.split_joint_action(joints),
        tuple(
            game.reward(states, joints, player_id)
            for player_id in range(game.num_players)
        ),
        tf.ones(states.shape, game.dtype),
        states,
    )
