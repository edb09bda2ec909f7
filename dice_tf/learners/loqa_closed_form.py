"""What LOQA ascends, in closed form, in a game of few states.

Joint actions are numbered row-major, J of them; S is the number of states.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from dice_tf.games.finite import FiniteGame
from dice_tf.objectives.objective import Objective, Params, discount_of
from dice_tf.play.exact_values import step_visits, sums_to_go


def expected_alignment(
    objective: Objective,
    params: Params,
    player_id: int,
    weight: float,
    decay: float,
) -> tf.Tensor:
    """Returns a scalar whose gradient is the expected direction of `LOQA`.

    With `s'` the state that follows s, and `d_t(s)` the chance of state s at
    step t, it is the mean over the steps t of

      `sum_s d_t(s) E A_i,t(s, a, s') [log pi_i(a_i | s) + w sum_j
          (1 - q_j,t(a_j | s)) discount U_j,t+1(s')]`,

    where `q_j,t` is the softmax of the action values of opponent j, and `U_j`
    has the derivative of what j earns:

      `U_j,t(s) = sum_a pi_i(a_i | s) pi_-i(a_-i | s) Q_j,t(s, a)
          + discount d E U_j,t+1(s')`.

    All but `log pi_i` and the `pi_i` of `U_j` is held constant. Only the
    derivative has a meaning.

    Args:
      objective: with the game, the policies and an episode length.
      params: one list of tensors per player.
      player_id: i.
      weight: w.
      decay: d.

    Returns:
      A scalar, differentiable once in the parameters of player i.

    Raises:
      ValueError: if there are no exact values of finitely many steps.
    """
    game, discount, episode_length = _check_exact(objective)
    tables = [
        actor.log_prob_table(weights)
        for actor, weights in zip(
            objective.actors, objective.player_weights(params), strict=True
        )
    ]
    exact = _ExactPlay(game, tables, discount, episode_length)
    taken = exact.by_joint(tables[player_id], player_id)
    earned = exact.rewards[player_id] - exact.values[player_id][..., tf.newaxis]
    following = exact.following[player_id]
    advantages = earned + exact.discount * exact.expected(following)
    total = advantages * taken
    joint = exact.of_others(player_id) * tf.exp(taken)
    for j in range(len(tables)):
        if j == player_id:
            continue
        immediate = tf.reduce_sum(joint * exact.outcomes(j), axis=-1)
        later = _next(exact.sums_to_go(immediate, exact.discount * decay))
        # The mean over s' of the product: both depend on s'.
        moved = earned * exact.expected(later)
        moved += exact.discount * exact.expected(following * later)
        share = 1.0 - exact.by_joint(exact.softmax_of_values(j), j)
        total += weight * share * exact.discount * moved
    by_state = tf.reduce_sum(exact.joint * total, axis=-1)
    return tf.reduce_mean(tf.reduce_sum(exact.visits * by_state, axis=-1))


class _ExactPlay:
    """The play of policies in a finite game, held constant.

    Args:
      game: the game.
      tables: log-probabilities `[S, A_i]`, one per player.
      discount: in [0, 1].
      length: T.

    Attributes:
      discount: as given.
      joint: `[S, J]`, probabilities of the joint actions.
      rewards: `[S, J]`, one per player.
      values: `[T, S]`, one per player, of the state at each step.
      following: `[T, S]`, one per player, of the state after each step.
      visits: `[T, S]`, probabilities of the states.
    """

    def __init__(
        self,
        game: FiniteGame,
        tables: Sequence[tf.Tensor],
        discount: float,
        length: int,
    ):
        self.discount = discount
        shape = game.num_actions
        num_joint = math.prod(shape)
        self._actions = np.unravel_index(np.arange(num_joint), shape)
        self._tables = [tf.stop_gradient(tf.exp(table)) for table in tables]
        self._shape = [length, game.num_states, num_joint]
        dtype = tables[0].dtype
        self._transitions = tf.constant(
            game.transitions.reshape(-1, game.num_states), dtype
        )
        self.rewards = [
            tf.constant(rewards.reshape(game.num_states, num_joint), dtype)
            for rewards in game.rewards
        ]
        self.joint = self.of_others(None)
        self._step = tf.einsum(
            "sa,sat->st",
            self.joint,
            tf.reshape(
                self._transitions, [game.num_states, num_joint, game.num_states]
            ),
        )
        self.values = [
            self.sums_to_go(
                tf.broadcast_to(
                    tf.reduce_sum(self.joint * rewards, axis=-1),
                    self._shape[:2],
                ),
                discount,
            )
            for rewards in self.rewards
        ]
        self.following = list(map(_next, self.values))
        initial = tf.constant(game.initial, dtype)
        self.visits = step_visits(self._step, initial, length)

    def by_joint(self, table: tf.Tensor, player_id: int) -> tf.Tensor:
        """Returns `[..., J]` of what a player's table `[..., A_i]` holds."""
        return tf.gather(table, self._actions[player_id], axis=-1)

    def of_others(self, player_id: int | None) -> tf.Tensor:
        """Returns the probability of what all but one player do, `[S, J]`."""
        chances = [
            self.by_joint(table, j)
            for j, table in enumerate(self._tables)
            if j != player_id
        ]
        return tf.math.reduce_prod(tf.stack(chances), axis=0)

    def expected(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the mean over the next state `[T, S, J]`, of `[T, S]`."""
        means = tf.linalg.matmul(x, self._transitions, transpose_b=True)
        return tf.reshape(means, self._shape)

    def sums_to_go(self, x: tf.Tensor, factor: float) -> tf.Tensor:
        """Returns `y_t = x_t + factor E y_{t+1}`, `[T, S]`."""
        sums = sums_to_go(factor * self._step, x[..., tf.newaxis])
        return tf.squeeze(sums, axis=-1)

    def outcomes(self, player_id: int) -> tf.Tensor:
        """Returns what a player expects of each joint action, `[T, S, J]`."""
        following = self.expected(self.following[player_id])
        return self.rewards[player_id] + self.discount * following

    def softmax_of_values(self, player_id: int) -> tf.Tensor:
        """Returns the softmax of a player's action values, `[T, S, A_i]`.

        Actions that its policy never takes are left out.
        """
        expected = self.of_others(player_id) * self.outcomes(player_id)
        num_actions = self._tables[player_id].shape[-1]
        members = np.eye(num_actions)[self._actions[player_id]]
        action_values = tf.einsum(
            "tsj,ja->tsa", expected, tf.constant(members, expected.dtype)
        )
        never = tf.constant(-np.inf, expected.dtype)
        is_taken = self._tables[player_id] > 0.0
        return tf.nn.softmax(tf.where(is_taken, action_values, never))


def _next(x: tf.Tensor) -> tf.Tensor:
    """Returns at each step what stands at the next one, 0 behind the last."""
    return tf.concat([x[1:], tf.zeros_like(x[:1])], axis=0)


class _Exact(NamedTuple):
    """What there are exact values of.

    Attributes:
      game: the game.
      discount: in [0, 1].
      episode_length: number of steps.
    """

    game: FiniteGame
    discount: float
    episode_length: int


def _check_exact(objective: Objective) -> _Exact:
    """Raises if an objective has no exact values of finitely many steps."""
    if not isinstance(objective.game, FiniteGame) or not objective.actors:
        raise ValueError(
            "LOQA needs a sampled objective with critics of action values, or "
            "a dice_tf.objectives.ExactObjective. Received: "
            f"{type(objective).__name__}."
        )
    if objective.episode_length is None:
        raise ValueError(
            "LOQA ascends a mean over the steps of an episode, and an infinite "
            "horizon has no such mean. Received: episode_length=None. Give the "
            "ExactObjective an episode length."
        )
    discount = discount_of(objective)
    return _Exact(objective.game, discount, objective.episode_length)
