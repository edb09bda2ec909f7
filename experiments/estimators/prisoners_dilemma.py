"""Derivatives of the prisoner's dilemma value: Figures 2 and 3 of DiCE.

The value is player 0's, not normalised, at discount 0.96; the derivatives are
in both players' logits, drawn from N(0, 1).
"""

from typing import NamedTuple

import numpy as np

import dice_tf

from ..results.check_list import (
    Check,
    above,
    agrees_with_at_least,
    at_least,
    in_standard_errors,
)
from .derivative_estimates import (
    DerivativeEstimates,
    ExactDerivatives,
    correlation,
    dice,
    dice_with_values,
)
from .tabular_problem import TabularProblem
from .verification_sizes import Sizes

DISCOUNT = 0.96
# Added to the exact value, which is about -40.
BASELINE_ERRORS = (0, 5, 10, 20)
NO_BASELINE = "no baseline"
LEAVE_ONE_OUT = "leave-one-out"
_LARGEST_SEED = 2**31 - 1
# By estimator, the smallest mean correlation of gradient and of Hessian.
_FIGURE_2_BOUNDS = {NO_BASELINE: (0.999, 0.97), LEAVE_ONE_OUT: (0.9999, 0.998)}
_EXACT_BASELINE_BOUND = 0.985


class Comparison(NamedTuple):
    """One seed of Figure 2.

    Attributes:
      gradient: exact, `[n]`.
      hessian: exact, `[n, n]`.
      estimates: by estimator, the same two, estimated.
    """

    gradient: np.ndarray
    hessian: np.ndarray
    estimates: dict[str, tuple[np.ndarray, np.ndarray]]


def prisoners_dilemma(length: int) -> TabularProblem:
    """Returns the game of T rounds."""
    return TabularProblem(
        lambda dtype: dice_tf.games.iterated_prisoners_dilemma(
            length, dtype=dtype
        ),
        DISCOUNT,
    )


def true_and_estimated(sizes: Sizes, seed: int) -> list[Comparison]:
    """Estimates gradient and Hessian from many episodes (Figure 2)."""
    problem = prisoners_dilemma(sizes.dilemma_length)
    true = ExactDerivatives(problem)
    estimators = {
        name: DerivativeEstimates(problem, dice(baseline), sizes.jit_compile)
        for name, baseline in (
            (NO_BASELINE, None),
            (LEAVE_ONE_OUT, "leave_one_out"),
        )
    }
    comparisons = []
    for number in range(sizes.num_seeds):
        generator = np.random.default_rng([seed, 2, number])
        theta = generator.normal(size=problem.num_logits)
        sums = {name: [0.0, 0.0] for name in estimators}
        for _ in range(sizes.num_chunks):
            key = int(generator.integers(_LARGEST_SEED))
            episodes = problem.sample(theta, sizes.chunk_size, key)
            for name, estimates in estimators.items():
                sums[name][0] += estimates.gradient(theta, episodes)
                sums[name][1] += estimates.hessian(theta, episodes)
        comparisons.append(
            Comparison(
                true.gradient(theta),
                true.hessian(theta),
                {
                    name: tuple(total / sizes.num_chunks for total in totals)
                    for name, totals in sums.items()
                },
            )
        )
    return comparisons


def check_true_and_estimated(comparisons: list[Comparison]) -> list[Check]:
    """Requires the correlations of the paper, and better ones with centring.

    The paper's 0.97 for the Hessian without baseline is what can be expected
    at its batch size: 0.965 on average over draws of theta, with a standard
    deviation of 0.017 between them (a NumPy simulation, 34 draws). This one
    check therefore allows for the error of a mean of few draws.
    """
    checks = []
    for name, bounds in _FIGURE_2_BOUNDS.items():
        for order, bound in enumerate(bounds):
            found = [
                correlation(seed.estimates[name][order], seed[order])
                for seed in comparisons
            ]
            what = f"{('gradient', 'Hessian')[order]}, {name}: correlation"
            if (name, order) == (NO_BASELINE, 1):
                checks.append(agrees_with_at_least(what, found, bound))
            else:
                checks.append(at_least(what, float(np.mean(found)), bound))
    return checks


