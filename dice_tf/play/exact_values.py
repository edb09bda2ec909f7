"""Closed-form values of policies in a finite game."""

import enum
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import tensorflow as tf

from dice_tf.checks import check_number, check_whole_number
from dice_tf.estimators.returns import return_scale
from dice_tf.games.finite import FiniteGame
from dice_tf.policies.sampling import nan_where


class GameDefault(enum.Enum):
    """The type of `OF_THE_GAME`, which stands for the game's own length.

    `None` is not free for that: it stands for an infinite horizon.
    """

    OF_THE_GAME = "OF_THE_GAME"

    def __repr__(self) -> str:
        return self.value


OF_THE_GAME = GameDefault.OF_THE_GAME

# A number of steps, or `None` for an infinite horizon.
EpisodeLength: TypeAlias = int | None | GameDefault


class Horizon(NamedTuple):
    """How far rewards count.

    Attributes:
      discount: in [0, 1].
      episode_length: T, or `None` for an infinite horizon.
      return_scale: what turns a discounted sum of rewards into a reported
        return: `1 - discount`, and `1 / T` at discount 1.
    """

    discount: float
    episode_length: int | None
    return_scale: float


def check_horizon(
    game: FiniteGame,
    discount: float,
    episode_length: EpisodeLength = OF_THE_GAME,
) -> Horizon:
    """Returns a checked horizon.

    Args:
      game: the game, for its own episode length.
      discount: in [0, 1], below 1 with an infinite horizon.
      episode_length: T, `None` for an infinite horizon, or `OF_THE_GAME`.

    Raises:
      TypeError, ValueError: if one of them is not such a number.
    """
    discount = check_number("discount", discount, 0.0, 1.0)
    if episode_length is OF_THE_GAME:
        episode_length = game.episode_length
    if episode_length is not None:
        check_whole_number("episode_length", episode_length, 1)
    elif discount == 1.0:
        raise ValueError(
            "`discount` must be below 1 with an infinite horizon "
            "(episode_length=None). Received: discount=1.0."
        )
    scale = return_scale(discount, episode_length)
    return Horizon(discount, episode_length, scale)


