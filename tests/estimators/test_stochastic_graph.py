"""Stochastic computation graphs.

Unbiasedness is proven without Monte-Carlo error: an expectation is a sum over
all outcomes, or over the points of a quadrature that is exact for polynomials,
weighted by probabilities that are held constant.
"""

import functools

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from dice_tf import StochasticComputationGraph, dice_objective, magic_box
from tests.random_graphs import NUM_VALUES, RandomGraph

tfd = tfp.distributions

NUM_GRAPHS = 200
CHUNK = 10


def constant(*values):
    return tf.constant(values, tf.float64)


def derivatives(function, t, num_orders=3):
    """Returns the function at t and its derivatives, elementwise if `[n]`."""
    if num_orders == 0:
        return [function(t)]
    with tf.GradientTape() as tape:
        tape.watch(t)
        lower = derivatives(function, t, num_orders - 1)
    return [*lower, tape.gradient(lower[-1], t)]


# --- Every outcome of random graphs -----------------------------------------


@pytest.mark.parametrize("first", range(0, NUM_GRAPHS, CHUNK))
def test_expected_derivatives_of_three_orders_are_exact(first):
    for seed in range(first, first + CHUNK):
        assert_exact(RandomGraph(seed), f"{seed=}")


def assert_exact(random, message):
    probabilities, _ = random.probabilities_and_costs(0.0)
    exact = random.exact_derivatives()

    def expected_objective(t, with_baselines):
        graph = random.graph(t, with_baselines)
        objective = graph.objective(random.samples(t))
        return tf.reduce_sum(probabilities * objective)

    for with_baselines in (False, True) if random.baselines else (False,):
        found = derivatives(
            functools.partial(
                expected_objective, with_baselines=with_baselines
            ),
            tf.zeros([], tf.float64),
        )
        np.testing.assert_allclose(
            found,
            exact,
            rtol=1e-9,
            atol=1e-9,
            err_msg=f"{message}, {with_baselines=}",
        )


def test_the_random_graphs_are_of_all_kinds():
    graphs = [RandomGraph(seed) for seed in range(NUM_GRAPHS)]
    assert {len(graph.kinds) for graph in graphs} == {1, 2, 3, 4, 5, 6}
    assert {len(graph.costs) for graph in graphs} == {1, 2, 3}
    declared = set().union(*(graph.kinds.values() for graph in graphs))
    assert declared == set(NUM_VALUES)

    def share(condition):
        return np.mean([condition(graph) for graph in graphs])

    assert share(lambda graph: bool(graph.baselines)) > 0.75
    assert share(lambda graph: any(graph.baselines.values())) > 0.5
    assert share(lambda graph: not all(graph.costs.values())) > 0.1
    assert share(lambda graph: [*graph.parents] != sorted(graph.parents)) > 0.5

    def mixes(graph):
        """A function of a random node that influences a random node."""
        return any(
            graph.kinds[parent] == "function" and graph.parents[parent]
            for name, parents in graph.parents.items()
            for parent in parents
            if graph.kinds[name] != "function"
        )

    assert share(mixes) > 0.1
    orders = np.array([graph.exact_derivatives() for graph in graphs])
    assert np.all(np.mean(np.abs(orders) > 0.05, axis=0) > 0.9)


# --- A quadrature of normal nodes -------------------------------------------


class Quadrature(tfd.Normal):
    """A normal distribution whose samples are at given noises."""

    def __init__(self, loc, scale, noise):
        super().__init__(loc, scale)
        self._noise = noise

    def _sample_n(self, n, seed=None):
        sample = self.loc + self.scale * self._noise
        return tf.reshape(
            sample, tf.concat([[n], self._batch_shape_tensor()], 0)
        )


