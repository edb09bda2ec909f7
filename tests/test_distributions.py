"""Any tfp distribution, as a stochastic node and as a policy's head.

`magic_box(log_prob(x))` must have the second derivatives of a probability
ratio, `p''(x) / p(x)`, whatever the distribution: the oracle is finite
differences of the log-density, which asks nothing of automatic
differentiation.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import dice_tf
from dice_tf.seeds import uniform

pytestmark = pytest.mark.own_process

tfd = tfp.distributions


def positive(x):
    return tf.nn.softplus(x) + 0.2


def tril(x):
    return tfp.math.fill_triangular(positive(x))


def sequential(o):
    return tfd.JointDistributionSequential(
        [
            tfd.Normal(o[..., 0], positive(o[..., 1])),
            lambda x: tfd.Normal(o[..., 2] * x, positive(o[..., 3])),
        ]
    )


def named(o):
    return tfd.JointDistributionNamed(
        {
            "x": tfd.Bernoulli(logits=o[..., 0]),
            "y": lambda x: tfd.Normal(
                o[..., 1] * tf.cast(x, o.dtype), positive(o[..., 2])
            ),
        }
    )


def coroutine(o):
    def model():
        x = yield tfd.JointDistributionCoroutine.Root(
            tfd.Normal(o[..., 0], positive(o[..., 1]))
        )
        yield tfd.Normal(tf.sin(x) * o[..., 2], positive(o[..., 3]))

    return tfd.JointDistributionCoroutine(model)


def one_hot(o):
    return tfd.OneHotCategorical(logits=o, dtype=o.dtype)


def independent(o):
    return tfd.Independent(tfd.Normal(o[..., :2], positive(o[..., 2:])), 1)


def mvn_diag(o):
    return tfd.MultivariateNormalDiag(o[..., :2], positive(o[..., 2:]))


def mvn_tril(o):
    return tfd.MultivariateNormalTriL(o[..., :2], tril(o[..., 2:]))


def same_family(o):
    return tfd.MixtureSameFamily(
        tfd.Categorical(logits=o[..., :2]),
        tfd.Normal(o[..., 2:4], positive(o[..., 4:])),
    )


def mixture(o):
    return tfd.Mixture(
        tfd.Categorical(logits=o[..., :2]),
        [
            tfd.Normal(o[..., 2], positive(o[..., 3])),
            tfd.Laplace(o[..., 4], positive(o[..., 5])),
        ],
    )


# The number of outputs that a head reads, and the head.
HEADS = {
    "categorical": (3, lambda o: tfd.Categorical(logits=o)),
    "bernoulli": (1, lambda o: tfd.Bernoulli(logits=o[..., 0])),
    "one_hot": (3, one_hot),
    "normal": (2, lambda o: tfd.Normal(o[..., 0], positive(o[..., 1]))),
    "independent": (4, independent),
    "mvn_diag": (4, mvn_diag),
    "mvn_tril": (5, mvn_tril),
    "same_family": (6, same_family),
    "mixture": (6, mixture),
    "beta": (2, lambda o: tfd.Beta(positive(o[..., 0]), positive(o[..., 1]))),
    "sequential": (4, sequential),
    "named": (3, named),
    "coroutine": (4, coroutine),
}


def ratio_derivatives(head, sample, outputs):
    """`p'/p` and `p''/p` at each sample, by central differences, `[n, ...]`."""
    size, step = outputs.shape[-1], 1e-4
    units = step * np.eye(size)
    u, v = units[:, np.newaxis], units[np.newaxis]
    moves = np.stack([u + v, u - v, v - u, -u - v])
    # One call: joint distributions are slow to evaluate one by one.
    moved = outputs + moves[..., np.newaxis, :]
    logs = head(moved).log_prob(sample) - head(outputs).log_prob(sample)
    # The difference of logs first: ratios lose no digits to a small p.
    ratios = np.exp(logs)
    hessian = (ratios[0] - ratios[1] - ratios[2] + ratios[3]) / (4 * step**2)
    # u + u and -u - u are two steps apart from the middle.
    ends = np.diagonal(ratios, axis1=1, axis2=2)
    gradient = (ends[0] - ends[3]) / (4 * step)
    return gradient, np.moveaxis(hessian, (0, 1), (-2, -1))


@pytest.mark.parametrize("jit_compile", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize("name", HEADS)
def test_magic_boxes_have_the_second_derivatives_of_the_ratio(
    name, jit_compile
):
    size, head = HEADS[name]
    rng = np.random.default_rng(1)
    outputs = tf.constant(np.tile(rng.normal(size=size), (4, 1)))
    sample = head(outputs).sample(seed=[3, 4])

    def derivatives(x, sample):
        with tf.GradientTape(persistent=True) as second:
            second.watch(x)
            with tf.GradientTape() as first:
                first.watch(x)
                boxes = dice_tf.magic_box(head(x).log_prob(sample))
            columns = tf.unstack(first.gradient(boxes, x), axis=1)
        hessian = [second.gradient(column, x) for column in columns]
        return boxes, tf.stack(columns, axis=1), tf.stack(hessian, axis=-1)

    compiled = tf.function(
        derivatives, jit_compile=jit_compile, autograph=False
    )
    boxes, gradient, hessian = compiled(outputs, sample)
    expected = ratio_derivatives(head, sample, outputs)
    np.testing.assert_array_equal(boxes, np.ones(4))
    np.testing.assert_allclose(gradient, expected[0], atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(hessian, expected[1], atol=1e-5, rtol=1e-5)
    assert np.abs(expected[1]).max() > 0.05, "nothing to compare"


def test_expected_second_derivatives_of_a_normal_are_exact():
    """E[magic_box(log p(x)) x^2] = mean^2 + scale^2, by quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(20)
    mean, log_scale = 0.7, -0.3
    x = tf.constant([mean, log_scale], tf.float64)
    sample = mean + np.exp(log_scale) * nodes
    with tf.GradientTape(persistent=True) as second:
        second.watch(x)
        with tf.GradientTape() as first:
            first.watch(x)
            normal = tfd.Normal(x[0], tf.exp(x[1]))
            boxes = dice_tf.magic_box(normal.log_prob(sample))
            value = tf.reduce_sum(boxes * sample**2 * weights)
            value /= np.sum(weights)
        gradient = first.gradient(value, x)
    hessian = second.jacobian(gradient, x, experimental_use_pfor=False)
    variance = np.exp(2 * log_scale)
    np.testing.assert_allclose(value, mean**2 + variance, rtol=1e-12)
    np.testing.assert_allclose(gradient, [2 * mean, 2 * variance], rtol=1e-12)
    np.testing.assert_allclose(hessian, [[2, 0], [0, 4 * variance]], atol=1e-11)


