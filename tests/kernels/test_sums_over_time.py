"""Sums over time."""

import numpy as np
import pytest
import tensorflow as tf

from dice_tf.kernels.sums_over_time import (
    cumulative_sum,
    decaying_sum,
    plain_sum_over_time,
)
from tests.graphs import operations_with_calls
from tests.kernels.programs import (
    NUM_RUNS,
    WAYS,
    assert_agreement,
    compiled_program,
    compute,
    count_calls,
    largest_array,
)

pytestmark = pytest.mark.own_process

BATCH_SIZE = 3


def runs_of(length):
    rng = np.random.default_rng(length)
    return rng.normal(size=(NUM_RUNS, length, BATCH_SIZE))


# Of one step, of blocks that are padded, and of blocks that fit.
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("length", "decay", "reverse"),
    [(1, 0.9, False), (7, 1.0, True), (24, 0.9, False)],
)
def test_a_cumulative_sum_is_its_recursion(way, length, decay, reverse):
    assert_agreement(
        way,
        lambda x: cumulative_sum(x, decay=decay, reverse=reverse),
        lambda x: plain_sum_over_time(x, decay * tf.ones_like(x), reverse),
        runs_of(length),
    )


def factors_of(length):
    """Of which about one in four separates."""
    rng = np.random.default_rng(length + 1)
    factors = rng.uniform(0.5, 1.0, size=(NUM_RUNS, length, BATCH_SIZE))
    return factors * (rng.uniform(size=factors.shape) > 0.25)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("length", "reverse"), [(1, False), (4, True), (7, False), (17, True)]
)
def test_a_decaying_sum_is_its_recursion(way, length, reverse):
    assert_agreement(
        way,
        lambda x, factors: decaying_sum(x, factors, reverse),
        lambda x, factors: plain_sum_over_time(x, factors, reverse),
        runs_of(length),
        factors_of(length),
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("reverse", [False, True])
def test_nothing_passes_a_factor_of_0(way, reverse):
    """Neither in the sum nor in a derivative."""

    def sum_and_gradient(x, factors):
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = decaying_sum(x, factors, reverse)
        upstream = tf.where(tf.math.is_finite(x), 1.0, np.nan)
        upstream = tf.cast(upstream, x.dtype)
        return total, tape.gradient(total, x, output_gradients=upstream)

    x, factors = runs_of(6), np.full((NUM_RUNS, 6, BATCH_SIZE), 0.5)
    separating, outside = (4, slice(4, 6)) if not reverse else (1, slice(0, 2))
    factors[:, separating] = 0.0
    x[:, slice(0, 4) if not reverse else slice(2, 6)] = np.inf
    total, gradient = compute(way, sum_and_gradient, x, factors)
    assert np.all(np.isfinite(total[:, outside]))
    assert np.all(np.isfinite(gradient[:, outside]))
    assert not np.any(np.isfinite(np.delete(total, outside, axis=1)))


def hessian_of_squares(function):
    """A program as of a training step: with second derivatives."""

    def derivative(x):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                value = tf.reduce_sum(tf.exp(function(x)))
            gradient = inner.gradient(value, x)
        return outer.gradient(gradient, x)

    return derivative


def number_of_operations(function, length):
    """Of the graph of second derivatives."""
    x = tf.zeros([length, 2], tf.float64)
    derivative = tf.function(hessian_of_squares(function), autograph=False)
    graph = derivative.get_concrete_function(x).graph
    return len(operations_with_calls(graph))


def test_a_cumulative_sum_takes_no_turns_and_no_large_matrix():
    def total(x):
        return cumulative_sum(x, decay=0.9)

    # Both lengths need padding, or neither does.
    operations = [number_of_operations(total, length) for length in (24, 150)]
    assert operations[0] == operations[1]
    program = compiled_program(hessian_of_squares(total), np.zeros((150, 2)))
    assert count_calls(program, "while") == 0
    # A matrix of all pairs of steps would have 22,500 entries.
    assert largest_array(program) <= 150 * 10


def test_the_numbers_of_vectorised_runs_are_not_transposed():
    derivative = hessian_of_squares(cumulative_sum)
    program = compiled_program(
        lambda x: tf.vectorized_map(derivative, x), np.zeros((5, 150, 16))
    )
    assert count_calls(program, "transpose") == 0


def test_a_decaying_sum_takes_turns_like_the_logarithm_of_its_length():
    def total(x):
        return decaying_sum(x, 0.5 * tf.ones_like(x), reverse=True)

    operations = [number_of_operations(total, length) for length in (4, 16, 64)]
    growth = np.diff(operations)
    # The same for each factor of four, and not four times as many.
    assert growth[1] <= 1.2 * growth[0]
    program = compiled_program(hessian_of_squares(total), np.zeros((4, 2)))
    assert count_calls(program, "while") == 0
