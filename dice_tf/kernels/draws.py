"""Random bits for a training step, computed by a program of their own."""

import functools
import math
from collections.abc import Callable

import tensorflow as tf

from dice_tf.kernels.philox import (
    Draw,
    bits_of_blocks,
    count_blocks,
    draw_blocks,
    draw_each,
    draw_many,
)

# Launching a program takes longer than to draw fewer numbers.
_MANY_NUMBERS = 2**15
# It takes longer to scramble more seeds one by one than all at once.
_MANY_SEEDS = 100


def choose_draw(compiles: bool) -> Draw:
    """Returns how random bits are drawn for a step that is about to be built.

    If the caller compiles what is around the step, too, TensorFlow's operations
    draw: inside a compiled program, XLA cannot launch another one.

    Args:
      compiles: whether the step is a program of XLA.

    Returns:
      `draw_compiled` or `dice_tf.kernels.philox.draw_many`.
    """
    if compiles and tf.__internal__.get_enclosing_xla_context() is None:
        return draw_compiled
    return draw_many


def draw_compiled(seeds: tf.Tensor, shape: list[int]) -> tf.Tensor:
    """Draws random bits for each of many seeds, many of them by XLA.

    A program draws several times as fast as TensorFlow's kernels, which draw
    number by number: 2.9 instead of 11.6 ms for 200 draws of 150 x 2 x 64
    numbers, on two CPU cores. An iteration of batch 64 takes 0.76 of its time,
    20 runs 0.63, batch 4,096 0.80 (benchmarks/PROFILE.md).

    It is a program of its own. In the program that uses them, XLA on CPU would
    compute the bits again for every operation that reads them.

    `dice_tf.kernels.philox.plain_draw_many` is its reference.

    Args:
      seeds: int32 `[num, 2]`.
      shape: static shape of each draw.

    Returns:
      uint32 `[num, *shape]`, for each seed the bits that TensorFlow draws.
    """
    num_seeds = seeds.shape[0]
    if num_seeds * math.prod(shape) < _MANY_NUMBERS:
        draw = draw_many if num_seeds > _MANY_SEEDS else draw_each
        return draw(seeds, shape)
    blocks = _program(num_seeds, count_blocks(shape))(seeds)
    return bits_of_blocks(blocks, shape)


@functools.cache
def _program(num_seeds: int, num_blocks: int) -> Callable:
    return tf.function(
        functools.partial(draw_blocks, num_blocks=num_blocks),
        input_signature=[tf.TensorSpec([num_seeds, 2], tf.int32)],
        autograph=False,
        jit_compile=True,
    )
