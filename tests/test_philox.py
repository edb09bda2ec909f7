"""Many draws at once, against TensorFlow's own of one seed each."""

import numpy as np
import pytest
import tensorflow as tf

from dice_tf.philox import draw_many

SEEDS = [[0, 0], [0, 1], [1, 0], [2**31 - 1, 7], [-3, -1], [123456, -(2**31)]]


@pytest.mark.parametrize("shape", [[], [5], [3, 70]])
@pytest.mark.parametrize("compile_graph", [False, True])
def test_the_bits_are_those_that_tensorflow_draws(shape, compile_graph):
    draw = tf.function(draw_many) if compile_graph else draw_many
    found = draw(tf.constant(SEEDS), shape)
    for seed, bits in zip(SEEDS, found, strict=True):
        expected = tf.random.stateless_uniform(
            shape, seed, None, None, tf.uint32, alg="philox"
        )
        assert bits.shape == shape and bits.dtype == tf.uint32
        np.testing.assert_array_equal(bits, expected)
