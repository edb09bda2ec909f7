"""Recurrences that are linear in their state."""

import numpy as np
import pytest
import tensorflow as tf

from dice_tf.kernels.linear_recurrences import (
    linear_recurrence,
    plain_linear_recurrence,
)
from tests.graphs import operations_with_calls
from tests.kernels.programs import (
    NUM_RUNS,
    WAYS,
    assert_agreement,
    compiled_program,
    compute,
    count_calls,
)

pytestmark = pytest.mark.own_process

SHAPE = (2, 3)


def runs_of(length):
    """Factors and numbers in one tensor, `[runs, 2, T, B, D]`."""
    rng = np.random.default_rng(length)
    return rng.normal(size=(NUM_RUNS, 2, length, *SHAPE))


def of_both(recurrence, reverse):
    """The recurrence as a function of one tensor, with factors in (0, 1)."""

    def states(both):
        return recurrence(tf.sigmoid(both[0]), both[1], reverse=reverse)

    return states


# Of one step, of pairs that fit at every level, and of pairs that do not.
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("length", "reverse"), [(1, False), (4, True), (7, False), (7, True)]
)
def test_it_is_its_recursion_to_the_third_derivative(way, length, reverse):
    assert_agreement(
        way,
        of_both(linear_recurrence, reverse),
        of_both(plain_linear_recurrence, reverse),
        runs_of(length),
    )


@pytest.mark.parametrize("reverse", [False, True])
def test_eager_derivatives_are_those_of_the_recursion(reverse):
    """Of the second order, where a constant state would lose a term."""

    def product(recurrence):
        both = tf.constant(runs_of(6)[0])
        with tf.GradientTape() as outer:
            outer.watch(both)
            with tf.GradientTape() as inner:
                inner.watch(both)
                states = of_both(recurrence, reverse)(both)
                value = tf.reduce_sum(tf.sin(states))
            squares = inner.gradient(value, both) ** 2
        return outer.gradient(squares, both)

    found, expected = map(product, (linear_recurrence, plain_linear_recurrence))
    assert np.abs(expected).max() > 1e-2
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_tapes_may_stand_around_a_vectorized_map(jit_compile):
    """Of which TensorFlow takes the derivatives of each operation."""
    runs = tf.constant(runs_of(5))

    def product(states_of_all):
        with tf.GradientTape() as outer:
            outer.watch(runs)
            with tf.GradientTape() as inner:
                inner.watch(runs)
                value = tf.reduce_sum(tf.sin(states_of_all()))
            squares = inner.gradient(value, runs) ** 2
        return outer.gradient(squares, runs)

    found = tf.function(product, autograph=False, jit_compile=jit_compile)(
        lambda: tf.vectorized_map(of_both(linear_recurrence, False), runs)
    )
    expected = product(
        lambda: tf.map_fn(of_both(plain_linear_recurrence, False), runs)
    )
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_it_is_the_loop_in_numpy():
    factors, x = np.random.default_rng(0).uniform(size=(2, 37, *SHAPE))
    states, state = [], np.zeros(SHAPE)
    for factor, number in zip(factors, x, strict=True):
        state = factor * state + number
        states.append(state)
    found = linear_recurrence(tf.constant(factors), tf.constant(x))
    np.testing.assert_allclose(found, states, rtol=1e-13)


@pytest.mark.parametrize("way", WAYS)
def test_long_sequences_are_finite_whatever_the_factors(way):
    """Products of 500 factors underflow, and of factors of 1 they do not."""
    length = 500
    factors = np.ones((1, length, 3, 1), np.float32)
    factors[:, :, 1], factors[:, :, 2] = 1e-30, 0.0
    x = np.ones_like(factors)

    def states_and_gradients(factors, x):
        with tf.GradientTape() as tape:
            tape.watch([factors, x])
            states = linear_recurrence(factors, x)
        return states, tape.gradient(states, [factors, x])

    states, gradients = compute(way, states_and_gradients, factors, x)
    expected = np.stack([1.0 + np.arange(length), *np.ones((2, length))], 1)
    np.testing.assert_allclose(states[0, ..., 0], expected, rtol=1e-6)
    np.testing.assert_allclose(gradients[1][0, :, 0, 0], expected[::-1, 0])
    assert np.all(np.isfinite(gradients[0]))


def second_derivative(both):
    with tf.GradientTape() as outer:
        outer.watch(both)
        with tf.GradientTape() as inner:
            inner.watch(both)
            value = tf.reduce_sum(of_both(linear_recurrence, False)(both) ** 3)
        gradient = inner.gradient(value, both)
    return outer.gradient(gradient, both)


def number_of_operations(length):
    both = tf.zeros([2, length, *SHAPE], tf.float64)
    derivative = tf.function(second_derivative, autograph=False)
    graph = derivative.get_concrete_function(both).graph
    return len(operations_with_calls(graph))


def test_operations_grow_like_the_logarithm_of_the_length():
    operations = [number_of_operations(length) for length in (8, 32, 128)]
    growth = np.diff(operations)
    # The same for each factor of four, and not four times as many.
    assert growth[1] <= 1.2 * growth[0]
    program = compiled_program(second_derivative, np.zeros((2, 8, *SHAPE)))
    assert count_calls(program, "while") == 0
