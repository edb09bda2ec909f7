"""Whether the derivatives of a distribution's samples are the right ones.

Some distributions of TensorFlow Probability, and some that users write, are
declared as reparameterised although the derivatives of their samples are wrong
or end at the first order. TensorFlow does not raise an error for wrong ones.
This module measures the derivatives against those of the probabilities, once
for each kind of distribution.
"""

import concurrent.futures
import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from dice_tf.distributions import tfd
from dice_tf.estimators.example_distributions import (
    BOUNDS,
    Parameter,
    UnmeasurableError,
    build_from,
    kind_of,
    parameters_of,
)

NUM_ORDERS = 3
# Independent estimates, and samples of each.
_NUM_ESTIMATES, _NUM_SAMPLES = 32, 2000
_NUM_POINTS = 4001
_SEED = (17, 23)
# Parameters at which probabilities are compared: Chebyshev's nodes.
_REACH = 0.05
_NODES = np.cos(np.pi * (np.arange(9) + 0.5) / 9)
# A derivative is wrong if it is off by so many standard errors, and by that
# part of the derivative (or of 0.1 if that is more, as the function is about
# 1) of each order.
_STANDARD_ERRORS, _TOLERANCES = 6.0, (0.01, 0.02, 0.05)

# Of TFP, the usual ones whose samples have the right derivatives in every
# parameter. They need no measurement, unlike classes that are made of them.
RIGHT_SAMPLES = frozenset(
    [
        tfd.Cauchy,
        tfd.Deterministic,
        tfd.Exponential,
        tfd.ExpRelaxedOneHotCategorical,
        tfd.HalfCauchy,
        tfd.HalfNormal,
        tfd.Laplace,
        tfd.Logistic,
        tfd.Normal,
        tfd.RelaxedBernoulli,
        tfd.Uniform,
    ]
)


class Verdict(NamedTuple):
    """What was found out about the derivatives of a distribution.

    Attributes:
      samples: what is wrong with the derivatives of its samples, or `None`.
      has_score: whether the derivatives of its log-probability are right:
        they are not if the support depends on a parameter. `judge` looks at
        them only if something is wrong with those of the samples.
    """

    samples: str | None = None
    has_score: bool = True


# Distributions that would take minutes to measure. TFP does not differentiate
# the special function in the log-probability of a `BetaQuotient` by its
# parameters.
_KNOWN = {
    tfd.BetaQuotient: Verdict("there is no derivative of order 2", False),
    tfd.NormalInverseGaussian: Verdict(
        "those of the inverse Gaussian that it is made of are wrong"
    ),
}

_measured: dict[Any, Verdict] = {}


def judge(distribution: tfd.Distribution) -> Verdict:
    """Measures a distribution's derivatives, in all parameters that may vary.

    Distributions that are made of others by deterministic functions are
    judged by their parts. Each part is built from example parameters, which
    depend on its kind only: the values of the real parameters need not be
    known, as while a graph is traced. In each parameter that is a tensor or a
    variable, derivatives of the mean of a smooth function up to order 3 are
    compared: through the samples, of the log-probability, and of the
    probabilities themselves (differences of an integral over a bump, and of
    importance weights over a bell that reaches the ends of the support, if the
    support does not move). Distributions that have no log-probability, or
    cannot be built from examples of their arguments, are taken at their word.
    Distributions made of `RIGHT_SAMPLES` alone are right.

    Args:
      distribution: declared as fully reparameterised.

    Returns:
      A `Verdict`, kept for the next distribution of the same kind.
    """
    leaves = list(_leaves(distribution))
    unknown = [leaf for leaf in leaves if type(leaf) not in RIGHT_SAMPLES]
    problems = [measure(leaf).samples for leaf in unknown]
    problem = next((samples for samples in problems if samples), None)
    if problem is None:
        return Verdict()
    return Verdict(problem, all(measure(leaf).has_score for leaf in leaves))


def _leaves(distribution: tfd.Distribution) -> Iterator[tfd.Distribution]:
    """Yields the distributions that samples are made of."""
    if isinstance(distribution, tfd.JointDistribution):
        parts = tf.nest.flatten(
            distribution.sample_distributions(seed=_SEED)[0]
        )
    elif isinstance(distribution, tfd.Blockwise):
        parts = distribution.distributions
    elif _is_made_of_one(distribution):
        parts = [distribution.distribution]
    else:
        yield distribution
        return
    for part in parts:
        yield from _leaves(part)


def _is_made_of_one(distribution: tfd.Distribution) -> bool:
    """Returns whether samples are a right function of another one's samples.

    A subclass with a method to sample of its own does not count.
    """
    return any(
        isinstance(distribution, kind)
        and all(
            getattr(type(distribution), method) is getattr(kind, method)
            for method in ("sample", "_call_sample_n", "_sample_n")
        )
        for kind in (
            tfd.BatchBroadcast,
            tfd.BatchReshape,
            tfd.Independent,
            tfd.Masked,
            tfd.Sample,
            tfd.TransformedDistribution,
        )
    )