@pytest.mark.parametrize(
    "reparameterized", [None, [], ["z"], ["x"], ["z", "x"]], ids=str
)
@pytest.mark.parametrize("baseline", [None, 0.7], ids=str)
def test_score_functions_and_reparameterisation_agree(
    reparameterized, baseline
):
    """Of E[x^2 z + mu x] with z ~ N(mu, sigma), x ~ N(w z, 1)."""
    noises, weights = np.polynomial.hermite_e.hermegauss(14)
    first, second = np.meshgrid(noises, noises)
    chances = np.outer(weights, weights).ravel() / (2 * np.pi)
    start, direction = constant(0.4, -0.2, 0.9), constant(0.3, -0.5, 0.8)

    def expected_objective(t):
        mu, log_sigma, w = tf.unstack(start + t * direction)
        baselines = {}
        if baseline and "z" not in (reparameterized or ["z", "x"]):
            baselines["z"] = baseline
        if baseline and "x" not in (reparameterized or ["z", "x"]):
            baselines["x"] = lambda z: baseline * z
        graph = StochasticComputationGraph(
            dict(
                z=Quadrature(mu, tf.exp(log_sigma), first.ravel()),
                x=lambda z: Quadrature(
                    w * z, tf.ones([], z.dtype), second.ravel()
                ),
            ),
            dict(cost=lambda x, z: x**2 * z, other=lambda x: mu * x),
            baselines=baselines,
            reparameterized=reparameterized,
        )
        samples = graph.sample(chances.size, [0, 1])
        return tf.reduce_sum(chances * graph.objective(samples))

    def exact(t):
        mu, log_sigma, w = tf.unstack(start + t * direction)
        third_moment = mu**3 + 3 * mu * tf.exp(2 * log_sigma)
        return w**2 * third_moment + mu + mu * w * mu

    zero = tf.zeros([], tf.float64)
    np.testing.assert_allclose(
        derivatives(expected_objective, zero),
        derivatives(exact, zero),
        rtol=1e-9,
    )


# --- What it reduces to -----------------------------------------------------


@pytest.mark.parametrize("use_reparameterization", [False, True])
def test_one_node_and_one_cost_are_an_expectation_of_tfp(
    use_reparameterization,
):
    graph_of = functools.partial(
        StochasticComputationGraph,
        reparameterized=["x"] if use_reparameterization else [],
    )

    def cost(x):
        return tf.sin(x) * x**2

    def pair(theta):
        p = tfd.Normal(theta, tf.exp(theta / 3.0))
        graph = graph_of(dict(x=p), dict(cost=cost))
        samples = graph.sample(50, seed=[3, 4])
        expectation = tfp.monte_carlo.expectation(
            cost, samples["x"], p.log_prob, use_reparameterization
        )
        return tf.reduce_mean(graph.objective(samples)), expectation

    theta = tf.constant(0.8, tf.float64)
    ours = derivatives(lambda theta: pair(theta)[0], theta)
    theirs = derivatives(lambda theta: pair(theta)[1], theta)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def joint_model(theta):
    return dict(
        g=tfd.Gamma(tf.exp(theta), constant(2.0)[0]),
        m=lambda g, k: tfd.Normal(tf.cast(k, g.dtype) - theta, g),
        k=lambda g: tfd.Poisson(g + tf.exp(-theta)),
        x=lambda m: tfd.Sample(tfd.Bernoulli(logits=m * theta), 3),
    )


def test_it_takes_what_a_joint_distribution_takes():
    """Its score function is that of the joint log-probability."""
    theta = tf.constant(0.3, tf.float64)
    joint = tfd.JointDistributionNamed(joint_model(theta))
    samples = StochasticComputationGraph(
        joint.model, dict(cost=lambda g: g), reparameterized=["m"]
    ).sample(6, seed=[0, 1])
    reference = joint.sample(6, seed=[0, 1])
    assert set(samples) == set(reference)
    for name, sample in samples.items():
        assert sample.shape == reference[name].shape
        assert sample.dtype == reference[name].dtype
    samples = tf.nest.map_structure(tf.stop_gradient, samples)

    def cost(m, x):
        return m + tf.cast(tf.reduce_sum(x, axis=-1), m.dtype)

    def objective(theta):
        graph = StochasticComputationGraph(
            joint_model(theta), dict(cost=cost), reparameterized=[]
        )
        return graph.objective(samples)

    def reference_objective(theta):
        joint = tfd.JointDistributionNamed(joint_model(theta))
        costs = cost(samples["m"], samples["x"])
        return magic_box(joint.log_prob(samples)) * costs

    thetas = tf.fill([6], theta)
    found = derivatives(objective, thetas)
    assert np.all(np.abs(found) > 1e-6)
    np.testing.assert_allclose(
        found, derivatives(reference_objective, thetas), rtol=1e-11
    )


