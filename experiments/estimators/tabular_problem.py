"""A finite game with tabular policies: sampled episodes, exact derivatives.

The checks of the estimators need three things of a game: episodes in a form
that is fast to differentiate, player 0's exact value, and its state values.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

import dice_tf


class Episodes(NamedTuple):
    """A batch of episodes as player 0 sees it, constant.

    Attributes:
      entries: `[K, T, B]`, one-hot over the K = S * A_1 * ... * A_N pairs of
        a state and a joint action: where in `log_prob_table` each step is.
      rewards: `[T, B]`, of player 0.
      values: `[T, B]`, the exact value for player 0 of what is left of the
        episode, before each step.
    """

    entries: tf.Tensor
    rewards: tf.Tensor
    values: tf.Tensor


class TabularProblem:
    """Player 0's value in the logits of all players.

    Args:
      build_game: function from a dtype to the game, a `FiniteGame` that is
        played in float32, and evaluated in float64.
      discount: in [0, 1].

    Attributes:
      discount: the discount.
      num_logits: n, the length of `theta`, all players' logits in one vector:
        player by player, observation by observation.
    """

    def __init__(
        self,
        build_game: Callable[[str], dice_tf.games.FiniteGame],
        discount: float,
    ):
        self.discount = discount
        self._game = build_game("float32")
        self._policies = self._tables_of(self._game)
        exact_game = build_game("float64")
        self._exact = dice_tf.objectives.ExactObjective(
            exact_game, self._tables_of(exact_game), discount=discount
        )
        self._shapes = [
            tuple(policy.trainable_variables[0].shape)
            for policy in self._policies
        ]
        self.num_logits = sum(map(np.prod, self._shapes))
        # One function per batch size: a single one would warn of many traces.
        self._players = {}

    def value(self, theta: tf.Tensor) -> tf.Tensor:
        """Returns player 0's exact value, float64, differentiable."""
        return self._exact(self._split(theta))[0]

    def log_prob_table(self, theta: tf.Tensor) -> tf.Tensor:
        """Returns log-probabilities of the joint actions in each state.

        Args:
          theta: `[n]`, to which the result is differentiable.

        Returns:
          `[K]`, row-major in state and joint action.
        """
        joint = tf.zeros([self._game.num_states, 1], theta.dtype)
        for table, (logits,) in zip(
            self._game.observations, self._split(theta), strict=True
        ):
            log_probs = _log_probs(tf.constant(table, theta.dtype) @ logits)
            joint = joint[:, :, tf.newaxis] + log_probs[:, tf.newaxis, :]
            joint = tf.reshape(joint, [joint.shape[0], -1])
        return tf.reshape(joint, [-1])

    def sample(self, theta: np.ndarray, batch_size: int, seed: int) -> Episodes:
        """Plays episodes.

        Args:
          theta: `[n]`.
          batch_size: B.
          seed: a number; another one gives other episodes.
        """
        if batch_size not in self._players:
            self._players[batch_size] = tf.function(
                self._play_batch, autograph=False
            )
        return self._players[batch_size](
            tf.constant(theta, tf.float32),
            tf.constant(self._state_values(theta), tf.float32),
            dice_tf.seeds.make_seed(seed),
            batch_size,
        )

    def _play_batch(
        self,
        theta: tf.Tensor,
        state_values: tf.Tensor,
        seed: tf.Tensor,
        batch_size: int,
    ) -> Episodes:
        objective = dice_tf.objectives.DiCEObjective(
            self._game,
            self._policies,
            discount=self.discount,
            batch_size=batch_size,
        )
        played = objective.play(self._split(theta), seed).trajectory
        joint = self._game.joint_action(played.actions)
        num_joint = int(np.prod(self._game.num_actions))
        size = self._game.num_states * num_joint
        return Episodes(
            tf.one_hot(played.states * num_joint + joint, size, axis=0),
            played.rewards[0],
            tf.gather(state_values, played.states, batch_dims=1),
        )

    def _state_values(self, theta: np.ndarray) -> np.ndarray:
        """Returns `[T, S]`: the value of the steps from t on in a state.

        By `V_t = r + discount P V_{t+1}`, with `V_T = 0`. Unlike values of
        an infinite horizon they know that the episode ends.
        """
        game, num_states = self._game, self._game.num_states
        table = self.log_prob_table(tf.constant(theta, tf.float64)).numpy()
        probs = np.exp(table).reshape(num_states, -1)
        rewards = game.rewards[0].reshape(num_states, -1)
        moves = game.transitions.reshape(num_states, -1, num_states)
        chain = np.einsum("sa,sat->st", probs, moves)
        expected = np.sum(probs * rewards, axis=1)
        values = np.zeros([game.episode_length + 1, num_states])
        for step in reversed(range(game.episode_length)):
            values[step] = expected + self.discount * chain @ values[step + 1]
        return values[:-1]

    def _split(self, theta: tf.Tensor) -> list[list[tf.Tensor]]:
        sizes = [int(np.prod(shape)) for shape in self._shapes]
        return [
            [tf.reshape(part, shape)]
            for part, shape in zip(
                tf.split(theta, sizes), self._shapes, strict=True
            )
        ]

    @staticmethod
    def _tables_of(game: dice_tf.games.FiniteGame) -> list:
        return [
            dice_tf.policies.tabular(game, player_id)
            for player_id in range(game.num_players)
        ]


def _log_probs(logits: tf.Tensor) -> tf.Tensor:
    """Returns log-probabilities of tabular policies, see their docstring."""
    if logits.shape[1] == 1:
        logits = tf.concat([logits, tf.zeros_like(logits)], axis=1)
    return tf.nn.log_softmax(logits)
