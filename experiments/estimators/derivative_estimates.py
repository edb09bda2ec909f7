"""Derivatives of orders 1, 2 and 3, sampled and exact."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

import dice_tf

from .tabular_problem import Episodes, TabularProblem

# From log-probabilities, episodes and discount to the objective per episode.
Estimator = Callable[[tf.Tensor, Episodes, float], tf.Tensor]


def dice(baseline: str | None = None) -> Estimator:
    """DiCE without a baseline, or with leave-one-out centring."""
    return lambda log_probs, episodes, discount: dice_tf.dice_objective(
        log_probs, episodes.rewards, discount=discount, baseline=baseline
    )


def dice_with_values() -> Estimator:
    """DiCE with the state values as a baseline valid at every order."""
    return lambda log_probs, episodes, discount: dice_tf.dice_objective(
        log_probs,
        episodes.rewards,
        discount=discount,
        baseline=episodes.values,
    )


def loaded_dice(lambda_: float, tau: float) -> Estimator:
    """Loaded DiCE with the state values."""
    return lambda log_probs, episodes, discount: (
        dice_tf.estimators.loaded_dice_objective(
            log_probs,
            episodes.rewards,
            discount=discount,
            baseline=episodes.values,
            lambda_=lambda_,
            tau=tau,
        )
    )


def nested_gradients(
    value: Callable[[tf.Tensor], tf.Tensor],
    theta: tf.Tensor,
    directions: Sequence[tf.Tensor],
) -> list[tf.Tensor]:
    """Returns the gradient, and those of its derivatives along directions.

    `g_1 = grad f`, `g_{k+1} = grad (g_k . d_k)`: with m directions the
    gradient, Hessian-vector product, and so on to order m + 1.

    Args:
      value: function from `[n]` to a scalar.
      theta: `[n]`.
      directions: m tensors `[n]`, held constant.

    Returns:
      m + 1 tensors `[n]`.
    """
    if not directions:
        with tf.GradientTape() as tape:
            tape.watch(theta)
            result = value(theta)
        return [tape.gradient(result, theta)]
    with tf.GradientTape() as tape:
        tape.watch(theta)
        gradients = nested_gradients(value, theta, directions[:-1])
        along = tf.tensordot(gradients[-1], directions[-1], 1)
    return [*gradients, tape.gradient(along, theta)]


class DerivativeEstimates:
    """The derivatives of one estimator.

    Args:
      problem: for the discount and the tables of the policies. The compiled
        functions serve every problem of the same shapes.
      estimator: the sampled objective.
      jit_compile: whether to compile with XLA.
    """

    def __init__(
        self,
        problem: TabularProblem,
        estimator: Estimator,
        jit_compile: bool = True,
    ):
        self._problem = problem
        self._estimator = estimator
        self._jit_compile = jit_compile
        # One function per shape: a single one would warn of many traces.
        self._compiled = {}

    def along(
        self, theta: np.ndarray, episodes: Episodes, directions: np.ndarray
    ) -> list[np.ndarray]:
        """Returns `nested_gradients` for directions `[m, n]`."""
        key = (*episodes.entries.shape, len(directions))
        if key not in self._compiled:
            self._compiled[key] = tf.function(
                self._compute, jit_compile=self._jit_compile, autograph=False
            )
        results = self._compiled[key](
            tf.constant(theta, tf.float32),
            episodes,
            [tf.constant(direction, tf.float32) for direction in directions],
        )
        return [result.numpy().astype(np.float64) for result in results]

    def gradient(self, theta: np.ndarray, episodes: Episodes) -> np.ndarray:
        """Returns the estimated gradient, `[n]`."""
        return self.along(theta, episodes, np.zeros([0, len(theta)]))[0]

    def hessian(self, theta: np.ndarray, episodes: Episodes) -> np.ndarray:
        """Returns the estimated Hessian, `[n, n]`, row by row."""
        rows = np.eye(len(theta))[:, np.newaxis]
        return np.stack([self.along(theta, episodes, row)[1] for row in rows])

    def _compute(
        self,
        theta: tf.Tensor,
        episodes: Episodes,
        directions: list[tf.Tensor],
    ) -> list[tf.Tensor]:
        size, length, batch_size = episodes.entries.shape
        entries = tf.reshape(episodes.entries, [size, -1])

        def value(theta: tf.Tensor) -> tf.Tensor:
            table = self._problem.log_prob_table(theta)[tf.newaxis]
            log_probs = tf.reshape(table @ entries, [length, batch_size])
            discount = self._problem.discount
            return tf.reduce_mean(
                self._estimator(log_probs, episodes, discount)
            )

        return nested_gradients(value, theta, directions)


class ExactDerivatives:
    """The derivatives of player 0's exact value, float64."""

    def __init__(self, problem: TabularProblem):
        self._compute = tf.function(
            lambda theta, directions: nested_gradients(
                problem.value, theta, directions
            ),
            autograph=False,
        )

    def along(
        self, theta: np.ndarray, directions: np.ndarray
    ) -> list[np.ndarray]:
        """Returns `nested_gradients` for directions `[m, n]`."""
        results = self._compute(
            tf.constant(theta, tf.float64),
            [tf.constant(direction, tf.float64) for direction in directions],
        )
        return [result.numpy() for result in results]

    def gradient(self, theta: np.ndarray) -> np.ndarray:
        """Returns the gradient, `[n]`."""
        return self.along(theta, np.zeros([0, len(theta)]))[0]

    def hessian(self, theta: np.ndarray) -> np.ndarray:
        """Returns the Hessian, `[n, n]`."""
        rows = np.eye(len(theta))[:, np.newaxis]
        return np.stack([self.along(theta, row)[1] for row in rows])


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Returns Pearson's correlation over all entries; NaN for constants."""
    with np.errstate(invalid="ignore"):
        return float(np.corrcoef(np.ravel(x), np.ravel(y))[0, 1])
