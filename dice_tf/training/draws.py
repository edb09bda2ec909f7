"""Random bits for a step, computed by a program of their own."""

import functools
import math
from collections.abc import Callable

import tensorflow as tf

from dice_tf.philox import bits_of_blocks, count_blocks, draw_blocks, draw_many

# To draw fewer numbers takes no longer than to launch a program.
_MANY_NUMBERS = 2**16


def draw_compiled(seeds: tf.Tensor, shape: list[int]) -> tf.Tensor:
    """Draws random bits for each of many seeds, many of them by XLA.

    A program draws several times as fast as TensorFlow's kernels. It is one of
    its own: in the program that uses them, XLA on CPU would compute the bits
    anew wherever they are read. Where the caller compiles that program, it is
    XLA's own generator that draws.

    Args:
      seeds: int32 `[num, 2]`.
      shape: static shape of each draw.

    Returns:
      uint32 `[num, *shape]`, the bits of `dice_tf.philox.draw_many`.
    """
    num_seeds = seeds.shape[0]
    if num_seeds * math.prod(shape) < _MANY_NUMBERS or _is_compiled():
        return draw_many(seeds, shape)
    blocks = _program(num_seeds, count_blocks(shape))(seeds)
    return bits_of_blocks(blocks, shape)


def _is_compiled() -> bool:
    """Returns whether the graph under construction is part of a program."""
    # TensorFlow notes it in the graph around a function that it compiles.
    around = getattr(tf.compat.v1.get_default_graph(), "outer_graph", None)
    if around is None:
        return False
    with around.as_default():
        return tf.__internal__.get_enclosing_xla_context() is not None


@functools.cache
def _program(num_seeds: int, num_blocks: int) -> Callable:
    return tf.function(
        functools.partial(draw_blocks, num_blocks=num_blocks),
        input_signature=[tf.TensorSpec([num_seeds, 2], tf.int32)],
        autograph=False,
        jit_compile=True,
    )
