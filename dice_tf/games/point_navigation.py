"""A point in the plane that has to find its goal: a family of small tasks."""

from typing import Any

import tensorflow as tf

from dice_tf.checks import (
    MOST_EPISODES,
    as_floats,
    as_tensor,
    check_finite,
    check_float_dtype,
    check_number,
    check_per_player,
    check_rank,
    check_whole_number,
)
from dice_tf.games.game import Game, TimeStep
from dice_tf.seeds import Seed, uniform


class PointNavigation(Game):
    """A game of one player, which moves a point towards a hidden goal.

    The point starts at the origin. An action is a velocity `[B, 2]`; the
    point moves by it, each coordinate clipped to
    `[-max_speed, max_speed]`, and earns minus its distance to the goal. It
    sees its position `[B, 2]` and never the goal, which only rewards tell:
    the goal is the task, and a policy has to adapt to it.

    The goal may be a tensor, such as one task of
    `dice_tf.objectives.SampledTasks`. It is held constant.

    Args:
      goal: `[2]`.
      episode_length: T.
      max_speed: the largest move along each axis, above 0.
      dtype: floating dtype, "float32" or "float64".

    Raises:
      TypeError, ValueError: if an argument is out of its range.

    Example:
      >>> game = dice_tf.games.PointNavigation([0.3, -0.2])
      >>> def head(outputs):
      ...     return tfp.distributions.MultivariateNormalDiag(
      ...         outputs, [0.1, 0.1]
      ...     )
      >>> policy = dice_tf.policies.with_head(
      ...     keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)]),
      ...     head,
      ... )

    References:
      Finn et al. 2017 (Model-Agnostic Meta-Learning), section 5.3. There an
      episode also ends near the goal.
    """

    num_players = 1
    num_actions = (None,)
    observation_shapes = ((2,),)
    action_shapes = ((2,),)

    def __init__(
        self,
        goal: Any,
        episode_length: int = 100,
        *,
        max_speed: float = 0.1,
        dtype: str = "float32",
    ):
        self.dtype = check_float_dtype("dtype", dtype)
        self.goal = as_floats("goal", goal, self.dtype)
        if self.goal.shape != [2]:
            raise ValueError(
                "`goal` must be a point of the plane, of shape [2]. "
                f"Received shape {tuple(self.goal.shape)}."
            )
        # In a graph, a goal is a task that has no value yet.
        if tf.executing_eagerly():
            check_finite("goal", self.goal.numpy(), self.dtype)
        self.episode_length = check_whole_number(
            "episode_length", episode_length, 1
        )
        self.max_speed = check_number("max_speed", max_speed)
        if self.max_speed == 0.0:
            raise ValueError(
                "`max_speed` must be above 0. Received: max_speed=0.0."
            )

    @staticmethod
    def sample_goals(
        seed: Seed,
        num_tasks: int,
        *,
        half_width: float = 0.5,
        dtype: str = "float32",
    ) -> tf.Tensor:
        """Draws goals, uniform on a square around the origin.

        Args:
          seed: int32 `[2]`.
          num_tasks: number of goals.
          half_width: half of the side of the square.
          dtype: floating dtype, "float32" or "float64".

        Returns:
          `[num_tasks, 2]`.
        """
        check_whole_number("num_tasks", num_tasks, 1, 2**24)
        half_width = check_number("half_width", half_width)
        dtype = check_float_dtype("dtype", dtype)
        return half_width * (2.0 * uniform(seed, [num_tasks, 2], dtype) - 1.0)

    def reset(self, seed: Seed, batch_size: int) -> tuple[tf.Tensor, TimeStep]:
        del seed
        check_whole_number("batch_size", batch_size, 1, MOST_EPISODES)
        positions = tf.zeros([batch_size, 2], self.dtype)
        return positions, self._time_step(positions, positions[:, 0])

    def step(
        self, state: tf.Tensor, actions: tuple[tf.Tensor, ...], seed: Seed
    ) -> tuple[tf.Tensor, TimeStep]:
        del seed
        state = as_floats("state", state, self.dtype)
        check_rank("state", state, 2, "[B, 2]")
        (velocities,) = check_per_player("actions", actions, 1)
        velocities = as_tensor("actions", velocities)
        if velocities.shape[1:] != [2]:
            raise ValueError(
                "Actions must have shape [B, 2], one velocity per episode. "
                f"Received shape {tuple(velocities.shape)}: let the head "
                "return a distribution over vectors, such as "
                "tfp.distributions.MultivariateNormalDiag."
            )
        velocities = tf.cast(velocities, self.dtype)
        positions = state + tf.clip_by_value(
            velocities, -self.max_speed, self.max_speed
        )
        offsets = positions - self.goal
        distances = tf.sqrt(tf.reduce_sum(tf.square(offsets), axis=1))
        return positions, self._time_step(positions, -distances)

    def _time_step(self, positions: tf.Tensor, rewards: tf.Tensor) -> TimeStep:
        return TimeStep((positions,), (rewards,), tf.ones_like(positions[:, 0]))
