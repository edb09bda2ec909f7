"""Estimators beside DiCE: what their derivatives are, order by order.

Claims about expectations and variances are proven by enumeration, see
`tests.enumeration`: there is no Monte-Carlo error in them.
"""

import functools

import numpy as np
import pytest
import tensorflow as tf

from dice_tf import dice_objective, estimators
from tests import oracles
from tests.enumeration import (
    SIZE,
    directional_derivatives,
    gradient_and_hessian,
    trajectories,
)

DISCOUNT = 0.9
T, B = 6, 5
LEFT_OUT = "leave_one_out"


def normal(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(size=shape))


def theta():
    return normal(SIZE, seed=7)


def random_discounts(seed=9):
    rng = np.random.default_rng(seed)
    return rng.uniform(0.5, 1, (T, B)) * (rng.uniform(size=(T, B)) > 0.2)


# Every estimator with every baseline that it takes; `VALUES` stands for some.
VALUES = "state_values"
CASES = {
    "surrogate": (estimators.surrogate_objective, None),
    "surrogate, leave one out": (estimators.surrogate_objective, LEFT_OUT),
    "surrogate, values": (estimators.surrogate_objective, VALUES),
    "surrogate, gae": (
        functools.partial(estimators.surrogate_objective, tau=0.4),
        VALUES,
    ),
    "first order": (estimators.first_order_baseline_objective, VALUES),
    "loaded": (
        functools.partial(
            estimators.loaded_dice_objective, lambda_=0.7, tau=0.4
        ),
        VALUES,
    ),
}


def call(name, log_probs, rewards, discount, values):
    function, baseline = CASES[name]
    return function(
        log_probs,
        rewards,
        discount=discount,
        baseline=values if baseline == VALUES else baseline,
    )


def estimate(name, values, discount=DISCOUNT, **options):
    """The estimator of the enumerated return, of log-probabilities."""
    function, _ = CASES[name]
    return lambda log_probs: function(
        log_probs,
        trajectories().rewards,
        discount=discount,
        baseline=values,
        **options,
    )


def expected_derivatives(estimator, directions=(8, 20)):
    """Derivatives of orders 0 to 3 of an estimator's expectation."""
    u, v = (normal(SIZE, seed=seed) for seed in directions)
    return directional_derivatives(
        lambda x: trajectories().expectation(x, estimator), theta(), (u, v)
    )


@functools.cache
def true_derivatives():
    u, v = normal(SIZE, seed=8), normal(SIZE, seed=20)
    return directional_derivatives(
        lambda x: trajectories().expected_return(x, DISCOUNT), theta(), (u, v)
    )


def assert_unbiased(found, orders):
    for order in orders:
        expected = true_derivatives()[order]
        assert np.abs(expected).max() > 1e-3, "nothing to compare"
        np.testing.assert_allclose(
            found[order], expected, rtol=1e-10, atol=1e-12, err_msg=str(order)
        )


def assert_biased(found, order):
    expected = true_derivatives()[order]
    error = np.linalg.norm(found[order] - expected)
    assert error > 0.05 * np.linalg.norm(expected)


# --- All of them ------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_the_value_is_the_discounted_return(name):
    log_probs, rewards = -(normal(T, B) ** 2), normal(T, B, seed=1)
    for discount in (0.0, 0.8, 1, random_discounts()):
        discounts = np.broadcast_to(discount, (T, B)).astype(np.float64)
        weights = oracles.discount_weights(discounts)
        result = call(name, log_probs, rewards, discount, normal(T, B, seed=4))
        assert result.shape == [B]
        np.testing.assert_allclose(
            result, np.sum(weights * rewards, axis=0), rtol=1e-12
        )


@pytest.mark.parametrize("name", CASES)
def test_gradients_flow_through_the_log_probabilities_only(name):
    rewards, values = normal(T, B, seed=1), normal(T, B, seed=4)
    discounts, log_probs = tf.constant(random_discounts()), normal(T, B)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch((rewards, values, discounts, log_probs))
        result = call(name, log_probs, rewards, discounts, values)
        # Second derivatives must not open the way either.
        gradient = tape.gradient(result, log_probs)
    for held_constant in (rewards, values, discounts):
        assert tape.gradient(result, held_constant) is None
        assert tape.gradient(gradient, held_constant) is None