@pytest.mark.parametrize("with_baseline", [False, True])
def test_a_chain_of_actions_and_rewards_is_the_objective_of_dice(
    with_baseline,
):
    length, size, discount = 3, 8, 0.9
    rng = np.random.default_rng(0)
    actions = rng.integers(2, size=(length, size))
    rewards, values = rng.normal(size=(2, length, size))
    slopes = tf.constant(rng.normal(size=(length, size)))

    def policy(t, theta, previous):
        return tfd.Bernoulli(logits=(slopes[t] + previous) * theta)

    def names(t):
        return [f"a{k}" for k in range(t + 1)]

    def ours(theta):
        # A reward depends on all actions so far.
        costs = dict(
            r0=lambda a0: discount**0 * rewards[0],
            r1=lambda a0, a1: discount**1 * rewards[1],
            r2=lambda a0, a1, a2: discount**2 * rewards[2],
        )
        graph = StochasticComputationGraph(
            dict(
                a0=policy(0, theta, 0.0),
                a1=lambda a0: policy(1, theta, tf.cast(a0, tf.float64)),
                a2=lambda a1: policy(2, theta, tf.cast(a1, tf.float64)),
            ),
            costs,
            baselines={
                f"a{t}": tf.constant(discount**t * values[t])
                for t in range(length if with_baseline else 0)
            },
        )
        samples = dict(zip(names(length - 1), actions, strict=True))
        return graph.objective(samples)

    def dice(theta):
        previous = [0.0, *actions[:-1].astype(float)]
        log_probs = [
            policy(t, theta, previous[t]).log_prob(actions[t])
            for t in range(length)
        ]
        return dice_objective(
            tf.stack(log_probs),
            rewards,
            discount=discount,
            baseline=values if with_baseline else None,
        )

    theta = tf.constant(rng.normal(size=size))
    np.testing.assert_allclose(
        derivatives(ours, theta), derivatives(dice, theta), rtol=1e-10
    )


# --- Baselines --------------------------------------------------------------


def two_decisions(theta, **options):
    """Two decisions, the second of which sees the first, and their costs."""
    graph = StochasticComputationGraph(
        dict(
            a=tfd.Bernoulli(logits=theta, dtype=tf.float64),
            b=lambda a: tfd.Bernoulli(
                logits=theta * (2 * a - 0.5), dtype=tf.float64
            ),
        ),
        dict(early=lambda a: 5.0 + a, late=lambda a, b: 7.0 - a * b),
        **options,
    )
    a, b = constant(0, 0, 1, 1), constant(0, 1, 0, 1)
    return graph.objective(dict(a=a, b=b))


def test_baselines_lower_the_variance_of_each_order_and_keep_the_value():
    theta = tf.fill([4], tf.constant(0.4, tf.float64))
    first = tf.nn.sigmoid(constant(-0.4, -0.4, 0.4, 0.4))
    second = tf.nn.sigmoid(constant(0.2, -0.2, -0.6, 0.6))  # Given the first.
    chances = (first * second).numpy()
    baselines = dict(a=11.5, b=lambda a: 7.0 - 0.6 * a)
    plain = np.array(derivatives(two_decisions, theta))
    lowered = np.array(
        derivatives(
            lambda theta: two_decisions(theta, baselines=baselines), theta
        )
    )
    np.testing.assert_array_equal(plain[0], lowered[0])
    for order in (1, 2, 3):
        means = [chances @ found[order] for found in (plain, lowered)]
        np.testing.assert_allclose(*means, rtol=1e-11)
        squares = [chances @ found[order] ** 2 for found in (plain, lowered)]
        variances = np.array(squares) - means[0] ** 2
        assert variances[1] < 0.1 * variances[0], order


