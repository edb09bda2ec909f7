"""Lambda-returns: the targets of TD(lambda)."""

import numpy as np
import pytest
import tensorflow as tf

from dice_tf.estimators.returns import generalized_advantages, lambda_returns

T, B = 6, 4


def normal(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(size=shape))


def random_discounts():
    rng = np.random.default_rng(9)
    return rng.uniform(0.5, 1, (T, B)) * (rng.uniform(size=(T, B)) > 0.2)


def slow_lambda_returns(r, v, gamma, lambda_, final):
    """(1 - lambda) sum_n lambda^(n-1) G^(n)_t + lambda^(T-t-1) G_t, [T, B].

    From the n-step returns `G^(n)`, as in the textbook, not by recursion.
    """
    values = np.append(v, [final], axis=0)
    result = np.zeros_like(r)
    for t in range(T):
        steps = []
        for n in range(1, T - t + 1):
            total, weight = 0.0, 1.0
            for k in range(t, t + n):
                total = total + weight * r[k]
                weight = weight * gamma[k]
            steps.append(total + weight * values[t + n])
        for n, step in enumerate(steps[:-1], start=1):
            result[t] += (1 - lambda_) * lambda_ ** (n - 1) * step
        result[t] += lambda_ ** (T - t - 1) * steps[-1]
    return result


@pytest.mark.parametrize("lambda_", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("discount", [0.0, 0.9, 1, None], ids=str)
def test_they_are_mixtures_of_n_step_returns(discount, lambda_):
    rewards, values = normal(T, B), normal(T, B, seed=1)
    final = normal(B, seed=2)
    if discount is None:
        discount = random_discounts()
    expected = slow_lambda_returns(
        rewards.numpy(),
        values.numpy(),
        np.broadcast_to(discount, (T, B)),
        lambda_,
        final.numpy(),
    )
    found = lambda_returns(
        rewards,
        values,
        discount=discount,
        lambda_=lambda_,
        final_values=final,
    )
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


def test_episodes_end_with_the_value_0_unless_told():
    rewards, values = normal(T, B), normal(T, B, seed=1)
    one, other = (
        lambda_returns(rewards, values, discount=0.9, lambda_=0.5, **options)
        for options in ({}, {"final_values": tf.zeros(B, tf.float64)})
    )
    np.testing.assert_array_equal(one, other)


def test_values_play_no_part_with_lambda_1():
    rewards = normal(T, B)
    one, other = (
        lambda_returns(rewards, normal(T, B, seed=seed), discount=0.9)
        for seed in (1, 2)
    )
    np.testing.assert_allclose(one, other, rtol=1e-12)


def test_they_are_fixed_by_values_without_error():
    """Returns of what is certain are their own lambda-returns."""
    rewards = normal(T, B)
    values = lambda_returns(rewards, tf.zeros_like(rewards), discount=0.9)
    for lambda_ in (0.0, 0.6):
        found = lambda_returns(rewards, values, discount=0.9, lambda_=lambda_)
        np.testing.assert_allclose(found, values, rtol=1e-12)


def test_discounts_are_held_constant():
    discounts, rewards = tf.constant(random_discounts()), normal(T, B)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(discounts)
        options = {"discount": discounts}
        found = lambda_returns(rewards, rewards, lambda_=0.5, **options)
        advantages = generalized_advantages(rewards, rewards, **options)
    assert tape.gradient(found, discounts) is None
    assert tape.gradient(advantages, discounts) is None


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"lambda_": 1.2}, r"`lambda_` must be finite and in \[0, 1\]"),
        ({"discount": -0.1}, "`discount` must be finite and in"),
        ({"values": normal(B, T)}, "`values` must have the shape of `rewards"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(changes, message):
    arguments = {"values": normal(T, B), "discount": 0.9, **changes}
    with pytest.raises(ValueError, match=message):
        lambda_returns(normal(T, B), arguments.pop("values"), **arguments)
