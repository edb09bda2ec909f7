"""Sums over time."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from dice_tf.estimators.returns import (
    discount_weights,
    generalized_advantages,
    return_scale,
    returns_to_go,
)
from dice_tf.kernels.sums_over_time import cumulative_sum
from tests import oracles


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def random_discounts(*shape, seed=0):
    """Discounts of which about one in four ends an episode."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0.5, 1.0, shape) * (rng.uniform(size=shape) > 0.25)


def recursive_sum(x, decay):
    """y_t = x_t + decay y_(t-1)."""
    return oracles.returns_to_go(x[::-1], np.full_like(x, decay))[::-1]


# Of one block, of blocks that fit, and of a prime number of steps.
LENGTHS = [1, 7, 150, 149, 1025]


@pytest.mark.parametrize("decay", [1.0, 0.9, 0.0])
@pytest.mark.parametrize("length", LENGTHS)
def test_cumulative_sums_follow_their_recursion(length, decay):
    x = normal(length, 3)
    np.testing.assert_allclose(
        cumulative_sum(tf.constant(x), decay=decay),
        recursive_sum(x, decay),
        atol=1e-12,
    )
    np.testing.assert_allclose(
        cumulative_sum(tf.constant(x), decay=decay, reverse=True),
        recursive_sum(x[::-1], decay)[::-1],
        atol=1e-12,
    )


def test_sums_hold_for_a_length_known_only_at_run_time():
    free = tf.TensorSpec([None, None], tf.float64)

    def sums(x, discounts):
        return [
            cumulative_sum(x),
            cumulative_sum(x, reverse=True),
            cumulative_sum(x, decay=0.8),
            returns_to_go(x, discounts),
        ]

    x, discounts = (
        tf.constant(normal(5, 2)),
        tf.constant(random_discounts(5, 2)),
    )
    found = tf.function(sums, input_signature=[free, free])(x, discounts)
    for one, other in zip(found, sums(x, discounts), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


@pytest.mark.parametrize("length", LENGTHS)
def test_the_derivative_of_a_cumulative_sum_is_the_reverse_one(length):
    x, upstream = tf.constant(normal(length, 2)), normal(length, 2, seed=1)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = cumulative_sum(x, decay=0.9)
    np.testing.assert_allclose(
        tape.gradient(y, x, output_gradients=tf.constant(upstream)),
        recursive_sum(upstream[::-1], 0.9)[::-1],
        atol=1e-11,
    )


@pytest.mark.parametrize("discount", [0, 0.0, 0.3, 1, tf.constant(0.9)])
def test_a_scalar_discount_weighs_step_t_by_its_power(discount):
    weights = discount_weights(tf.zeros([4, 2], tf.float32), discount)
    # For all episodes: one for each would be a constant as large as a play.
    expected = [[float(discount) ** t] for t in range(4)]
    assert weights.shape == [4, 1]
    np.testing.assert_allclose(weights, expected, rtol=1e-6)
    assert weights.dtype == tf.float32


def test_discounts_per_step_weigh_by_the_product_of_those_before():
    discounts = random_discounts(6, 20)
    np.testing.assert_allclose(
        discount_weights(tf.zeros([6, 20], tf.float64), discounts),
        oracles.discount_weights(discounts),
        atol=1e-15,
    )


def test_a_discount_of_0_silences_what_follows_it_and_not_its_own_step():
    discounts = np.array([[1.0], [0.0], [1.0], [1.0]])
    weights = discount_weights(tf.zeros([4, 1], tf.float64), discounts)
    assert weights.numpy()[:, 0].tolist() == [1.0, 1.0, 0.0, 0.0]


@pytest.mark.parametrize("shape", [(), (3, 2)])
def test_no_gradient_flows_into_a_discount(shape):
    discount = tf.fill(shape, tf.constant(0.7, tf.float64))
    rewards = tf.constant(normal(3, 2))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(discount)
        results = [
            discount_weights(rewards, discount),
            returns_to_go(rewards, discount),
            generalized_advantages(rewards, rewards, discount=discount),
        ]
    for result in results:
        assert tape.gradient(result, discount) is None


@pytest.mark.parametrize("length", [1, 2, 7])
def test_returns_to_go_follow_their_recursion(length):
    rewards = normal(length, 10)
    discounts = random_discounts(length, 10)
    np.testing.assert_allclose(
        returns_to_go(tf.constant(rewards), discounts),
        oracles.returns_to_go(rewards, discounts),
        atol=1e-12,
    )
    np.testing.assert_allclose(
        returns_to_go(tf.constant(rewards), 0.9),
        oracles.returns_to_go(rewards, np.full_like(rewards, 0.9)),
        atol=1e-12,
    )


def test_the_first_return_to_go_is_the_discounted_return():
    rewards, discounts = normal(5, 4), random_discounts(5, 4)
    np.testing.assert_allclose(
        returns_to_go(tf.constant(rewards), discounts)[0],
        np.sum(oracles.discount_weights(discounts) * rewards, axis=0),
        atol=1e-12,
    )


@pytest.mark.parametrize("tau", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("per_step", [False, True])
def test_advantages_are_discounted_sums_of_errors(per_step, tau):
    rewards, values = normal(6, 4), normal(6, 4, seed=1)
    final = normal(4, seed=2)
    discounts = random_discounts(6, 4) if per_step else np.full((6, 4), 0.9)
    expected = np.zeros((6, 4))
    for t in range(6):
        weight = np.ones(4)
        for k in range(t, 6):
            after = values[k + 1] if k < 5 else final
            error = rewards[k] + discounts[k] * after - values[k]
            expected[t] += weight * error
            weight = weight * discounts[k] * tau
    found = generalized_advantages(
        tf.constant(rewards),
        tf.constant(values),
        discount=discounts if per_step else 0.9,
        tau=tau,
        final_values=tf.constant(final),
    )
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_advantages_at_tau_1_are_returns_less_values():
    rewards, values = tf.constant(normal(6, 4)), tf.constant(normal(6, 4))
    discounts = random_discounts(6, 4)
    np.testing.assert_allclose(
        generalized_advantages(rewards, values, discount=discounts),
        returns_to_go(rewards, discounts) - values,
        atol=1e-12,
    )


def test_values_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="`values` must have the shape of `re"):
        generalized_advantages(tf.zeros([3, 2]), tf.zeros([2, 3]), discount=0.9)


@pytest.mark.parametrize("function", [discount_weights, returns_to_go])
def test_wrong_discounts_are_refused(function):
    call = functools.partial(function, tf.zeros([3, 2]))

    with pytest.raises(ValueError, match=r"`discount` must be finite and in"):
        call(1.5)
    with pytest.raises(ValueError, match=r"`discount` must be finite and in"):
        call(-0.1)
    with pytest.raises(ValueError, match=r"`discount` must have shape \[\] or"):
        call(tf.ones([3]))
    with pytest.raises(ValueError, match=r"shape of `rewards`, \(3, 2\)"):
        call(tf.ones([2, 2]))


def test_the_reported_return_of_equal_rewards_is_that_reward():
    assert return_scale(0.9, None) * 3.0 / (1.0 - 0.9) == pytest.approx(3.0)
    assert return_scale(0.9, 7) == return_scale(0.9, None)
    assert return_scale(1.0, 7) * sum([3.0] * 7) == pytest.approx(3.0)