def test_baselines_are_held_constant():
    theta = tf.fill([4], tf.constant(0.4, tf.float64))
    scale = tf.constant(1.3, tf.float64)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch((theta, scale))
        objective = two_decisions(
            theta, baselines=dict(a=scale, b=lambda a: scale * a)
        )
        gradient = tape.gradient(objective, theta)
    assert tape.gradient(objective, scale) is None
    assert tape.gradient(gradient, scale) is None


# --- Samples ----------------------------------------------------------------


def normal_chain(theta, reparameterized):
    return StochasticComputationGraph(
        dict(
            z=tfd.Normal(theta, 1.0),
            x=lambda z: tfd.Normal(2.0 * z, tf.exp(theta)),
        ),
        dict(cost=lambda x: x),
        reparameterized=reparameterized,
    )


def test_samples_are_held_constant_unless_reparameterised():
    theta = tf.constant(0.5)
    found = {}
    for names in [(), ("z",), ("x",), ("z", "x")]:
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(theta)
            samples = normal_chain(theta, names).sample(20, [0, 1])
            means = [tf.reduce_mean(samples[name]) for name in ("z", "x")]
        found[names] = [tape.gradient(mean, theta) for mean in means]
        noise = means[1] - 2.0 * means[0]
    assert found[()] == [None, None]
    # A sample that is held constant stays so in all that depends on it.
    assert found["z",] == [1.0, None]
    assert found["x",][0] is None
    np.testing.assert_allclose(found["x",][1], noise, rtol=1e-5)
    np.testing.assert_allclose(found["z", "x"], [1.0, 2.0 + noise], rtol=1e-5)


def test_samples_that_are_given_are_held_constant_too():
    z = constant(0.3, -1.0)
    with tf.GradientTape() as tape:
        tape.watch(z)
        graph = StochasticComputationGraph(
            dict(z=tfd.Normal(constant(0.2)[0], 1.0)),
            dict(cost=lambda z: z**2),
            reparameterized=[],
        )
        objective = graph.objective(dict(z=z))
    assert tape.gradient(objective, z) is None


def test_a_seed_gives_each_node_its_own_samples():
    graph = StochasticComputationGraph(
        dict(x=tfd.Normal(0.0, 1.0), y=tfd.Normal(0.0, 1.0)),
        dict(cost=lambda x, y: x * y),
    )
    samples = graph.sample([4, 5], [0, 1])
    assert samples["x"].shape == samples["y"].shape == [4, 5]
    assert not np.any(samples["x"] == samples["y"])
    again = graph.sample([4, 5], tf.constant([0, 1]))
    other = graph.sample([4, 5], [0, 2])
    np.testing.assert_array_equal(samples["y"], again["y"])
    assert not np.any(samples["y"] == other["y"])
    in_graph = tf.function(lambda seed: graph.sample([4, 5], seed))
    np.testing.assert_array_equal(
        samples["y"], in_graph(tf.constant([0, 1]))["y"]
    )


