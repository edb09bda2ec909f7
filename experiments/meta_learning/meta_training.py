"""Meta-training: one policy that few steps of learning adapt to a task."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

import dice_tf

from ..command_line.commands import user_errors
from ..command_line.stopping import (
    deferred_interrupts,
    stop_requested,
)
from ..results.partial_results import PartialResults
from .maml_settings import MAMLSettings

# Iterations count up from 0, so that these seeds are for tests alone.
_TEST = 2**30
# Evaluations of the final parameters that are averaged.
_NUM_TESTS = 5
_OPTIMIZER = dice_tf.inner_optimizers.ClipByGlobalNorm(
    10.0, dice_tf.inner_optimizers.Adam()
)


class MetaProblem(NamedTuple):
    """What is to be meta-learned.

    Attributes:
      policy: the `keras.Model` that all tasks share.
      family: the tasks, as the learner meets them.
      measured: the same tasks, as they are reported: in closed form if there
        is one.
    """

    policy: keras.Model
    family: dice_tf.objectives.TaskFamily
    measured: dice_tf.objectives.TaskFamily


class MetaTraining(NamedTuple):
    """A meta-training that has ended.

    Attributes:
      curves: `[num_iterations, num_runs, 2]`, reported returns before and
        after adaptation, with the parameters before each update.
      adapted: `[num_runs, K + 1]`, reported returns of the final parameters
        after 0, ..., K steps, on tasks and play that training did not meet
        (if they are sampled).
      seconds: wall time, compilation included.
    """

    curves: np.ndarray
    adapted: np.ndarray
    seconds: float


def meta_train(
    problem: MetaProblem,
    learner: dice_tf.learners.MAML,
    settings: MAMLSettings,
    kept: PartialResults,
) -> MetaTraining:
    """Ascends the meta-gradient with Adam, from fresh parameters, by run.

    Runs that are kept are not trained again, and a run that was interrupted
    continues bit by bit. Prints a line for each run.

    Args:
      problem: what is to be learned.
      learner: gives the direction.
      settings: seeds, iterations and the rate of Adam.
      kept: keeps the finished runs, and the state of the last one.
    """
    update = _update(problem, learner, settings)
    steps = range(learner.num_steps + 2)
    test = tf.function(_returns(problem, learner, steps), autograph=False)
    with user_errors():
        found = kept.load()
    curves = list(found.get("curves", ()))
    adapted = list(found.get("adapted", ()))
    for number, returns in enumerate(adapted, 1):
        _show(number, returns)
    seeds = range(settings.seed, settings.seed + settings.num_seeds)
    for seed in seeds[len(adapted) :]:
        initial = dice_tf.policies.initial_params(problem.policy, [seed, 0])
        params = [tf.constant(value) for value in initial]
        run = _Run([], params, _OPTIMIZER.init(params)).continued(found)
        # Only this run continues what was kept in the middle of a run.
        found = {}
        done = {"curves": np.array(curves), "adapted": np.array(adapted)}
        with deferred_interrupts():
            for iteration in range(len(run.curve), settings.num_iterations):
                key = dice_tf.seeds.make_seed(seed, iteration)
                params, slots, returns = update(run.params, run.slots, key)
                run = _Run([*run.curve, returns.numpy()], params, slots)
                if kept.is_due or stop_requested():
                    kept.save(done | run.arrays())
                if stop_requested():
                    raise KeyboardInterrupt
        tests = [
            test(
                run.params, dice_tf.seeds.make_seed(seed, _TEST + number)
            ).numpy()
            for number in range(_NUM_TESTS)
        ]
        curves.append(np.array(run.curve))
        adapted.append(np.mean(tests, axis=0))
        kept.save({"curves": np.array(curves), "adapted": np.array(adapted)})
        _show(len(adapted), adapted[-1])
    return MetaTraining(
        np.stack(curves, axis=1), np.array(adapted), kept.seconds
    )


def _show(number: int, returns: np.ndarray) -> None:
    """Prints one line for a run."""
    text = ", ".join(f"{value:.4f}" for value in returns)
    print(f"run {number}: returns after 0, 1, ... steps: {text}", flush=True)


class _Run(NamedTuple):
    """How far a run has come.

    Attributes:
      curve: reported returns `[2]` of each iteration so far.
      params: list of tensors.
      slots: the state of the optimiser.
    """

    curve: list[np.ndarray]
    params: list[tf.Tensor]
    slots: Any

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns all of it by names, for a file."""
        memory = tf.nest.flatten([self.params, self.slots])
        return {"curve": np.array(self.curve)} | {
            f"memory_{i}": value.numpy() for i, value in enumerate(memory)
        }

    def continued(self, found: Mapping[str, np.ndarray]) -> "_Run":
        """Returns the run of a file, or this one if there is none in it."""
        if "curve" not in found:
            return self
        memory = [self.params, self.slots]
        values = [
            tf.constant(found[f"memory_{i}"])
            for i in range(len(tf.nest.flatten(memory)))
        ]
        params, slots = tf.nest.pack_sequence_as(memory, values)
        return _Run(list(found["curve"]), params, slots)


def _update(
    problem: MetaProblem,
    learner: dice_tf.learners.MAML,
    settings: MAMLSettings,
) -> Callable[[list, Any, tf.Tensor], tuple[list, Any, tf.Tensor]]:
    """Returns a compiled step, which also returns the returns before it."""

    @tf.function(jit_compile=settings.jit_compile, autograph=False)
    def update(params: list, slots: Any, seed: tf.Tensor) -> tuple:
        direction = learner.gradient(problem.family, [params], 0, seed)
        returns = _returns(problem, learner, (0, learner.num_steps))
        moved = _OPTIMIZER.step(
            params, direction, slots, settings.meta_learning_rate
        )
        return moved.params, moved.slots, returns(params, seed)

    return update


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
                adapted.adapted_values(problem.measured, [params], 0, seed)[0]
                for adapted in learners
            ]
        )

    return returns
