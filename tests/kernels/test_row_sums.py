"""Sums of many numbers."""

import numpy as np
import pytest
import tensorflow as tf

from dice_tf.kernels.row_sums import largest_divisor, mean_by_rows
from tests.kernels.programs import (
    NUM_RUNS,
    WAYS,
    assert_agreement,
    compiled_program,
    largest_array,
)


@pytest.mark.parametrize("jit_compile", [False, True])
# 15, 7 and one row (17 is prime), three axes, one, and none.
@pytest.mark.parametrize(
    "shape", [(150, 6), (7, 3), (17, 4), (30, 2, 5), (30,), ()]
)
def test_the_mean_is_that_of_all_numbers(shape, jit_compile):
    x = np.random.default_rng(0).normal(size=shape)
    result = tf.function(mean_by_rows, jit_compile=jit_compile)(tf.constant(x))
    np.testing.assert_allclose(result, x.mean(), rtol=1e-13)


@pytest.mark.parametrize("shape", [None, [None, None], [30, None]])
def test_the_mean_of_a_shape_that_is_not_known(shape):
    spec = tf.TensorSpec(shape, tf.float64)
    x = np.random.default_rng(0).normal(size=(30, 4))
    result = tf.function(mean_by_rows, input_signature=[spec])(tf.constant(x))
    np.testing.assert_allclose(result, x.mean(), rtol=1e-13)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("length", [30, 17])
def test_a_mean_has_the_derivatives_of_a_mean(way, length):
    x = np.random.default_rng(0).normal(size=(NUM_RUNS, length, 4))
    assert_agreement(way, mean_by_rows, tf.reduce_mean, x)


def test_the_numbers_are_not_written_to_memory():
    program = compiled_program(
        lambda x: mean_by_rows(x * tf.range(1.0, 151.0)[:, tf.newaxis]),
        np.ones([1, 64], np.float32),
    )
    # Fifteen rows become one.
    assert largest_array(program) <= 10 * 64


@pytest.mark.parametrize(
    ("count", "at_most", "expected"), [(150, 15, 15), (17, 15, 1), (14, 15, 14)]
)
def test_the_largest_divisor(count, at_most, expected):
    assert largest_divisor(count, at_most) == expected