@pytest.mark.parametrize("name", CASES)
def test_it_is_the_same_in_graphs_and_under_xla_for_any_batch(name):
    log_probs, rewards = normal(T, B), normal(T, B, seed=1)
    values = normal(T, B, seed=4)

    def gradient(log_probs, rewards, values):
        with tf.GradientTape() as tape:
            tape.watch(log_probs)
            result = call(name, log_probs, rewards, 0.9, values)
        return tape.gradient(result, log_probs)

    eager = gradient(log_probs, rewards, values)
    free = tf.TensorSpec([T, None], tf.float64)
    graph = tf.function(gradient, input_signature=[free] * 3)
    compiled = tf.function(gradient, jit_compile=True)
    for function in (graph, compiled):
        np.testing.assert_allclose(
            function(log_probs, rewards, values), eager, rtol=1e-12, atol=1e-13
        )


@pytest.mark.parametrize("name", CASES)
def test_float32_and_numpy_inputs_keep_their_dtype(name):
    values = np.float32(normal(T, B))
    result = call(name, np.float32(normal(T, B)), np.ones((T, B)), 0.5, values)
    assert result.dtype == tf.float32


# --- The surrogate ----------------------------------------------------------


@pytest.mark.parametrize("baseline", [None, LEFT_OUT, VALUES])
def test_first_derivatives_of_the_surrogate_are_those_of_dice(baseline):
    """Sample by sample, whatever the baseline."""
    log_probs, rewards = normal(T, B), normal(T, B, seed=1)
    if baseline == VALUES:
        baseline = normal(T, B, seed=4)
    gradients = []
    for function in (dice_objective, estimators.surrogate_objective):
        with tf.GradientTape() as tape:
            tape.watch(log_probs)
            result = function(
                log_probs,
                rewards,
                discount=random_discounts(),
                baseline=baseline,
            )
        gradients.append(tape.gradient(result, log_probs))
    np.testing.assert_allclose(gradients[1], gradients[0], atol=1e-13)


@pytest.mark.parametrize("baseline", [None, VALUES])
def test_the_surrogate_is_unbiased_to_the_first_order_only(baseline):
    values = None if baseline is None else trajectories().values
    found = expected_derivatives(estimate("surrogate", values))
    assert_unbiased(found, orders=(0, 1))
    assert_biased(found, order=2)
    assert_biased(found, order=3)


@pytest.mark.parametrize("baseline", [None, VALUES])
def test_second_derivatives_of_the_surrogate_lack_the_products_of_scores(
    baseline,
):
    """They are E[sum_t a_t d2 log pi(a_t)]: diagonal for these policies."""
    every, x = trajectories(), theta()
    weights = DISCOUNT ** np.arange(every.length)[:, np.newaxis]
    values = every.values if baseline == VALUES else np.zeros_like(weights)
    credits = np.cumsum((weights * every.rewards)[::-1], axis=0)[::-1]
    credits = credits - weights * values
    # d2/dx2 log sigmoid(+-x) = -sigmoid(x) (1 - sigmoid(x)).
    share = 1 / (1 + np.exp(-x.numpy()))
    curvature = -share * (1 - share)
    visited = np.zeros((2, 5))
    for i, s in np.ndindex(2, 5):
        at = np.sum(credits * (every.rows[i] == s), axis=0)
        visited[i, s] = np.sum(every.chances(x) * at)
    expected = np.diag(visited.ravel() * curvature)

    _, hessian = gradient_and_hessian(
        lambda x: every.expectation(
            x, estimate("surrogate", every.values if baseline else None)
        ),
        x,
    )
    np.testing.assert_allclose(hessian, expected, atol=1e-13)
    _, true = gradient_and_hessian(
        lambda x: every.expected_return(x, DISCOUNT), x
    )
    # What shapes an opponent, and what is not there.
    assert np.abs(true[:5, 5:]).max() > 0.05
    np.testing.assert_array_equal(hessian[:5, 5:], np.zeros((5, 5)))


def test_generalised_advantages_bias_the_surrogate_unless_values_are_exact():
    wrong = estimate("surrogate", trajectories().values, tau=0.3)
    assert_biased(expected_derivatives(wrong), order=1)
    values = trajectories().exact_values(theta(), DISCOUNT)
    for tau in (0.0, 0.3):
        right = estimate("surrogate", values, tau=tau)
        assert_unbiased(expected_derivatives(right), orders=(0, 1))