def measure(distribution: tfd.Distribution) -> Verdict:
    """Measures a part of a distribution, once for each kind; see `judge`."""
    try:
        parameters = list(parameters_of(distribution))
    except UnmeasurableError:
        return Verdict()
    kind = type(distribution)
    if kind in _KNOWN and any(parameter.varies for parameter in parameters):
        return _KNOWN[kind]
    worst = Verdict()
    for moving in parameters:
        if not moving.varies:
            continue
        key = (kind_of(distribution), moving.path)
        if key not in _measured:
            # A new thread is outside of every graph and every tape. The values
            # of a graph that is being traced are not known, and
            # `tf.init_scope` stops tapes.
            with concurrent.futures.ThreadPoolExecutor(1) as executor:
                _measured[key] = executor.submit(
                    _measure_one, distribution, parameters, moving
                ).result()
        found = _measured[key]
        worst = Verdict(
            worst.samples or found.samples, worst.has_score and found.has_score
        )
    return worst


def _measure_one(
    distribution: tfd.Distribution,
    parameters: list[Parameter],
    moving: Parameter,
) -> Verdict:
    """Compares derivatives in one parameter at an example of all."""
    unbounded = [x for x in parameters if x.constrain is None]

    def build(
        offset: tf.Tensor, bound: Callable, validate_args: bool = False
    ) -> tfd.Distribution:
        values = {
            parameter.path: parameter.example(
                offset if parameter is moving else tf.zeros_like(offset),
                bound(unbounded.index(parameter))
                if parameter in unbounded
                else 0.0,
            )
            for parameter in parameters
        }
        return build_from(distribution, values, validate_args)

    for bound in BOUNDS:
        try:
            # Raises if the example is out of range.
            build(tf.zeros([1], tf.float64), bound, True).sample(seed=_SEED)
            return _compare(
                functools.partial(build, bound=bound), moving.path[-1]
            )
        except (
            ArithmeticError,
            AttributeError,
            LookupError,
            NotImplementedError,
            TypeError,
            ValueError,
            tf.errors.OpError,
            UnmeasurableError,
        ):
            continue
    return Verdict()


