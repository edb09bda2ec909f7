"""Distributions whose samples have wrong derivatives, and those that do not."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from dice_tf import StochasticComputationGraph
from dice_tf.estimators.reparameterization import RIGHT_SAMPLES, judge, measure
from tests.estimators.test_stochastic_graph import (
    NoLogProb,
    constant,
    derivatives,
)

pytestmark = pytest.mark.own_process

tfd, tfb = tfp.distributions, tfp.bijectors


def number(x):
    return tf.constant(x, tf.float64)


def cost(x):
    return x**2 * tf.cos(x)


# --- Wrong ones of TFP, by quadrature ----------------------------------------


def normal(x, loc, scale):
    return np.exp(-0.5 * ((x - loc) / scale) ** 2) / scale


# By name: of a parameter the distribution, of a grid and the parameter the
# density (up to a factor), the grid, and the value of the parameter.
WRONG = {
    "TruncatedNormal": (
        lambda loc: tfd.TruncatedNormal(loc, 1.2, 0.0, 2.0),
        lambda x, loc: normal(x, loc, 1.2),
        np.linspace(0.0, 2.0, 20_001),
        0.3,
    ),
    "InverseGaussian": (
        lambda loc: tfd.InverseGaussian(loc, 4.0),
        lambda x, loc: x**-1.5 * np.exp(-2 * (x - loc) ** 2 / (loc**2 * x)),
        np.linspace(1e-3, 60.0, 200_001),
        1.3,
    ),
    "VonMises": (
        lambda concentration: tfd.VonMises(0.3, concentration),
        lambda x, concentration: np.exp(concentration * np.cos(x - 0.3)),
        np.linspace(-np.pi, np.pi, 20_001),
        1.3,
    ),
    "Gamma": (
        lambda concentration: tfd.Gamma(concentration, 1.3),
        lambda x, concentration: x ** (concentration - 1) * np.exp(-1.3 * x),
        np.linspace(1e-9, 40.0, 200_001),
        2.5,
    ),
}
MESSAGES = {
    "TruncatedNormal": "in `loc` the derivative of order 1 is wrong",
    "InverseGaussian": "in `loc` the derivative of order 1 is wrong",
    "VonMises": "in `concentration` the derivative of order 2 is wrong",
    "Gamma": "in `concentration` there is no derivative of order 2",
}


def weights_of(density, points, theta):
    """Probabilities of the points, by the trapezoidal rule."""
    weights = density(points, theta)
    weights[[0, -1]] /= 2
    return weights / np.sum(weights)


def exact_derivatives(density, points, theta, step=2e-3):
    """Of the expected cost, by differences of fourth order."""

    def value(shift):
        weights = weights_of(density, points, theta + shift * step)
        return np.sum(weights * points**2 * np.cos(points))

    far, near = [value(k) for k in (-2, 2)], [value(k) for k in (-1, 1)]
    first = (far[0] - 8 * near[0] + 8 * near[1] - far[1]) / (12 * step)
    second = (16 * sum(near) - sum(far) - 30 * value(0)) / (12 * step**2)
    return first, second


# Order, exact derivative, and what TensorFlow Probability 0.25 gives.
KNOWN = {
    "TruncatedNormal": (1, -0.047, -0.374),
    "InverseGaussian": (1, -2.170, 0.08),
    "VonMises": (2, -0.791, -0.93),
}


@pytest.mark.parametrize("name", KNOWN)
def test_derivatives_through_samples_are_wrong(name):
    """Else there is no need to measure them."""
    make, density, points, theta = WRONG[name]
    order, exact, wrong = KNOWN[name]

    def mean_cost(t):
        x = make(t).sample(100_000, seed=[0, 1])
        return tf.reduce_mean(tf.square(x) * tf.cos(x))

    found = derivatives(mean_cost, number(theta), order)[order]
    np.testing.assert_allclose(found, wrong, atol=0.02)
    expected = exact_derivatives(density, points, theta)[order - 1]
    np.testing.assert_allclose(expected, exact, atol=5e-4)


def graph_of(name, theta, **options):
    return StochasticComputationGraph(
        dict(x=WRONG[name][0](theta)), dict(cost=cost), **options
    )


@pytest.mark.parametrize("name", WRONG)
def test_a_graph_has_the_derivatives_of_a_quadrature(name):
    """The objective at all points, weighted by their probabilities."""
    _, density, points, theta = WRONG[name]
    weights = weights_of(density, points, theta)

    def expected_objective(t):
        objective = graph_of(name, t).objective(dict(x=tf.constant(points)))
        return tf.reduce_sum(weights * objective)

    with pytest.warns(UserWarning, match=MESSAGES[name]):
        found = derivatives(expected_objective, number(theta), 2)[1:]
    expected = exact_derivatives(density, points, theta)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", WRONG)
def test_sampled_derivatives_are_those_of_a_quadrature(name):
    _, density, points, theta = WRONG[name]
    num_samples = 20_000

    def objective(t):
        graph = graph_of(name, t)
        return graph.objective(graph.sample((), [0, 1]))

    with pytest.warns(UserWarning, match=MESSAGES[name]):
        found = derivatives(objective, tf.fill([num_samples], number(theta)), 2)
    expected = exact_derivatives(density, points, theta)
    for samples, value in zip(found[1:], expected, strict=True):
        error = np.std(samples) / num_samples**0.5
        assert abs(np.mean(samples) - value) < 4.5 * error


@pytest.mark.parametrize("name", WRONG)
def test_they_are_refused_where_they_are_asked_for(name):
    theta = number(WRONG[name][-1])
    message = (
        rf"`nodes\['x'\]`, a {name}, do not .*{MESSAGES[name]}.* Leave 'x' out "
        "of `reparameterized`"
    )
    with pytest.raises(ValueError, match=message):
        graph_of(name, theta, reparameterized=["x"])
    # Without a word, they have the score function if that is asked for.
    graph_of(name, theta, reparameterized=[])


@pytest.mark.parametrize("jit_compile", [False, True])
def test_it_is_the_same_where_no_value_is_known(jit_compile):
    """In a graph that is traced, within the tape of the user."""
    points = constant(-0.4, 0.3, 1.7)

    def gradient(theta):
        with tf.GradientTape() as tape:
            tape.watch(theta)
            graph = graph_of("TruncatedNormal", theta)
            objective = tf.reduce_sum(graph.objective(dict(x=points)))
        return tape.gradient(objective, theta)

    with pytest.warns(UserWarning, match=MESSAGES["TruncatedNormal"]):
        expected = gradient(number(0.5))
    assert abs(expected) > 0.01
    with pytest.warns(UserWarning, match=MESSAGES["TruncatedNormal"]):
        found = tf.function(gradient, jit_compile=jit_compile)(number(0.5))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_node_with_parents_is_looked_at_when_it_is_sampled():
    graph = StochasticComputationGraph(
        dict(
            a=tfd.Normal(number(0.0), 1.0),
            x=lambda a: tfd.VonMises(a, tf.exp(a)),
        ),
        dict(cost=cost),
    )
    with pytest.warns(UserWarning, match=r"`nodes\['x'\]`, a VonMises"):
        samples = graph.sample(4, [0, 1])
    with pytest.warns(UserWarning, match=r"`nodes\['x'\]`, a VonMises"):
        graph.objective(samples)


@pytest.mark.parametrize(
    "distribution",
    [
        # The ends of the support move.
        lambda: tfd.TruncatedNormal(number(0.1), 1.0, number(-1.0), 2.0),
        # The kink of the density moves.
        lambda: tfd.Triangular(-1.0, 2.0, number(0.4)),
        # Its log-probability is not differentiated by its parameters.
        lambda: tfd.BetaQuotient(number(2.0), 2.0, 3.0, 4.0),
    ],
)
def test_what_has_no_right_derivative_at_all_is_refused(distribution):
    message = "Neither does its log-probability, as where the support or a kink"
    with pytest.raises(ValueError, match=message):
        StochasticComputationGraph(
            dict(x=distribution()), dict(cost=lambda x: x)
        )


# --- Which are wrong, and which are not --------------------------------------


@pytest.mark.parametrize(
    "distribution",
    [
        lambda t: tfd.NormalInverseGaussian(0.0, t, 1.5, 0.4),
        lambda t: tfd.Dirichlet(tf.stack([t, 2.0 * t, t])),
        lambda t: tfd.Beta(t, 2.0),
        lambda t: tfd.StudentT(t, 0.0, 1.0),
        lambda t: tfd.Independent(tfd.VonMises(tf.stack([t, t]), 1.0), 1),
        lambda t: tfb.Exp()(tfd.TruncatedNormal(t, 1.0, -1.0, 1.0)),
        lambda t: tfd.Sample(tfd.InverseGaussian(t, 1.0), 2),
        lambda t: tfd.JointDistributionNamed(
            dict(a=tfd.Normal(t, 1.0), b=lambda a: tfd.Gamma(a**2, 1.0))
        ),
        lambda t: tfd.MixtureSameFamily(
            tfd.Categorical(logits=tf.stack([t, 0.0])),
            tfd.Normal(tf.stack([t, 2.0]), 1.0),
            reparameterize=True,
        ),
    ],
)
def test_wrong_ones_are_found_inside_of_others(distribution):
    assert judge(distribution(tf.constant(1.2))).samples is not None


@pytest.mark.parametrize(
    "distribution",
    [
        lambda t: tfd.Weibull(t, t),
        # What is wrong in another parameter only.
        lambda t: tfd.Gamma(2.0, t),
        lambda t: tfd.StudentT(np.float32(4.0), t, t),
        lambda t: tfb.Shift(t)(tfd.TruncatedNormal(0.0, 1.0, -1.0, 1.0)),
    ],
)
def test_right_ones_are_told_from_them(distribution):
    assert judge(distribution(tf.constant(1.2))).samples is None


def test_the_usual_ones_need_no_measurement(monkeypatch):
    def measure_nothing(distribution):
        raise AssertionError(f"measured a {distribution.name}")

    monkeypatch.setattr(
        "dice_tf.estimators.reparameterization.measure", measure_nothing
    )
    t = tf.constant(1.2)
    for distribution in (
        tfd.Normal(t, t),
        tfd.LogNormal(t, t),
        tfd.Independent(tfd.Laplace(tf.stack([t, t]), t), 1),
        tfd.MultivariateNormalDiag(tf.stack([t, t]), tf.stack([t, t])),
        tfd.RelaxedOneHotCategorical(0.8, tf.stack([t, 0.0, 1.0])),
    ):
        assert judge(distribution).samples is None
    with pytest.raises(AssertionError, match="measured a TruncatedNormal"):
        judge(tfd.TruncatedNormal(t, t, 0.0, 1.0))


USUAL = (
    lambda t: tfd.Cauchy(t, t),
    # A constant that depends on the parameters.
    lambda t: tfd.Deterministic(t),
    lambda t: tfd.Exponential(t),
    lambda t: tfd.ExpRelaxedOneHotCategorical(t, tf.stack([t, 0.0, 1.0])),
    lambda t: tfd.HalfCauchy(t, t),
    lambda t: tfd.HalfNormal(t),
    # Its density has a kink, so that its score function is not right.
    lambda t: tfd.Laplace(t, t),
    lambda t: tfd.Logistic(t, t),
    lambda t: tfd.Normal(t, t),
    lambda t: tfd.RelaxedBernoulli(t, logits=t),
    # Its support moves, likewise.
    lambda t: tfd.Uniform(-t, t),
)


@pytest.mark.parametrize("make", USUAL)
def test_the_usual_ones_are_right_when_measured(make):
    assert measure(make(tf.constant(1.2))).samples is None


def test_each_of_the_usual_ones_is_measured_here():
    assert {type(make(tf.constant(1.2))) for make in USUAL} == RIGHT_SAMPLES


# --- Distributions of users ---------------------------------------------------


class Halved(tfd.Normal):
    """Its samples follow half of the mean: not declared, but by its code."""

    def _sample_n(self, n, seed=None):
        sample = super()._sample_n(n, seed=seed)
        return 0.5 * sample + tf.stop_gradient(0.5 * sample)


class Shifted(tfd.Distribution):
    """Uniform around a number; without properties of parameters."""

    def __init__(self, loc, factor=1.0, name="Shifted"):
        parameters = dict(locals())
        self._loc, self._factor = tf.convert_to_tensor(loc), factor
        super().__init__(
            self._loc.dtype,
            tfd.FULLY_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
            name=name,
        )

    def _event_shape(self):
        return tf.TensorShape([])

    def _batch_shape(self):
        return self._loc.shape

    def _sample_n(self, n, seed=None):
        noise = tfd.Normal(tf.zeros_like(self._loc), 1.0).sample(n, seed=seed)
        flow = self._factor * self._loc
        return flow + tf.stop_gradient(self._loc - flow) + noise

    def _log_prob(self, x):
        return tfd.Normal(self._loc, tf.ones_like(self._loc)).log_prob(x)


class ShiftedTooFar(Shifted):
    def __init__(self, loc, name="ShiftedTooFar"):
        super().__init__(loc, 1.5, name)
        self._parameters = {"loc": loc, "name": name}


@pytest.mark.parametrize("build", [lambda t: Halved(t, 1.0), ShiftedTooFar])
def test_what_users_write_is_measured_too(build):
    with pytest.warns(UserWarning, match="in `loc` the derivative of order"):
        StochasticComputationGraph(
            dict(x=build(tf.constant(0.3))), dict(cost=lambda x: x)
        )


def test_what_users_write_may_be_right():
    assert judge(Shifted(tf.constant(0.3))).samples is None


def test_what_cannot_be_measured_is_taken_at_its_word():
    """It has no log-probability, or arguments that there is no example of."""
    kernel = tfp.math.psd_kernels.ExponentiatedQuadratic(tf.constant(1.0))
    process = tfd.GaussianProcess(kernel, index_points=tf.zeros([2, 1]))
    for distribution in (NoLogProb(tf.constant(0.3), 1.0), process):
        assert judge(distribution).samples is None