def test_a_joint_distribution_is_a_node_too():
    """It is reparameterised if all of it is."""
    theta = tf.constant(0.7, tf.float64)

    def pair(theta):
        return dict(
            k=tfd.Bernoulli(logits=theta, dtype=tf.float64),
            x=lambda k: tfd.Normal(k * theta, 1.0),
        )

    def nested(theta):
        graph = StochasticComputationGraph(
            dict(pair=tfd.JointDistributionNamed(pair(theta))),
            dict(cost=lambda pair: pair["x"] ** 2 + pair["k"]),
        )
        samples = graph.sample((), [0, 1])
        return graph.objective(samples), samples["pair"]

    def flat(theta):
        graph = StochasticComputationGraph(
            pair(theta),
            dict(cost=lambda x, k: x**2 + k),
            reparameterized=[],
        )
        return graph.objective(nested(theta)[1])

    np.testing.assert_allclose(
        derivatives(lambda theta: nested(theta)[0], tf.fill([9], theta)),
        derivatives(flat, tf.fill([9], theta)),
        rtol=1e-12,
    )


def test_samples_that_tfp_differentiates_once_have_a_score_function():
    theta = tf.fill([5], tf.constant(1.5, tf.float64))

    def objective(theta, reparameterized):
        graph = StochasticComputationGraph(
            dict(g=tfd.Gamma(theta, 1.0)),
            dict(cost=lambda g: g),
            reparameterized=reparameterized,
        )
        return graph.objective(graph.sample((), [0, 1]))

    with pytest.raises(ValueError, match="there is no derivative of order 2"):
        objective(theta, ["g"])
    with pytest.warns(UserWarning, match="there is no derivative of order 2"):
        default = derivatives(lambda theta: objective(theta, None), theta, 2)
    found = derivatives(lambda theta: objective(theta, []), theta, 2)
    assert np.all(np.isfinite(found))
    np.testing.assert_array_equal(default, found)


# --- Structure --------------------------------------------------------------


def test_a_cost_has_the_score_of_what_influences_it_only():
    logits = dict(a=constant(0.1)[0], b=constant(0.2)[0], c=constant(0.3)[0])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        graph = StochasticComputationGraph(
            dict(
                a=tfd.Bernoulli(logits=logits["a"]),
                b=lambda a: tfd.Bernoulli(
                    logits=logits["b"] + tf.cast(a, tf.float64)
                ),
                c=tfd.Bernoulli(logits=logits["c"]),
            ),
            dict(
                of_a=lambda a: constant(2.0, 2.0),
                of_b=lambda b: constant(30.0, 30.0),
                of_none=lambda: 500.0,
            ),
        )
        samples = np.array([[0, 1], [1, 1], [1, 0]])
        samples = dict(zip("abc", samples, strict=True))
        objective = graph.objective(samples)
    np.testing.assert_array_equal(objective, [532.0, 532.0])
    gradient = tape.gradient(objective, logits)
    scores = 1.0 - tf.nn.sigmoid(constant(0.2, 1.2))
    np.testing.assert_allclose(gradient["b"], 30.0 * np.sum(scores))
    scores = constant(0.0, 1.0) - tf.nn.sigmoid(constant(0.1))
    np.testing.assert_allclose(gradient["a"], 32.0 * np.sum(scores))
    assert gradient["c"] is None


def test_batch_axes_are_kept_apart():
    """As if each member of the batch were a graph of its own."""
    thetas = constant(0.3, -0.4, 1.1)
    targets = constant(1.0, 0.0, -2.0)

    def graph(theta, target):
        return StochasticComputationGraph(
            dict(
                z=tfd.Bernoulli(logits=theta, dtype=tf.float64),
                x=lambda z: tfd.Normal(z + theta, 1.0),
            ),
            dict(cost=lambda x, z: (x - target) ** 2 + z),
            baselines=dict(z=1.5),
        )

    with tf.GradientTape(persistent=True) as tape:
        tape.watch(thetas)
        batch = graph(thetas, targets)
        samples = batch.sample(7, [0, 1])
        together = batch.objective(samples)
        apart = []
        for k, (theta, target) in enumerate(
            zip(tf.unstack(thetas), tf.unstack(targets), strict=True)
        ):
            sample_k = {name: sample[:, k] for name, sample in samples.items()}
            apart.append(graph(theta, target).objective(sample_k))
        apart = tf.stack(apart, axis=1)
    assert together.shape == [7, 3]
    np.testing.assert_allclose(together, apart, rtol=1e-12)
    np.testing.assert_allclose(
        tape.jacobian(together, thetas), tape.jacobian(apart, thetas)
    )