def _compare(
    build: Callable[[tf.Tensor], tfd.Distribution], name: str
) -> Verdict:
    """Compares the derivatives of distributions that an offset moves."""
    zero = tf.zeros([_NUM_ESTIMATES], tf.float64)
    samples = tf.stop_gradient(build(zero).sample(_NUM_SAMPLES, seed=_SEED))

    def score(offset: tf.Tensor) -> tf.Tensor:
        # A tenth of the samples shows whether the mean is 0.
        few = samples[: _NUM_SAMPLES // 10]
        return tf.reduce_mean(build(offset).log_prob(few), axis=0)

    bumps = [_test_function(samples, slope) for slope in (0.7, -0.7)]
    if bumps[0].low == bumps[0].high:
        # A constant has no density to compare with.
        return Verdict()
    # The mean of a score is 0, unless the support moves.
    (mean_score,) = _derivatives(score, zero, 1)
    has_score = is_fixed = _agree(mean_score, 0.0, 1)
    expectations = {}
    if samples.shape.rank == 2:
        # Where one bump is flat, and so misses a kink, the other is not.
        expectations = {bump: _integral(build, bump) for bump in bumps}
    if is_fixed:
        # The bell notices errors at the ends of the support.
        wide = _test_function(samples, 0.5, is_wide=True)
        expectations[wide] = _reweighted(build, samples, wide)
    for function, expectation in expectations.items():
        found = _derivatives(_through_samples(build, function), zero)
        if len(found) < NUM_ORDERS:
            return Verdict(
                f"in `{name}` there is no derivative of order {len(found) + 1}",
                has_score,
            )
        at = zero if function.is_wide else zero[:1]
        exact = _by_differences(expectation, at)
        of_log_probs = _derivatives(expectation, at)
        has_score &= _first_difference(of_log_probs, exact) is None
        order = _first_difference(found, exact)
        if order is not None:
            wrong, right = np.mean(found[order - 1]), np.mean(exact[order - 1])
            return Verdict(
                f"in `{name}` the derivative of order {order} is wrong "
                f"({wrong:.3g} for {right:.3g} in an example)",
                has_score,
            )
    return Verdict(None, has_score)


class _TestFunction(NamedTuple):
    """A smooth function of a weighted sum of the entries of an event.

    Attributes:
      weights: of the sum, one per entry.
      low: of the sum, below which there are few samples.
      high: above which there are few.
      slope: by which the function is not symmetric.
      is_wide: whether the function is a bell that reaches all samples. Else
        it is a bump that is 0 outside of `low` and `high`, and does not depend
        on the ends of a support. Both have finite means under heavy tails.
    """

    weights: tuple[float, ...]
    low: float
    high: float
    slope: float
    is_wide: bool

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Returns values `[n, M]` of samples `[n, M]` and axes of events."""
        z = (self.project(x) - 0.5 * (self.low + self.high)) / (
            0.5 * (self.high - self.low)
        )
        if self.is_wide:
            return tf.exp(-0.2 * z**2) * (1.0 + self.slope * z)
        inside = tf.abs(z) < 0.999
        z = tf.where(inside, z, tf.zeros_like(z))
        bump = tf.exp(1.0 - 1.0 / (1.0 - z**2)) * (1.0 + self.slope * z)
        return tf.where(inside, bump, tf.zeros_like(z))

    def project(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the weighted sums `[n, M]`."""
        entries = tf.reshape(
            x, tf.concat([tf.shape(x)[:2], [len(self.weights)]], axis=0)
        )
        return tf.linalg.matvec(entries, tf.constant(self.weights, x.dtype))


def _test_function(
    samples: tf.Tensor, slope: float, is_wide: bool = False
) -> _TestFunction:
    weights = tuple(np.cos(range(samples.shape[2:].num_elements())))
    function = _TestFunction(weights, 0.0, 0.0, slope, is_wide)
    low, high = np.quantile(function.project(samples), [0.1, 0.9])
    if not np.isfinite(high - low):
        raise UnmeasurableError
    return function._replace(low=float(low), high=float(high))


def _through_samples(
    build: Callable[[tf.Tensor], tfd.Distribution], function: _TestFunction
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the mean of a function of samples, by offset, `[M]`."""

    def mean(offset: tf.Tensor) -> tf.Tensor:
        drawn = build(offset).sample(_NUM_SAMPLES, seed=_SEED)
        return tf.reduce_mean(function(drawn), axis=0)

    return mean


def _integral(
    build: Callable[[tf.Tensor], tfd.Distribution], function: _TestFunction
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the expectation of a bump over numbers, by offset, `[1]`."""
    points = np.linspace(function.low, function.high, _NUM_POINTS)
    points = tf.constant(points[:, np.newaxis])
    shares = function(points) * (points[1] - points[0])

    def expectation(offset: tf.Tensor) -> tf.Tensor:
        probabilities = tf.exp(build(offset).log_prob(points))
        return tf.reduce_sum(shares * probabilities, axis=0)

    return expectation


def _reweighted(
    build: Callable[[tf.Tensor], tfd.Distribution],
    samples: tf.Tensor,
    function: _TestFunction,
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns estimates `[M]` from samples at 0, weighted by importance."""
    values = function(samples)
    log_probs = build(tf.zeros_like(values[0])).log_prob(samples)

    def expectation(offset: tf.Tensor) -> tf.Tensor:
        ratios = tf.exp(build(offset).log_prob(samples) - log_probs)
        return tf.reduce_mean(values * ratios, axis=0)

    return expectation


def _by_differences(
    function: Callable[[tf.Tensor], tf.Tensor], at: tf.Tensor
) -> list[np.ndarray]:
    """Returns derivatives, elementwise, even where a density has kinks."""
    values = [function(at + _REACH * node).numpy() for node in _NODES]
    series = np.polynomial.chebyshev.chebfit(
        _NODES, np.stack(values), len(_NODES) - 1
    )
    found: list[Any] = [
        np.polynomial.chebyshev.chebval(
            0.0, np.polynomial.chebyshev.chebder(series, order)
        )
        / _REACH**order
        for order in range(1, NUM_ORDERS + 1)
    ]
    if not np.all(np.isfinite(found)):
        raise UnmeasurableError
    return found


def _derivatives(
    function: Callable[[tf.Tensor], tf.Tensor],
    at: tf.Tensor,
    num_orders: int = NUM_ORDERS,
) -> list[np.ndarray]:
    """Returns derivatives, elementwise, of all orders that there are."""
    found = []
    for order in range(1, num_orders + 1):
        try:
            found.append(_derivative(function, order)(at).numpy())
        except (LookupError, NotImplementedError):
            break
    return found


def _derivative(
    function: Callable[[tf.Tensor], tf.Tensor], order: int
) -> Callable[[tf.Tensor], tf.Tensor]:
    if order == 0:
        return function
    below = _derivative(function, order - 1)

    def derivative(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = below(x)
        return tape.gradient(
            y, x, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )

    return derivative


def _first_difference(
    found: list[np.ndarray], exact: list[np.ndarray]
) -> int | None:
    """Returns the lowest order that is missing or wrong."""
    for order, right in enumerate(exact, 1):
        if order > len(found) or not _agree(found[order - 1], right, order):
            return order
    return None


def _agree(one: np.ndarray, other: np.ndarray | float, order: int) -> bool:
    """Returns whether independent estimates are the same but for noise."""
    off = np.asarray(one - other)
    noise = 0.0
    if off.size > 1:
        noise = np.std(off, ddof=1) / np.sqrt(off.size)
    size = max(0.1, np.abs(np.mean(other)))
    allowed = _STANDARD_ERRORS * noise + _TOLERANCES[order - 1] * size
    return bool(np.abs(np.mean(off)) <= allowed)