# --- As heads of policies ---------------------------------------------------


class Drift(dice_tf.games.Game):
    """Both players push a point about; actions are of any structure."""

    num_players = 2
    num_actions = (None, None)
    observation_shapes = ((2,), (2,))
    episode_length = 2
    dtype = tf.float64

    def reset(self, seed, batch_size):
        state = uniform(seed, [batch_size, 2], self.dtype)
        return state, self._time_step(state)

    def step(self, state, actions, seed):
        del seed
        pushes = [
            tf.add_n([self._push(part) for part in tf.nest.flatten(own)])
            for own in actions
        ]
        state = 0.5 * state + 0.3 * tf.stack(pushes, axis=1)
        return state, self._time_step(state)

    def _push(self, part):
        flat = tf.reshape(tf.cast(part, self.dtype), [part.shape[0], -1])
        return tf.linalg.matvec(flat, np.arange(1.0, flat.shape[1] + 1.0))

    def _time_step(self, state):
        reward = state[:, 0] * state[:, 1] - state[:, 0]
        return dice_tf.games.TimeStep(
            (state, state), (reward, -0.5 * reward), tf.ones_like(reward)
        )


def objective(name, **options):
    size, head = HEADS[name]
    policies = []
    for seed in range(2):
        initializer = keras.initializers.RandomNormal(stddev=0.3, seed=seed)
        layer = keras.layers.Dense(
            size, kernel_initializer=initializer, dtype="float64"
        )
        model = keras.Sequential([keras.Input((2,), dtype="float64"), layer])
        policies.append(dice_tf.policies.with_head(model, head))
    options = {"batch_size": 5, "baseline": None, **options}
    return dice_tf.objectives.DiCEObjective(Drift(), policies, 0.9, **options)


def value_and_cross_derivative(sampled, seed):
    """V_1, and d/dtheta_0 of dV_1/dtheta_1 along a fixed direction."""
    params = sampled.initial_params()
    with tf.GradientTape() as second:
        second.watch(params)
        with tf.GradientTape() as first:
            first.watch(params[1])
            value = sampled(params, seed)[1]
        gradients = first.gradient(value, params[1])
        along = tf.add_n([tf.reduce_sum(tf.sin(x)) for x in gradients])
    return value, second.gradient(along, params[0][0])


ACTED = ("normal", "mvn_tril", "same_family", "one_hot", "named")


@pytest.mark.parametrize("name", ACTED)
def test_rollouts_and_second_derivatives_are_the_same_in_graphs(name):
    sampled = objective(name)
    eager = value_and_cross_derivative(sampled, [1, 2])
    graph = tf.function(
        lambda: value_and_cross_derivative(sampled, [1, 2]), autograph=False
    )
    for one, other in zip(eager, graph(), strict=True):
        assert np.abs(one).max() > 1e-6
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def test_under_xla_they_have_the_same_law():
    """TFP draws other samples for the same seed there."""
    sampled = objective("mvn_tril", batch_size=2000)
    compiled = tf.function(
        lambda: value_and_cross_derivative(sampled, [1, 2]),
        jit_compile=True,
        autograph=False,
    )
    draws = [value_and_cross_derivative(sampled, [3, k]) for k in range(8)]
    for found, *expected in zip(compiled(), *draws, strict=True):
        errors = np.std(expected, axis=0, ddof=1)
        assert np.all(np.abs(found - np.mean(expected, axis=0)) < 6 * errors)


def test_entropies_that_tfp_does_not_know_are_estimated():
    for name in ("same_family", "named"):
        sampled = objective(name, batch_size=4)
        play = sampled.play(sampled.initial_params(), [1, 2])
        assert np.all(np.isfinite(play.entropies))


def test_a_distribution_of_several_log_probabilities_is_refused():
    def forgotten(outputs):
        return tfd.Normal(outputs[..., :2], positive(outputs[..., 2:]))

    HEADS["forgotten"] = (4, forgotten)
    try:
        sampled = objective("forgotten")
    finally:
        del HEADS["forgotten"]
    message = r"head of player 0 .* shape \[T, B\].*\(2, 5, 2\).*Independent"
    with pytest.raises(ValueError, match=message):
        sampled(sampled.initial_params(), [1, 2])