def test_the_surrogate_credits_an_action_with_its_advantage():
    """dJ/dlog p_t = d_t sum_k (discount tau)^k delta_{t+k}, held constant."""
    log_probs, rewards = normal(T, B), normal(T, B, seed=1).numpy()
    discounts, values = random_discounts(), normal(T, B, seed=4).numpy()
    following = np.append(values[1:], np.zeros((1, B)), axis=0)
    errors = rewards + discounts * following - values
    expected = oracles.discount_weights(discounts) * oracles.returns_to_go(
        errors, 0.4 * discounts
    )
    with tf.GradientTape() as second:
        second.watch(log_probs)
        with tf.GradientTape() as first:
            first.watch(log_probs)
            result = call(
                "surrogate, gae", log_probs, rewards, discounts, values
            )
        gradient = first.gradient(result, log_probs)
    np.testing.assert_allclose(gradient, expected, atol=1e-13)
    assert second.gradient(gradient, log_probs) is None


# --- The baseline of DiCE's authors -----------------------------------------


def test_the_first_order_baseline_is_unbiased_to_every_order():
    estimator = estimate("first order", trajectories().values)
    assert_unbiased(expected_derivatives(estimator), orders=(0, 1, 2, 3))


def test_its_first_derivatives_are_those_of_the_baseline_of_any_order():
    values, x = trajectories().values, theta()
    estimators_ = (
        estimate("first order", values),
        lambda log_probs: dice_objective(
            log_probs,
            trajectories().rewards,
            discount=DISCOUNT,
            baseline=values,
        ),
    )
    (one, one_hessian), (other, other_hessian) = (
        trajectories().episode_derivatives(x, f) for f in estimators_
    )
    np.testing.assert_allclose(one, other, atol=1e-13)
    assert np.abs(one_hessian - other_hessian).max() > 0.1


VARIANCE_CASES = {
    "none": lambda *args, baseline, **options: dice_objective(*args, **options),
    "any order": dice_objective,
    "surrogate": estimators.surrogate_objective,
    "first order": estimators.first_order_baseline_objective,
    "lambda": functools.partial(estimators.loaded_dice_objective, lambda_=0.5),
    "tau": functools.partial(estimators.loaded_dice_objective, tau=0.0),
}


@functools.cache
def variances(name):
    """Of one episode's gradient and Hessian, summed over their entries.

    The baseline is exact, and returns are far from zero, as in long games.
    """
    every, x, bonus = trajectories(), theta(), 2.0
    estimator = functools.partial(
        VARIANCE_CASES[name],
        rewards=every.rewards + bonus,
        discount=DISCOUNT,
        baseline=every.exact_values(x, DISCOUNT, bonus),
    )
    chances = every.chances(x).numpy()
    result = []
    for derivatives in every.episode_derivatives(x, estimator):
        rows = derivatives.reshape(len(chances), -1)
        errors = rows - chances @ rows
        result.append(np.sum(chances @ np.square(errors)))
    return np.array(result)


def test_the_first_order_baseline_lowers_the_variance_of_the_first_order():
    """And leaves much of the second, which the one of any order lowers."""
    none, paper, any_order = map(
        variances, ("none", "first order", "any order")
    )
    np.testing.assert_allclose(paper[0], any_order[0], rtol=1e-12)
    assert paper[0] < 0.3 * none[0]
    assert any_order[1] < 0.3 * none[1]
    assert paper[1] > 2 * any_order[1]


# --- Loaded DiCE ------------------------------------------------------------


def test_with_lambda_and_tau_of_1_loaded_dice_is_dice_with_state_values():
    """Sample by sample, to every order."""
    log_probs, rewards = normal(T, B), normal(T, B, seed=1)
    values, discounts = normal(T, B, seed=4), random_discounts()
    u, v = normal(T, B, seed=5), normal(T, B, seed=6)
    one, other = (
        directional_derivatives(
            lambda x, f=f: f(x, rewards, discount=discounts, baseline=values),
            log_probs,
            (u, v),
        )
        for f in (dice_objective, estimators.loaded_dice_objective)
    )
    for order, (expected, found) in enumerate(zip(one, other, strict=True)):
        assert np.abs(expected).max() > 0.1, "nothing to compare"
        np.testing.assert_allclose(
            found, expected, rtol=1e-11, atol=1e-12, err_msg=str(order)
        )


def slow_loaded_dice(log_p, at, r, v, gamma, lambda_, tau):
    """sum_t d_t [r_t + (e^(w_t - c_t) - e^(w_t - l_t - c'_t)) A_t], [B].

    The constants c and c' are the exponents at `at`.
    """
    total, weight = 0.0, np.ones(np.shape(r)[1])
    w, c = 0.0, 0.0
    for t in range(len(r)):
        advantage, decay = 0.0, 1.0
        for k in range(t, len(r)):
            following = v[k + 1] if k + 1 < len(r) else 0.0
            delta = r[k] + gamma[k] * following - v[k]
            advantage = advantage + decay * delta
            decay = decay * gamma[k] * tau
        w, c = lambda_ * w + log_p[t], lambda_ * c + at[t]
        loaded = np.exp(w - c) - np.exp((w - log_p[t]) - (c - at[t]))
        total = total + weight * (r[t] + loaded * advantage)
        weight = weight * gamma[t]
    return total


