"""Critic networks in the seats of a game."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from dice_tf.checks import check_per_player
from dice_tf.estimators.returns import lambda_returns, running_steps, until_end
from dice_tf.games.finite import FiniteGame
from dice_tf.games.game import Game
from dice_tf.kernels.table_lookups import lookup
from dice_tf.models.recurrent_models import seat_model
from dice_tf.models.seat_models import Weights
from dice_tf.models.shared_models import check_seats_alike
from dice_tf.play.trajectories import Trajectory, player_steps, step_discounts
from dice_tf.policies.policy_check import example_observations
from dice_tf.replicas import mean_over_replicas


class SeatCritic:
    """A critic network in a seat of a game.

    Args:
      critic: a `keras.Model` from observations to one output, the value of
        the state, or to one output per action of the seat, the value of each;
        with memory from `[observations, *states]` to `[values, *states]`.
      game: the game.
      player_id: the seat.

    Attributes:
      model: the network, as a `SeatModel`.
      num_actions: number of actions that it values; `None` if it values the
        state.

    Raises:
      TypeError: if the critic is not a `keras.Model`.
      ValueError: if its inputs or outputs do not fit the seat, it cannot
        learn, or it draws noise of its own.
    """

    def __init__(self, critic: keras.Model, game: Game, player_id: int):
        name = f"critics[{player_id}]"
        shape = game.observation_shapes[player_id]
        self.model = seat_model(name, critic, shape, game.dtype)
        num_actions, num_outputs = (
            game.num_actions[player_id],
            self.model.num_outputs,
        )
        if num_outputs not in (1, num_actions):
            per_action = f", or {num_actions}, one per action"
            raise ValueError(
                f"`{name}` must have 1 output, the value"
                f"{'' if num_actions is None else per_action}. Received "
                f"{num_outputs}."
            )
        self.num_actions = None if num_outputs == 1 else num_actions
        self._player_id = player_id
        self._states = None
        if isinstance(game, FiniteGame):
            self._states = tf.constant(game.observations[player_id], game.dtype)
            observations = self._states
        else:
            observations = example_observations(shape, game.dtype)
        self.model.check_follows_weights(tf.ones_like(observations[:1]))
        self.model.check_repeatable(observations)

    @property
    def network(self) -> keras.Model:
        """The Keras model that the critic was made of."""
        return self.model.model

    def __call__(self, weights: Weights, trajectory: Trajectory) -> tf.Tensor:
        """Returns the value of the state before each step, or of the action.

        Values behind the end of an episode are finite, but mean nothing.

        Args:
          weights: of the critic.
          trajectory: what was played.

        Returns:
          `[T, B]`, differentiable in the weights: the value of the action that
          was taken, if the critic values actions.
        """
        states = trajectory.states
        if states is None or self.model.has_memory:
            observations, actions = player_steps(trajectory, self._player_id)
            values = self.model(weights, observations)
            if self.num_actions is None:
                return tf.squeeze(values, axis=-1)
            is_taken = actions[..., tf.newaxis] == tf.range(self.num_actions)
            taken = tf.where(is_taken, values, tf.zeros_like(values))
            return tf.reduce_sum(taken, axis=-1)
        index = states
        if self.num_actions is not None:
            actions = trajectory.actions[self._player_id]
            index = states * self.num_actions + actions
        table = self.model(weights, self._states)
        return lookup(tf.reshape(table, [-1]), index)

    def action_values(
        self, weights: Weights, trajectory: Trajectory
    ) -> tf.Tensor:
        """Returns the values of all actions at each step.

        Args:
          weights: of a critic that values actions.
          trajectory: what was played.

        Returns:
          `[T, B, num_actions]`.
        """
        if trajectory.states is None or self.model.has_memory:
            observations, _ = player_steps(trajectory, self._player_id)
            return self.model(weights, observations)
        return tf.gather(self.model(weights, self._states), trajectory.states)

    def loss(
        self,
        weights: Weights,
        trajectory: Trajectory,
        discount: float,
        td_lambda: float,
        slow_weights: Weights | None = None,
    ) -> tf.Tensor:
        """Returns the mean squared error against lambda-returns, a scalar.

        For a critic of action values, the targets are made of the values of
        the actions that were taken: with `td_lambda` of 0 those of SARSA. The
        mean is over the steps until the end of each episode, which all
        count the same. On several replicas it is over the steps of all of
        them, and each replica returns its part.

        Args:
          weights: of the critic.
          trajectory: what was played.
          discount: scalar in [0, 1], of a step at which no episode ends.
          td_lambda: in [0, 1], of the targets.
          slow_weights: those of the critic that targets are made of. Default:
            `weights`.
        """
        discounts = step_discounts(trajectory, discount)
        values = self(weights, trajectory)
        expected = values
        if slow_weights is not None:
            expected = self(slow_weights, trajectory)
        rewards = bootstrapped_rewards(
            trajectory, expected, discount, self._player_id
        )
        has_ends = trajectory.states is None
        if has_ends:
            _, rewards, values, expected = until_end(
                trajectory.discounts, rewards, values, expected
            )
        targets = lambda_returns(
            rewards, expected, discount=discounts, lambda_=td_lambda
        )
        # Behind the end, rewards and values are 0, and so are the errors.
        loss = tf.reduce_mean(tf.square(values - tf.stop_gradient(targets)))
        if not has_ends:
            return loss
        running = tf.cast(running_steps(trajectory.discounts), loss.dtype)
        (share,) = mean_over_replicas([tf.reduce_mean(running)])
        return loss / share


def bootstrapped_rewards(
    trajectory: Trajectory, values: tf.Tensor, discount: float, player_id: int
) -> tf.Tensor:
    """Returns rewards with the value of what was cut off.

    `r_t + discount v_{t+1}` at a step that truncated the player's episode,
    else `r_t`. As the last reward of the episode it counts in its value, in
    the targets of critics and in advantages, for every estimator alike. The
    length T of the game does not cut an episode off: to the game, the episode
    ends there, without a value of the step after.

    Args:
      trajectory: what was played.
      values: `[T, B]`, the critic's values before each step.
      discount: scalar in [0, 1].
      player_id: the player whose rewards they are.

    Returns:
      `[T, B]`, constant.
    """
    rewards = trajectory.rewards[player_id]
    if not trajectory.truncations:
        return rewards
    values = tf.stop_gradient(values)
    following = tf.concat([values[1:], tf.zeros_like(values[:1])], axis=0)
    is_cut_off = trajectory.truncations[player_id] > 0.0
    # Values behind the end of an episode may not be finite.
    return rewards + tf.where(is_cut_off, discount * following, 0.0)


def seat_critics(
    critics: Sequence[keras.Model] | None, game: Game
) -> tuple[SeatCritic, ...]:
    """Returns the critics in their seats; empty if there are none."""
    if critics is None:
        return ()
    critics = check_per_player("critics", critics, game.num_players)
    check_seats_alike("critics", critics, game)
    return tuple(
        SeatCritic(critic, game, player_id)
        for player_id, critic in enumerate(critics)
    )
