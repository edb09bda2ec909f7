"""Advantages of all players for one play, with what they are made of."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from dice_tf.checks import as_floats, check_same_shape
from dice_tf.estimators.dice import is_leave_one_out, mean_of_others
from dice_tf.estimators.returns import (
    generalized_advantages,
    returns_to_go,
    until_end,
)
from dice_tf.kernels.row_sums import mean_by_rows
from dice_tf.objectives.visits import visit_weights
from dice_tf.play.trajectories import Trajectory, step_discounts
from dice_tf.replicas import mean_over_replicas


class Advantages(NamedTuple):
    """What one play tells about each action, one entry per player.

    All but `log_probs` and `entropies` is held constant. Behind the end of an
    episode all tensors `[T, B]` are 0.

    Attributes:
      advantages: `[T, B]`, by how much an action was better than expected:
        generalised advantages with the `tau` of the objective, or without
        state values what was earned from the step on, centred as the baseline
        says.
      values: `[T, B]`, what was expected before each step; zeros without a
        baseline.
      rewards: `[T, B]`. If critics are there, the reward of a step that cut an
        episode off includes what they expect to follow.
      log_probs: `[T, B]`, of what the player did; differentiable in the
        player's parameters.
      entropies: scalars, as of `Play`. The gradient of a sum of both passes
        back through the policy once.
      action_values: `[T, B, num_actions]` each, what the player's critic
        expects of every action, and minus infinity for those that its policy
        never takes; `None` for a player without such a critic. Behind the end
        of an episode they mean nothing, but are not NaN.
      trajectory: the `Trajectory` played.
      discounts: the discount of each step, a number or `[T, B]`.
      step_weights: `[T, 1]` or `[T, B]`, the weight of each step in `mean`.
    """

    advantages: tuple[tf.Tensor, ...]
    values: tuple[tf.Tensor, ...]
    rewards: tuple[tf.Tensor, ...]
    log_probs: tuple[tf.Tensor, ...]
    entropies: tuple[tf.Tensor, ...]
    action_values: tuple[tf.Tensor | None, ...]
    trajectory: Trajectory
    discounts: Any
    step_weights: tf.Tensor

    def mean(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the mean over all steps until the end of their episodes.

        All steps count the same, those of all replicas included.

        Args:
          x: `[T, B]`, 0 behind the end of an episode.

        Returns:
          A scalar, linear in `x`.

        Raises:
          ValueError: if the shape of `x` is another.
        """
        first = self.advantages[0]
        x = as_floats("x", x, first.dtype)
        check_same_shape("x", x, "advantages[0]", first)
        (mean,) = mean_over_replicas([mean_by_rows(self.step_weights * x)])
        return mean


def advantages_of(
    trajectory: Trajectory,
    baselines: Sequence[Any],
    action_values: Sequence[tf.Tensor | None],
    *,
    discount: float,
    tau: float,
) -> Advantages:
    """Returns the advantages of a play, still without what policies say of it.

    Args:
      trajectory: what was played.
      baselines: of `dice_objective`, one per player.
      action_values: as of `Advantages`, one per player.
      discount: in [0, 1], of each step.
      tau: in [0, 1], of the advantages; below 1 only with state values.
    """
    discounts = step_discounts(trajectory, discount)
    rewards, values, advantages = [], [], []
    for player_rewards, baseline in zip(
        trajectory.rewards, baselines, strict=True
    ):
        _, earned = until_end(discounts, player_rewards)
        expected = _expected_returns(baseline, earned, discount)
        _, earned, expected = until_end(discounts, earned, expected)
        expected = tf.stop_gradient(expected)
        rewards.append(earned)
        values.append(expected)
        advantages.append(
            generalized_advantages(
                earned, expected, discount=discounts, tau=tau
            )
        )
    return Advantages(
        tuple(advantages),
        tuple(values),
        tuple(rewards),
        (),
        (),
        tuple(
            None if table is None else tf.stop_gradient(table)
            for table in action_values
        ),
        trajectory,
        discounts,
        visit_weights(trajectory, discount=1.0),
    )


def _expected_returns(
    baseline: Any, rewards: tf.Tensor, discount: float
) -> tf.Tensor:
    """Returns what a baseline expects to be earned from each step on.

    Args:
      baseline: of `dice_objective`.
      rewards: `[T, B]`, 0 behind the end of an episode.
      discount: in [0, 1].

    Returns:
      `[T, B]`.
    """
    if baseline is None:
        return tf.zeros_like(rewards)
    if is_leave_one_out(baseline):
        # The sum goes on behind the end of the episode itself, when others
        # still run: cut off there, it would depend on the player's actions.
        return returns_to_go(mean_of_others(baseline, rewards), discount)
    return baseline
