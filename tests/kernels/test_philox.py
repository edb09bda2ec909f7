"""Many draws at once, against TensorFlow's own of one seed each."""

import numpy as np
import pytest
import tensorflow as tf

from dice_tf.kernels.philox import (
    bits_of_blocks,
    count_blocks,
    draw_blocks,
    draw_many,
)

SEEDS = [[0, 0], [0, 1], [1, 0], [2**31 - 1, 7], [-3, -1], [123456, -(2**31)]]


def check_bits(found, shape):
    assert found.shape == (len(SEEDS), *shape) and found.dtype == tf.uint32
    for seed, bits in zip(SEEDS, found, strict=True):
        expected = tf.random.stateless_uniform(
            shape, seed, None, None, tf.uint32, alg="philox"
        )
        np.testing.assert_array_equal(bits, expected)


@pytest.mark.parametrize("shape", [[], [5], [3, 70]])
@pytest.mark.parametrize("compile_graph", [False, True])
def test_the_bits_are_those_that_tensorflow_draws(shape, compile_graph):
    draw = tf.function(draw_many) if compile_graph else draw_many
    check_bits(draw(tf.constant(SEEDS), shape), shape)


# Less than a block, one that is not full at the end, and many full ones.
@pytest.mark.parametrize("shape", [[], [3, 71], [150, 96]])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_blocks_hold_the_bits_that_tensorflow_draws(shape, jit_compile):
    draw = tf.function(draw_blocks, jit_compile=jit_compile)
    blocks = draw(tf.constant(SEEDS), count_blocks(shape))
    check_bits(bits_of_blocks(blocks, shape), shape)