def test_nodes_that_need_no_log_probability_need_not_have_one():
    graph = StochasticComputationGraph(
        dict(x=NoLogProb(0.0, 1.0), z=tfd.Normal(0.0, 1.0)),
        dict(cost=lambda z: z),
        reparameterized=[],
    )
    assert graph.objective(graph.sample(4, [0, 1])).shape == [4]
    graph = StochasticComputationGraph(
        dict(x=NoLogProb(0.0, 1.0)), dict(cost=lambda x: x)
    )
    assert graph.objective(graph.sample(4, [0, 1])).shape == [4]


@pytest.mark.parametrize("jit_compile", [False, True])
def test_it_is_the_same_in_graphs_and_under_xla(jit_compile):
    def gradient(theta, noise):
        with tf.GradientTape() as tape:
            tape.watch(theta)
            graph = StochasticComputationGraph(
                dict(
                    a=tfd.Bernoulli(logits=theta, dtype=tf.float64),
                    x=lambda a: Quadrature(a * theta, tf.exp(theta), noise),
                    b=lambda x: tfd.Categorical(logits=tf.stack([x, -x], -1)),
                ),
                dict(
                    cost=lambda x, b: x**2 + tf.cast(b, x.dtype),
                    early=lambda a: a,
                ),
                baselines=dict(a=0.3, b=lambda x: x),
            )
            samples = dict(a=constant(0, 1, 1), b=tf.constant([1, 1, 0]))
            samples["x"] = samples["a"] * theta + tf.exp(theta) * noise
            objective = tf.reduce_sum(graph.objective(samples))
        return tape.gradient(objective, theta)

    theta, noise = constant(0.4)[0], constant(0.2, -1.0, 0.7)
    compiled = tf.function(gradient, jit_compile=jit_compile)
    np.testing.assert_allclose(
        compiled(theta, noise), gradient(theta, noise), rtol=1e-12
    )


@pytest.mark.parametrize("jit_compile", [False, True])
def test_it_samples_in_graphs_and_under_xla(jit_compile):
    @functools.partial(tf.function, jit_compile=jit_compile)
    def value_and_gradient(theta, seed):
        with tf.GradientTape() as tape:
            tape.watch(theta)
            graph = normal_chain(theta, ["x"])
            samples = graph.sample(4000, seed)
            objective = tf.reduce_mean(graph.objective(samples))
        return objective, tape.gradient(objective, theta)

    value, gradient = value_and_gradient(tf.constant(0.5), tf.constant([0, 1]))
    np.testing.assert_allclose([value, gradient], [1.0, 2.0], atol=0.25)


# --- Bad input --------------------------------------------------------------


class NoLogProb(tfd.Normal):
    """A distribution that can only be sampled."""

    def log_prob(self, value):
        raise NotImplementedError("log_prob is not implemented")


def build(**changes):
    arguments = {
        "nodes": dict(
            z=tfd.Bernoulli(logits=0.0, dtype=tf.float32),
            x=lambda z: tfd.Normal(z, 1.0),
            y=lambda x: tfd.Bernoulli(logits=x, dtype=tf.float32),
        ),
        "costs": dict(cost=lambda x, y: x * y),
    }
    arguments.update(changes)
    nodes, costs = arguments.pop("nodes"), arguments.pop("costs")
    return StochasticComputationGraph(nodes, costs, **arguments)


