"""Random tabular decision processes as tasks, with exact meta-gradients."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

import dice_tf
from experiments.meta_learning.meta_training import MetaProblem

DISCOUNT = 0.95
_NUM_STATES, _NUM_ACTIONS = 5, 3
_DIFFERENCE = 1e-5


def random_task(seed: int, length: int) -> dice_tf.games.FiniteGame:
    """Draws a process as a game of one player, in float64.

    Transitions are from a flat Dirichlet distribution and rewards, of each
    state and action, from N(1, 1), as in Duan et al. 2016 (RL^2); the first
    state is uniform.
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

    The processes are always the same, whatever the seed of a run.

    Args:
      objective: class of the sampled objective.
      num_tasks: number of processes.
      batch_size: episodes per task and evaluation.
      episode_length: T.
    """
    games = [random_task(i, episode_length) for i in range(num_tasks)]
    policy = dice_tf.policies.tabular(games[0], 0)
    sampled = [
        objective(game, [policy], DISCOUNT, batch_size) for game in games
    ]
    exact = [
        dice_tf.objectives.ExactObjective(game, [policy], DISCOUNT)
        for game in games
    ]
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
    """Compares at logits from N(0, 1), with the same seeds by estimator.

    Args:
      problems: by estimator, the same tasks.
      learner: gives the meta-gradients.
      seeds: one per repetition, of logits and play.
    """
    exact = next(iter(problems.values())).measured
    compiled = {
        name: tf.function(_flat_gradient(learner, own.family), autograph=False)
        for name, own in problems.items()
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
        key = tf.constant([seed, 9])
        expected = exact_gradient(tf.constant(theta), key).numpy()
        found = central_differences(
            lambda x: float(value(tf.constant(x))), theta
        )
        errors.append(np.linalg.norm(found - expected))
        errors[-1] /= np.linalg.norm(expected)
        for name, gradient in compiled.items():
            estimate = gradient(tf.constant(theta), key).numpy()
            cosines[name].append(_cosine(estimate, expected))
    return Cosines(
        {name: np.array(own) for name, own in cosines.items()}, max(errors)
    )


def central_differences(function, theta: np.ndarray) -> np.ndarray:
    """Returns the gradient of a scalar function, in the shape of `theta`."""
    gradient = np.zeros_like(theta)
    for index in np.ndindex(theta.shape):
        step = np.zeros_like(theta)
        step[index] = _DIFFERENCE
        gradient[index] = function(theta + step) - function(theta - step)
    return gradient / (2.0 * _DIFFERENCE)


def _flat_gradient(
    learner: dice_tf.learners.MAML, family: dice_tf.objectives.TaskFamily
):
    return lambda theta, seed: learner.gradient(family, [[theta]], 0, seed)[0]


def _cosine(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.sum(x * y) / (np.linalg.norm(x) * np.linalg.norm(y)))
