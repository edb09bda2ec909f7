"""The magic box as a constant."""

import numpy as np
import pytest
import tensorflow as tf

from dice_tf import magic_box
from dice_tf.kernels.boxes import unit_box
from tests.kernels.programs import (
    NUM_RUNS,
    WAYS,
    assert_agreement,
    compiled_program,
    count_calls,
)


@pytest.mark.parametrize("way", WAYS)
def test_a_unit_box_has_the_derivatives_of_the_magic_box(way):
    x = np.random.default_rng(0).normal(size=(NUM_RUNS, 5))
    assert_agreement(way, unit_box, magic_box, x)


def test_what_leads_to_a_unit_box_is_not_computed():
    def second_derivative(x):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                # No derivative of a logarithm is one again.
                value = tf.reduce_sum(unit_box(tf.math.log1p(x)))
            gradient = inner.gradient(value, x)
        return outer.gradient(gradient, x)

    program = compiled_program(second_derivative, np.ones(64))
    names = ("exponential", "log-plus-one", "exponential-minus-one")
    assert count_calls(program, *names) == 0
    # Nor would NaN be.
    assert unit_box(tf.constant(np.nan)) == 1.0
