"""Meta-training: one policy from which few steps of learning lead far."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

import dice_tf

# Iterations count up from 0, so that no training meets these numbers.
_TEST = 2**30
_MAX_GRADIENT_NORM = 10.0


class MetaProblem(NamedTuple):
    """What is to be meta-learned.

    Attributes:
      policy: the `keras.Model` that all tasks share.
      family: the tasks, as the learner meets them.
      measured: the same tasks, as they are reported: in closed form where
        there is one.
    """

    policy: object
    family: dice_tf.objectives.TaskFamily
    measured: dice_tf.objectives.TaskFamily


class MetaTraining(NamedTuple):
    """What a meta-training leaves behind.

    Attributes:
      curves: `[num_iterations, num_runs, 2]`, reported returns before and
        after adaptation, with the parameters before each update.
      adapted: `[num_runs, K + 1]`, reported returns of the final parameters
        after 0, ..., K steps, on tasks and play that training did not meet
        (where they are sampled).
      seconds: wall time, compilation included.
    """

    curves: np.ndarray
    adapted: np.ndarray
    seconds: float


def meta_train(
    problem: MetaProblem,
    learner: dice_tf.learners.MAML,
    meta_learning_rate: float,
    num_iterations: int,
    seeds: Sequence[int],
    num_tests: int,
    jit_compile: bool,
    show: Callable[[int, np.ndarray], None],
) -> MetaTraining:
    """Ascends the meta-gradient with Adam, from fresh parameters, by run.

    Args:
      problem: what is to be learned.
      learner: gives the direction.
      meta_learning_rate: of Adam.
      num_iterations: number of updates.
      seeds: one per run.
      num_tests: evaluations of the final parameters that are averaged.
      jit_compile: whether to compile the update with XLA.
      show: called with the number of runs done, and returns after 0, ... K
        steps of the last.
    """
    started = time.perf_counter()
    optimizer = dice_tf.inner_optimizers.ClipByGlobalNorm(
        _MAX_GRADIENT_NORM, dice_tf.inner_optimizers.Adam()
    )

    @tf.function(jit_compile=jit_compile, autograph=False)
    def update(params: list, slots: object, seed: tf.Tensor) -> tuple:
        direction = learner.gradient(problem.family, [params], 0, seed)
        returns = _returns(problem, learner, (0, learner.num_steps))
        moved = optimizer.step(params, direction, slots, meta_learning_rate)
        return moved.params, moved.slots, returns(params, seed)

    steps = range(learner.num_steps + 2)
    test = tf.function(_returns(problem, learner, steps), autograph=False)
    curves, adapted = [], []
    for seed in seeds:
        initial = dice_tf.policies.initial_params(problem.policy, [seed, 0])
        params = [tf.constant(value) for value in initial]
        slots = optimizer.init(params)
        curve = []
        for iteration in range(num_iterations):
            key = tf.constant([seed, iteration])
            params, slots, returns = update(params, slots, key)
            curve.append(returns)
        curves.append(np.array(curve))
        found = [
            test(params, tf.constant([seed, _TEST + number])).numpy()
            for number in range(num_tests)
        ]
        adapted.append(np.mean(found, axis=0))
        show(len(adapted), adapted[-1])
    return MetaTraining(
        np.stack(curves, axis=1),
        np.array(adapted),
        time.perf_counter() - started,
    )


def _returns(
    problem: MetaProblem, learner: dice_tf.learners.MAML, steps: Sequence[int]
) -> Callable[[list, tf.Tensor], tf.Tensor]:
    """Returns a function to the reported returns after so many steps."""
    learners = [
        dice_tf.learners.MAML(
            number, learner.inner_learning_rate, learner.inner_optimizer
        )
        for number in steps
    ]

    def returns(params: list, seed: tf.Tensor) -> tf.Tensor:
        return problem.measured.return_scale * tf.stack(
            [
                own.adapted_values(problem.measured, [params], 0, seed)[0]
                for own in learners
            ]
        )

    return returns