@pytest.mark.parametrize(
    "lambda_, tau", [(1, 1), (0.7, 1), (1, 0.4), (0.7, 0.4), (0, 0)]
)
def test_loaded_dice_is_that_of_the_paper(lambda_, tau):
    log_probs, u = normal(T, B), normal(T, B, seed=5)
    arguments = (
        normal(T, B, seed=1).numpy(),
        normal(T, B, seed=4).numpy(),
        random_discounts(),
    )

    def slow_gradient(x):
        return oracles.complex_step_gradient(
            lambda y: slow_loaded_dice(
                y, log_probs.numpy(), *arguments, lambda_, tau
            ).sum(),
            x,
        )

    rewards, values, discounts = arguments
    value, gradient, hessian, _ = directional_derivatives(
        lambda x: estimators.loaded_dice_objective(
            x,
            rewards,
            discount=discounts,
            baseline=values,
            lambda_=lambda_,
            tau=tau,
        ),
        log_probs,
        (u, u),
    )
    at, step = log_probs.numpy(), 1e-5 * u.numpy()
    np.testing.assert_allclose(
        value, slow_loaded_dice(at, at, *arguments, lambda_, tau), rtol=1e-12
    )
    np.testing.assert_allclose(gradient, slow_gradient(at), atol=1e-12)
    np.testing.assert_allclose(
        hessian,
        (slow_gradient(at + step) - slow_gradient(at - step)) / 2e-5,
        atol=1e-7,
    )


def test_a_lambda_below_1_biases_derivatives_from_the_second_order_on():
    found = expected_derivatives(
        estimate("loaded", trajectories().values, lambda_=0.5, tau=1.0)
    )
    assert_unbiased(found, orders=(0, 1))
    assert_biased(found, order=2)


def test_a_tau_below_1_biases_all_derivatives_unless_values_are_exact():
    options = {"lambda_": 1.0, "tau": 0.0}
    wrong = estimate("loaded", trajectories().values, **options)
    assert_biased(expected_derivatives(wrong), order=1)
    values = trajectories().exact_values(theta(), DISCOUNT)
    right = expected_derivatives(estimate("loaded", values, **options))
    assert_unbiased(right, orders=(0, 1, 2, 3))


def test_lambda_and_tau_below_1_lower_the_variance():
    any_order = variances("any order")
    assert np.all(variances("tau") < 0.8 * any_order)
    assert variances("lambda")[1] < 0.8 * any_order[1]


# --- Bad input --------------------------------------------------------------


@pytest.mark.parametrize(
    "name, changes, message",
    [
        ("surrogate", {"tau": 0.5}, "`tau` below 1 needs state values as the"),
        (
            "surrogate",
            {"tau": 0.5, "baseline": LEFT_OUT},
            "baseline='leave_one_out', tau=0.5",
        ),
        (
            "surrogate",
            {"tau": 0.5, "baseline": tf.zeros_like},
            "`tau` below 1 needs state values as the",
        ),
        ("surrogate", {"tau": -0.1}, "`tau` must be finite and in"),
        ("surrogate", {"baseline": "critic"}, "`baseline` must be None, 'lea"),
        ("first order", {"baseline": None}, "must be state values of shape"),
        ("first order", {"baseline": LEFT_OUT}, "baseline='leave_one_out'"),
        ("first order", {"rewards": normal(B, T)}, "`rewards` must have the"),
        ("loaded", {"baseline": tf.zeros_like}, "must be state values of"),
        ("loaded", {"baseline": None}, "must be state values of shape"),
        ("loaded", {"baseline": normal(T)}, "`baseline` must have the shape"),
        ("loaded", {"lambda_": 1.5}, "`lambda_` must be finite and in"),
        ("loaded", {"tau": 2.0}, "`tau` must be finite and in"),
        ("loaded", {"discount": 1.1}, "`discount` must be finite and in"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(name, changes, message):
    arguments = {
        "rewards": normal(T, B),
        "discount": 0.9,
        "baseline": None if name == "surrogate" else normal(T, B),
    }
    with pytest.raises(ValueError, match=message):
        CASES[name][0](normal(T, B), **{**arguments, **changes})