def joint_probabilities(log_prob_tables: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns the probability of each joint action in each state.

    Args:
      log_prob_tables: one per player, `[S, A_i]`.

    Returns:
      `[S, A_1 * ... * A_N]`, joint actions row-major.
    """
    joint = tf.exp(log_prob_tables[0])
    for table in log_prob_tables[1:]:
        joint = joint[:, :, tf.newaxis] * tf.exp(table)[:, tf.newaxis, :]
        joint = tf.reshape(joint, [joint.shape[0], -1])
    return joint


def state_values(
    game: FiniteGame,
    log_prob_tables: Sequence[tf.Tensor],
    discount: float,
    episode_length: int | None,
) -> tf.Tensor:
    """Returns the value of each state for each player.

    With `P` the transition matrix and `r` the expected rewards under the
    policies, the values are `sum_t (discount P)^t r` over `t < T`, and
    `(I - discount P)^-1 r` with an infinite horizon.

    Args:
      game: the game.
      log_prob_tables: one per player, `[S, A_i]`: log-probabilities of the
        actions in each state of the game.
      discount: in [0, 1], below 1 with an infinite horizon.
      episode_length: T, or `None` for an infinite horizon.

    Returns:
      `[S, num_players]`, discounted returns, not normalised; differentiable
      in the log-probabilities to any order, in their dtype.
    """
    joint = joint_probabilities(log_prob_tables)
    rewards = np.reshape(game.rewards, (game.num_players, game.num_states, -1))
    expected = tf.einsum("sa,nsa->sn", joint, tf.constant(rewards, joint.dtype))
    return _discounted_sum(
        game, joint, expected, discount, episode_length, adjoint=False
    )


def state_visits(
    game: FiniteGame,
    log_prob_tables: Sequence[tf.Tensor],
    discount: float,
    episode_length: int | None,
) -> tf.Tensor:
    """Returns how often each state is visited, as shares that sum to 1.

    Args:
      game: the game.
      log_prob_tables: as of `state_values`.
      discount: as of `state_values`; a visit at step t counts `discount^t`.
      episode_length: as of `state_values`.

    Returns:
      `[S]`, differentiable to any order.
    """
    joint = joint_probabilities(log_prob_tables)
    initial = tf.constant(game.initial[:, np.newaxis], joint.dtype)
    visits = _discounted_sum(
        game, joint, initial, discount, episode_length, adjoint=True
    )
    return tf.squeeze(visits / tf.reduce_sum(visits), axis=1)


def _discounted_sum(
    game: FiniteGame,
    joint: tf.Tensor,
    x: tf.Tensor,
    discount: float,
    episode_length: int | None,
    adjoint: bool,
) -> tf.Tensor:
    """Returns `sum_t M^t x` with `M = discount P`, or its transpose."""
    size = game.num_states
    transitions = game.transitions.reshape(size, -1, size)
    step = discount * tf.einsum(
        "sa,sat->st", joint, tf.constant(transitions, joint.dtype)
    )
    identity = tf.eye(size, dtype=joint.dtype)
    if episode_length is None:
        return solve(identity - step, x, adjoint=adjoint)
    total = geometric_sum(step, identity, episode_length)
    return tf.linalg.matmul(total, x, transpose_a=adjoint)


def solve(matrix: tf.Tensor, x: tf.Tensor, adjoint: bool = False) -> tf.Tensor:
    """Returns `tf.linalg.solve(matrix, x)`, NaN if the matrix is not finite.

    TensorFlow raises an error for such a matrix outside of XLA. The runs of a
    trainer are one program: a run that diverges would end all others.

    Args:
      matrix: `[S, S]`.
      x: `[S, n]`.
      adjoint: whether to solve with the transpose.

    Returns:
      `[S, n]`, differentiable in both to any order.
    """
    is_finite = tf.reduce_all(tf.math.is_finite(matrix))
    matrix = tf.where(
        is_finite, matrix, tf.eye(matrix.shape[0], dtype=matrix.dtype)
    )
    return tf.linalg.solve(matrix, nan_where(~is_finite, x), adjoint=adjoint)


def geometric_sum(
    matrix: tf.Tensor, identity: tf.Tensor, length: int
) -> tf.Tensor:
    """Returns `I + M + ... + M^(length - 1)`, by doubling.

    Args:
      matrix: `[S, S]`.
      identity: `[S, S]`, of its dtype.
      length: number of terms, at least 1.

    Unlike `(I - M)^-1 (I - M^length)` it holds at discount 1 too, where
    `I - M` is singular.
    """
    total, power = identity, matrix
    for bit in bin(length)[3:]:
        total = total + power @ total
        power = power @ power
        if bit == "1":
            total = identity + matrix @ total
            power = matrix @ power
    return total


def initial_values(
    game: FiniteGame,
    log_prob_tables: Sequence[tf.Tensor],
    discount: float,
    episode_length: int | None,
) -> tuple[tf.Tensor, ...]:
    """Returns each player's expected discounted return of an episode.

    Args:
      game: the game.
      log_prob_tables: as of `state_values`.
      discount: as of `state_values`.
      episode_length: as of `state_values`.

    Returns:
      One scalar per player, differentiable to any order.
    """
    values = state_values(game, log_prob_tables, discount, episode_length)
    initial = tf.constant(game.initial[np.newaxis], values.dtype)
    return tuple(tf.unstack(tf.squeeze(initial @ values, axis=0)))


def sums_to_go(matrix: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """Returns `y_t = x_t + M y_{t+1}` for all steps, with `y_T = 0`.

    Each product doubles the number of terms that are summed.

    Args:
      matrix: M, `[S, S]`.
      x: `[T, S, n]`.

    Returns:
      `[T, S, n]`, differentiable in both to any order.
    """
    length, num_terms, power = x.shape[0], 1, matrix
    while num_terms < length:
        behind = tf.zeros_like(x[:num_terms])
        x += power @ tf.concat([x[num_terms:], behind], axis=0)
        num_terms, power = 2 * num_terms, power @ power
    return x


def step_visits(
    matrix: tf.Tensor, initial: tf.Tensor, length: int
) -> tf.Tensor:
    """Returns the probability of each state at each step.

    Args:
      matrix: `[S, S]`, from each state the probabilities of the next one.
      initial: `[S]`, at the first step.
      length: T.

    Returns:
      `[T, S]`.
    """
    visits, power = initial[tf.newaxis], matrix
    while visits.shape[0] < length:
        visits = tf.concat([visits, visits @ power], axis=0)
        power = power @ power
    return visits[:length]
