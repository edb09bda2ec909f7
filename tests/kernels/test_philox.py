"""Many draws at once, against TensorFlow's own of one seed each."""

import numpy as np
import pytest
import tensorflow as tf

from dice_tf.kernels.draws import draw_compiled
from dice_tf.kernels.philox import (
    bits_of_blocks,
    count_blocks,
    draw_blocks,
    draw_many,
    plain_draw_many,
)
from tests.graphs import operations_with_calls
from tests.kernels.programs import compiled_program, count_calls

SEEDS = [[0, 0], [0, 1], [1, 0], [2**31 - 1, 7], [-3, -1], [123456, -(2**31)]]


def assert_bits(found, shape):
    assert found.shape == (len(SEEDS), *shape) and found.dtype == tf.uint32
    expected = plain_draw_many(tf.constant(SEEDS), shape)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("shape", [[], [5], [3, 70]])
@pytest.mark.parametrize("way", ["eager", "graph", "xla"])
def test_the_bits_are_those_that_tensorflow_draws(shape, way):
    draw = draw_many
    if way != "eager":
        draw = tf.function(draw_many, jit_compile=way == "xla")
    assert_bits(draw(tf.constant(SEEDS), shape), shape)


# Less than a block, one that is not full at the end, and many full ones.
@pytest.mark.parametrize("shape", [[], [3, 71], [150, 96]])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_blocks_hold_the_bits_that_tensorflow_draws(shape, jit_compile):
    draw = tf.function(draw_blocks, jit_compile=jit_compile)
    blocks = draw(tf.constant(SEEDS), count_blocks(shape))
    assert_bits(bits_of_blocks(blocks, shape), shape)


def test_few_operations_draw_for_few_seeds():
    def number_of_operations(num_seeds):
        seeds = tf.constant(SEEDS[:num_seeds])
        draw = tf.function(lambda seeds: draw_compiled(seeds, [4]))
        graph = draw.get_concrete_function(seeds).graph
        return len(operations_with_calls(graph))

    # One for each seed scrambles it, and one draws.
    assert number_of_operations(6) - number_of_operations(2) <= 8
    assert number_of_operations(1) <= 10


def test_many_seeds_are_scrambled_together_for_few_numbers():
    seeds = tf.tile(tf.constant(SEEDS), [50, 1])
    draw = tf.function(lambda seeds: draw_compiled(seeds, [3]))
    graph = draw.get_concrete_function(seeds).graph
    names = operations_with_calls(graph)
    assert "StatelessRandomGetKeyCounter" not in names
    np.testing.assert_array_equal(
        draw(seeds)[-len(SEEDS) :], plain_draw_many(tf.constant(SEEDS), [3])
    )


# Many numbers, and so few that no program is launched.
@pytest.mark.parametrize("shape", [[150, 96], [3, 5]])
@pytest.mark.parametrize("way", ["eager", "graph"])
def test_a_program_draws_the_bits_that_tensorflow_draws(shape, way):
    draw = tf.function(draw_compiled) if way == "graph" else draw_compiled
    assert_bits(draw(tf.constant(SEEDS), shape), shape)


def test_seeds_are_scrambled_together():
    def number_of_operations(num_seeds):
        seeds = tf.constant(SEEDS[:num_seeds])
        draw = tf.function(lambda seeds: draw_many(seeds, [4]))
        graph = draw.get_concrete_function(seeds).graph
        return len(operations_with_calls(graph))

    # One operation for each seed, which draws: not the twenty that scramble.
    assert number_of_operations(6) - number_of_operations(2) <= 4


def test_many_numbers_are_drawn_without_kernels_of_tensorflow():
    draw = tf.function(lambda seeds: draw_compiled(seeds, [2, 2**14]))
    graph = draw.get_concrete_function(tf.constant(SEEDS)).graph
    operations = operations_with_calls(graph)
    assert not any("Stateless" in name for name in operations)


def test_a_block_is_computed_once_for_all_its_words():
    program = compiled_program(
        lambda seeds: draw_blocks(seeds, 1024), np.array(SEEDS, np.int32)
    )
    # Ten rounds of two products, for the blocks and for the scrambled seeds,
    # whose results are read at two places. Each word alone would take as many.
    assert count_calls(program, "multiply") <= 3 * 2 * 10
    assert count_calls(program, "while") == 0