@pytest.mark.parametrize(
    "node, received",
    [(1.0, r"1\.0"), (lambda: tf.zeros(3), "tf.Tensor"), (None, "None")],
    ids=["a number", "a function of none", "None"],
)
def test_nodes_that_are_no_distributions_are_refused(node, received):
    graph = build(nodes=dict(x=node), costs=dict(cost=lambda x: x))
    message = rf"`nodes\['x'\]` must be a distribution.* Received: .*{received}"
    for call in (
        lambda: graph.sample(4, [0, 1]),
        lambda: graph.objective(dict(x=tf.zeros(4))),
    ):
        with pytest.raises(TypeError, match=message):
            call()


def test_a_missing_log_probability_is_named():
    graph = build(
        nodes=dict(x=NoLogProb(0.0, 1.0)),
        costs=dict(cost=lambda x: x),
        reparameterized=[],
    )
    with pytest.raises(
        NotImplementedError, match=r"`nodes\['x'\]` must have a log-probab"
    ):
        graph.objective(graph.sample(4, [0, 1]))


def test_nodes_that_cannot_be_reparameterised_are_refused():
    graph = build(reparameterized=["y"])
    with pytest.raises(
        ValueError, match=r"`reparameterized` must .*: 'y', a Bernoulli"
    ):
        graph.sample(4, [0, 1])


def test_a_baseline_needs_a_score_function():
    graph = build(baselines=dict(x=lambda z: z))
    with pytest.raises(
        ValueError, match=r"score function, \['y', 'z'\]. Received: \['x'\]"
    ):
        graph.objective(graph.sample(4, [0, 1]))
    graph = build(baselines=dict(x=lambda z: z), reparameterized=[])
    assert graph.objective(graph.sample(4, [0, 1])).shape == [4]


@pytest.mark.parametrize("names", ["xz", "wxyz"])
def test_samples_must_be_of_the_nodes(names):
    with pytest.raises(ValueError, match=r"`samples` must be of the nodes \['"):
        build().objective({name: tf.zeros(4) for name in names})


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"costs": dict(cost=lambda x: x[:, tf.newaxis])},
            r"`costs\['cost'\]` must have shape \(4,\) .*shape \(4, 1\)",
        ),
        (
            {"costs": dict(cost=lambda x: tf.reduce_mean(x))},
            r"`costs\['cost'\]` must have shape \(4,\) .*shape \(\) and",
        ),
        (
            {"costs": dict(cost=lambda x: x, other=lambda: tf.zeros(3))},
            r"`costs\['other'\]` must have shape \(4,\) .*shape \(3,\)",
        ),
        (
            {"costs": dict(cost=lambda x: tf.cast(x, tf.float64))},
            r"`costs\['cost'\]` must .*dtype float32.*dtype float64",
        ),
        (
            {"baselines": dict(y=lambda x: tf.stack([x, x]))},
            r"`baselines\['y'\]` must have shape \(4,\) .*shape \(2, 4\)",
        ),
        (
            {
                "nodes": dict(
                    z=tfd.Bernoulli(logits=0.0, dtype=tf.float32),
                    x=tfd.Bernoulli(logits=tf.zeros(2), dtype=tf.float32),
                ),
                "costs": dict(cost=lambda z, x: z + x),
            },
            r"`nodes\['x'\].log_prob` must have shape \(4,\) .*shape \(4, 2\)",
        ),
    ],
)
def test_shapes_that_would_broadcast_are_refused(changes, message):
    graph = build(**changes)
    samples = dict(z=tf.zeros(4), x=tf.ones(4), y=tf.ones(4))
    if "nodes" in changes:
        samples = dict(z=tf.zeros(4), x=tf.zeros([4, 2]))
    with pytest.raises(ValueError, match=message):
        graph.objective(samples)


def test_costs_of_reparameterised_nodes_alone_must_agree_too():
    graph = StochasticComputationGraph(
        dict(x=tfd.Normal(0.0, 1.0)),
        dict(penalty=2.0, first=lambda x: x, other=lambda x: x[:2]),
    )
    with pytest.raises(
        ValueError, match=r"`costs\['other'\]` must have shape \(4,\)"
    ):
        graph.objective(graph.sample(4, [0, 1]))
