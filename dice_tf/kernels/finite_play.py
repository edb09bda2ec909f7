"""A loop that keeps every step, for play that is one small number per step."""

from collections.abc import Callable

import tensorflow as tf

from dice_tf.kernels.row_sums import largest_divisor

# From the number of a step, an int32 scalar, and the numbers of the step
# before, `[B]` in the dtype of the result, to those of this step, int32 `[B]`.
Advance = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

# How many steps of vectorised runs are written together, if it divides all.
_MIN_BLOCK, _MAX_BLOCK = 5, 30


def iterate_numbers(
    advance: Advance,
    first: tf.Tensor,
    *,
    length: int,
    bound: int,
    filler: tf.Tensor,
    num_runs: int = 1,
) -> tf.Tensor:
    """Returns `x_0, ..., x_{T-1}` with `x_t = advance(t, x_{t-1})`.

    `plain_iterate_numbers` says the same in a few lines. It is written for
    XLA on CPU, in three ways. Ratios of the time of a training iteration to
    that before each change are of two CPU cores, see benchmarks/PROFILE.md:

    - Numbers are kept in as few bytes as hold them, so that writing them and
      reading them later takes a quarter of the memory traffic, or half. With
      int32 in the place of int8, batch 4,096 takes 1.6 times as long.
    - A number is written one turn after it was computed, and only what was
      written is carried from turn to turn. XLA would otherwise compute it
      twice, to write it and to go on from it: 20 runs 0.94, batch 64 0.94.
    - Vectorised runs write in blocks: each turn of a loop inside
      `tf.vectorized_map` copies all that the loop has written. Without
      blocks, 20 runs take 1.5 times as long.

    Args:
      advance: the function that is iterated. It is called with steps from 1
        to T - 1, and is traced once. What it computes for a last turn, again
        at step T - 1, is dropped.
      first: int32 `[B]`, `x_0`.
      length: T, at least 1.
      bound: all numbers are in `[0, bound)`.
      filler: integer scalar that each of several vectorised runs has for
        itself and that nothing has to be computed for, such as one of its
        random bits. What is to be overwritten holds it.
      num_runs: how many runs `tf.vectorized_map` computes side by side. This
        changes the time that it takes, and no result.

    Returns:
      `[T, B]`, of the smallest integer dtype that holds `bound - 1`. Not
      differentiable.
    """
    dtype = _integer_below(bound)
    num_steps = _block_length(length, num_runs)
    num_blocks = length // num_steps
    row = tf.cast(first, dtype)

    def buffer(*lengths: int) -> tf.Tensor:
        # All is overwritten. `tf.vectorized_map` would take zeros for the same
        # in all runs, notice later that they are not, and convert the loop a
        # second time. From `row`, XLA would compute the row for each number.
        return tf.broadcast_to(tf.cast(filler, dtype), [*lengths, *row.shape])

    def play_block(
        block: tf.Tensor, row: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the row after a block that starts with `row`, and the block.

        Turns are counted from 1, the number of the row that they compute.
        """

        def turn(
            count: tf.Tensor, row: tf.Tensor, rows: tf.Tensor
        ) -> tuple[tf.Tensor, ...]:
            step = tf.minimum(block * num_steps + count, length - 1)
            following = tf.cast(advance(step, row), dtype)
            return count + 1, following, write_row(rows, count - 1, row)

        _, row, rows = tf.while_loop(
            lambda count, *_: count <= num_steps,
            turn,
            (tf.constant(1), row, buffer(num_steps)),
            maximum_iterations=num_steps,
        )
        return row, rows

    def play_on(
        block: tf.Tensor, row: tf.Tensor, blocks: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        row, rows = play_block(block, row)
        return block + 1, row, write_row(blocks, block, rows)

    if num_blocks == 1:
        return play_block(tf.constant(0), row)[1]
    *_, blocks = tf.while_loop(
        lambda block, *_: block < num_blocks,
        play_on,
        (tf.constant(0), row, buffer(num_blocks, num_steps)),
        maximum_iterations=num_blocks,
    )
    return tf.reshape(blocks, [length, *row.shape])


def plain_iterate_numbers(
    advance: Advance, first: tf.Tensor, *, length: int
) -> tf.Tensor:
    """Returns what `iterate_numbers` does, step by step, int32 `[T, B]`."""
    numbers = [first]
    for step in range(1, length):
        numbers.append(advance(tf.constant(step), numbers[-1]))
    return tf.stack(numbers)


def divide(numbers: tf.Tensor, divisor: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns quotients and remainders of numbers that are not negative.

    XLA divides unsigned numbers by a constant with a multiplication and a
    shift, in vectors. For signed ones it adds what rounds negative quotients.

    Args:
      numbers: integers of any shape, none negative.
      divisor: a positive Python integer.

    Returns:
      `numbers // divisor` and `numbers % divisor`, int32.
    """
    numbers = tf.cast(numbers, tf.uint32)
    return (
        tf.cast(numbers // divisor, tf.int32),
        tf.cast(numbers % divisor, tf.int32),
    )


def write_row(buffer: tf.Tensor, step: tf.Tensor, row: tf.Tensor) -> tf.Tensor:
    """Returns the buffer with a row written at this step.

    Unlike a TensorArray this works under `tf.vectorized_map` and XLA at once.

    Args:
      buffer: `[T, ...]`.
      step: int32 scalar in `[0, T)`.
      row: `[...]`.

    Returns:
      A tensor like `buffer`.
    """
    return tf.tensor_scatter_nd_update(buffer, [[step]], tf.expand_dims(row, 0))


def _integer_below(bound: int) -> tf.DType:
    """Returns the smallest integer type that holds `0, ..., bound - 1`."""
    return next(
        dtype
        for dtype in (tf.int8, tf.int16, tf.int32)
        if bound - 1 <= dtype.max
    )


def _block_length(length: int, num_runs: int) -> int:
    """Returns how many steps are written together."""
    block_length = largest_divisor(length, _MAX_BLOCK)
    if num_runs == 1 or block_length < _MIN_BLOCK:
        return length
    return block_length
