"""Tasks of MAML: hidden goals in the plane, and random decision processes."""

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

import dice_tf

from .meta_training import MetaProblem

NAVIGATION_DISCOUNT = 0.99
TABULAR_DISCOUNT = 0.95
# The scale of velocities, which the game clips at 0.1.
_SCALE = 0.1
_HIDDEN_UNITS = 64
_NUM_STATES, _NUM_ACTIONS = 5, 3
# The step of central differences.
_DIFFERENCE = 1e-5


def navigation_problem(
    objective: type,
    num_tasks: int,
    batch_size: int,
    episode_length: int,
) -> MetaProblem:
    """Returns the problem of finding hidden goals.

    Args:
      objective: class of the sampled objective.
      num_tasks: number of tasks of an update.
      batch_size: episodes per task and evaluation.
      episode_length: T.
    """
    policy = navigation_policy()

    def build_objective(goal: tf.Tensor) -> dice_tf.objectives.Objective:
        game = dice_tf.games.PointNavigation(goal, episode_length)
        return objective(
            game,
            [policy],
            discount=NAVIGATION_DISCOUNT,
            batch_size=batch_size,
        )

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


def random_task(seed: int, length: int) -> dice_tf.games.FiniteGame:
    """Draws a process, as a game of one player, in float64.

    As in Duan et al. 2016 (RL^2), transitions are from a flat Dirichlet
    distribution, and the reward of each state and action is from N(1, 1). The
    first state is uniform.
    """
    generator = np.random.default_rng(seed)
    shape = (_NUM_STATES, _NUM_ACTIONS)
    return dice_tf.games.FiniteGame(
        generator.normal(1.0, 1.0, size=(1, *shape)),
        generator.dirichlet(np.ones(_NUM_STATES), size=shape),
        np.full(_NUM_STATES, 1.0 / _NUM_STATES),
        episode_length=length,
        dtype="float64",
    )


def tabular_problem(
    objective: type,
    num_tasks: int,
    batch_size: int,
    episode_length: int,
) -> MetaProblem:
    """Returns the problem of a few processes, measured in closed form.

    The processes are always the same, whatever the seed of a run. The arguments
    are those of `navigation_problem`.
    """
    games = [random_task(i, episode_length) for i in range(num_tasks)]
    policy = dice_tf.policies.tabular(games[0], 0)
    sampled, exact = [], []
    for game in games:
        sampled.append(
            objective(
                game,
                [policy],
                discount=TABULAR_DISCOUNT,
                batch_size=batch_size,
            )
        )
        exact.append(
            dice_tf.objectives.ExactObjective(
                game, [policy], discount=TABULAR_DISCOUNT
            )
        )
    return MetaProblem(
        policy,
        dice_tf.objectives.FiniteTasks(sampled),
        dice_tf.objectives.FiniteTasks(exact),
    )


class Cosines(NamedTuple):
    """Sampled meta-gradients against the exact one.

    Attributes:
      sampled: by estimator `[num_repetitions]`, cosines with the exact one.
      difference_error: largest error of the exact meta-gradients against
        central differences, relative to their norm.
    """

    sampled: dict[str, np.ndarray]
    difference_error: float


def meta_gradient_cosines(
    problems: dict[str, MetaProblem],
    learner: dice_tf.learners.MAML,
    seeds: list[int],
) -> Cosines:
    """Compares at logits from N(0, 1), with the same seeds by estimator."""
    exact = next(iter(problems.values())).measured
    compiled = {
        name: tf.function(
            _flat_gradient(learner, problem.family), autograph=False
        )
        for name, problem in problems.items()
    }
    exact_gradient = tf.function(_flat_gradient(learner, exact))
    value = tf.function(
        lambda theta: learner.adapted_values(exact, [[theta]])[0],
        autograph=False,
    )
    cosines = {name: [] for name in problems}
    errors = []
    for seed in seeds:
        theta = np.random.default_rng([seed, 8]).normal(
            size=(_NUM_STATES, _NUM_ACTIONS)
        )
        key = dice_tf.seeds.make_seed(seed, 9)
        expected = exact_gradient(tf.constant(theta), key).numpy()
        found = central_differences(
            lambda x: float(value(tf.constant(x))), theta
        )
        error = np.linalg.norm(found - expected)
        errors.append(error / np.linalg.norm(expected))
        for name, gradient in compiled.items():
            estimate = gradient(tf.constant(theta), key).numpy()
            cosines[name].append(_cosine(estimate, expected))
    sampled = {name: np.array(found) for name, found in cosines.items()}
    return Cosines(sampled, max(errors))


def central_differences(
    function: Callable[[np.ndarray], float], theta: np.ndarray
) -> np.ndarray:
    """Returns the gradient of a scalar function, in the shape of `theta`."""
    gradient = np.zeros_like(theta)
    for index in np.ndindex(theta.shape):
        step = np.zeros_like(theta)
        step[index] = _DIFFERENCE
        gradient[index] = function(theta + step) - function(theta - step)
    return gradient / (2.0 * _DIFFERENCE)


def _flat_gradient(
    learner: dice_tf.learners.MAML, family: dice_tf.objectives.TaskFamily
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    return lambda theta, seed: learner.gradient(family, [[theta]], 0, seed)[0]


def _cosine(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.sum(x * y) / (np.linalg.norm(x) * np.linalg.norm(y)))