def baseline_errors(sizes: Sizes, seed: int) -> dict[str, np.ndarray]:
    """Correlates gradients for baselines off by a constant (Figure 3 a).

    All baselines see the same episodes, so that their differences are paired.

    Returns:
      By baseline, from exact to none, `[num_thetas * num_repetitions]`.
    """
    problem = prisoners_dilemma(sizes.dilemma_length)
    true = ExactDerivatives(problem)
    plain = DerivativeEstimates(problem, dice(), sizes.jit_compile)
    based = DerivativeEstimates(problem, dice_with_values(), sizes.jit_compile)
    results = {f"off by {error}": [] for error in BASELINE_ERRORS}
    results[NO_BASELINE] = []
    for number in range(sizes.num_thetas):
        generator = np.random.default_rng([seed, 3, number])
        theta = generator.normal(size=problem.num_logits)
        exact = true.gradient(theta)
        for _ in range(sizes.baseline_repetitions):
            key = int(generator.integers(_LARGEST_SEED))
            episodes = problem.sample(theta, sizes.baseline_batch_size, key)
            for error in BASELINE_ERRORS:
                shifted = episodes._replace(values=episodes.values + error)
                results[f"off by {error}"].append(
                    correlation(based.gradient(theta, shifted), exact)
                )
            results[NO_BASELINE].append(
                correlation(plain.gradient(theta, episodes), exact)
            )
    return {name: np.array(found) for name, found in results.items()}


def check_baseline_errors(results: dict[str, np.ndarray]) -> list[Check]:
    """Requires a good exact baseline, and a drop with each worse one.

    Drops are in standard errors of the mean of the paired differences, over
    all draws of theta and their repetitions.
    """
    names = list(results)
    checks = [
        at_least(
            f"gradient, baseline {names[0]}: correlation",
            float(results[names[0]].mean()),
            _EXACT_BASELINE_BOUND,
        )
    ]
    for better, worse in zip(names[:-1], names[1:], strict=True):
        drop = in_standard_errors(results[better] - results[worse])
        name = f"drop from {better} to {worse}, in standard errors"
        checks.append(above(name, drop, 2.0))
    return checks


def batch_sizes(sizes: Sizes, seed: int) -> dict[str, np.ndarray]:
    """Correlates derivatives for several batch sizes (Figure 3 b).

    Returns:
      By curve, `[num_batch_sizes, num_thetas * num_repetitions]`. The Hessian
      has the baseline that is valid at every order.
    """
    problem = prisoners_dilemma(sizes.dilemma_length)
    true = ExactDerivatives(problem)
    plain = DerivativeEstimates(problem, dice(), sizes.jit_compile)
    based = DerivativeEstimates(problem, dice_with_values(), sizes.jit_compile)
    rows = []
    for number in range(sizes.num_thetas):
        generator = np.random.default_rng([seed, 4, number])
        theta = generator.normal(size=problem.num_logits)
        gradient = true.gradient(theta)
        hessian = true.hessian(theta)
        for batch_size in sizes.dilemma_batch_sizes:
            for _ in range(sizes.batch_repetitions):
                key = int(generator.integers(_LARGEST_SEED))
                episodes = problem.sample(theta, batch_size, key)
                rows.append(
                    (
                        correlation(based.gradient(theta, episodes), gradient),
                        correlation(plain.gradient(theta, episodes), gradient),
                        correlation(based.hessian(theta, episodes), hessian),
                    )
                )
    num_batches = len(sizes.dilemma_batch_sizes)
    table = np.reshape(rows, (sizes.num_thetas, num_batches, -1, 3))
    table = table.transpose(3, 1, 0, 2).reshape(3, num_batches, -1)
    names = ("gradient, exact baseline", "gradient, no baseline")
    return dict(zip((*names, "Hessian, exact baseline"), table, strict=True))
