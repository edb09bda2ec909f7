"""2-D point navigation with a Gaussian policy, as a family of tasks."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

import dice_tf
from experiments.meta_learning.meta_training import MetaProblem

DISCOUNT = 0.99
# Of the velocities, which the game clips at 0.1.
_SCALE = 0.1
_HIDDEN_UNITS = 64


def navigation_problem(
    objective: type,
    num_tasks: int,
    batch_size: int,
    episode_length: int,
) -> MetaProblem:
    """Returns the problem of finding hidden goals.

    Args:
      objective: class of the sampled objective.
      num_tasks: number of goals of an update.
      batch_size: episodes per task and evaluation.
      episode_length: T.
    """
    policy = navigation_policy()

    def build_objective(goal: tf.Tensor) -> dice_tf.objectives.Objective:
        game = dice_tf.games.PointNavigation(goal, episode_length)
        return objective(game, [policy], DISCOUNT, batch_size)

    family = dice_tf.objectives.SampledTasks(
        build_objective, dice_tf.games.PointNavigation.sample_goals, num_tasks
    )
    return MetaProblem(policy, family, family)


def navigation_policy() -> keras.Model:
    """Returns a policy from positions to normal velocities."""
    inputs = keras.Input((2,))
    x = inputs
    for _ in range(2):
        x = keras.layers.Dense(_HIDDEN_UNITS, activation="tanh")(x)
    outputs = keras.layers.Dense(2)(x)

    def head(outputs: tf.Tensor) -> tfp.distributions.Distribution:
        return tfp.distributions.MultivariateNormalDiag(
            _SCALE * outputs, [_SCALE, _SCALE]
        )

    return dice_tf.policies.with_head(keras.Model(inputs, outputs), head)
