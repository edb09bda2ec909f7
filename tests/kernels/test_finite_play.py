"""A loop that keeps every step."""

import numpy as np
import pytest
import tensorflow as tf

from dice_tf.kernels.finite_play import (
    divide,
    iterate_numbers,
    plain_iterate_numbers,
    write_row,
)
from tests.kernels.programs import (
    NUM_RUNS,
    WAYS,
    compiled_program,
    compute,
    count_calls,
)

BATCH_SIZE = 6


def advance_with(noise, bound):
    """A walk whose every number tells of all before it and of its step."""

    def advance(step, number):
        return (3 * tf.cast(number, tf.int32) + noise[step] + step) % bound

    return advance


def noise_of_runs(length):
    rng = np.random.default_rng(length)
    shape = (NUM_RUNS, length, BATCH_SIZE)
    return rng.integers(1000, size=shape, dtype=np.int32)


# 35 steps are written in blocks, 37 divide into none; numbers of one byte
# and of two.
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("length", "bound"), [(1, 20), (35, 128), (37, 129), (35, 40_000)]
)
def test_all_steps_are_kept(way, length, bound):
    num_runs = NUM_RUNS if way.startswith("vectorized") else 1

    def kernel(noise):
        return iterate_numbers(
            advance_with(noise, bound),
            noise[0] % bound,
            length=length,
            bound=bound,
            filler=noise[0, 0],
            num_runs=num_runs,
        )

    def plain(noise):
        return plain_iterate_numbers(
            advance_with(noise, bound), noise[0] % bound, length=length
        )

    noise = noise_of_runs(length)
    found = compute(way, kernel, noise)
    np.testing.assert_array_equal(found, compute("graph", plain, noise))


def play_without_noise(first, num_runs=1):
    """Sixty steps, of which nothing but the result is an array of 60 rows."""

    def advance(step, number):
        # Cheap, as what XLA computes again for each reader, and easily counted.
        mixed = tf.bitwise.bitwise_xor(tf.cast(number, tf.int32), step)
        return tf.bitwise.bitwise_and(mixed, 31)

    return iterate_numbers(
        advance, first, length=60, bound=33, filler=first[0], num_runs=num_runs
    )


FIRST = np.arange(BATCH_SIZE, dtype=np.int32)


def test_steps_are_kept_in_as_few_bytes_as_hold_them():
    program = compiled_program(play_without_noise, FIRST)
    assert "s8[60,6]" in program and "s32[60,6]" not in program
    dtypes = [
        iterate_numbers(
            lambda step, row: row,
            tf.constant(FIRST),
            length=2,
            bound=bound,
            filler=tf.constant(0),
        ).dtype
        for bound in (128, 129, 2**15, 2**15 + 1)
    ]
    assert dtypes == [tf.int8, tf.int16, tf.int16, tf.int32]


def test_a_step_is_computed_once_for_all_that_read_it():
    program = compiled_program(play_without_noise, FIRST)
    assert count_calls(program, "xor") == 1


def vectorized_play(num_runs):
    return lambda first: tf.vectorized_map(
        lambda row: play_without_noise(row, num_runs), first
    )


def test_vectorised_runs_write_in_blocks():
    runs = np.stack([FIRST] * NUM_RUNS)
    program = compiled_program(vectorized_play(NUM_RUNS), runs)
    assert count_calls(program, "while") == 2
    # What a turn copies is a block of thirty steps, and not all that is kept.
    assert "s8[3,30,6]" in program


def test_a_loop_over_vectorised_runs_is_converted_once(monkeypatch):
    operations, create = [], tf.Graph._create_op_internal

    def record(graph, op_type, *args, **kwargs):
        operations.append(op_type)
        return create(graph, op_type, *args, **kwargs)

    monkeypatch.setattr(tf.Graph, "_create_op_internal", record)
    play = tf.function(vectorized_play(1), autograph=False)
    play.get_concrete_function(tf.constant([FIRST] * NUM_RUNS))
    # As it is written, and converted.
    assert operations.count("BitwiseXor") == 2


@pytest.mark.parametrize("divisor", [1, 4, 9])
@pytest.mark.parametrize("dtype", ["int8", "int16", "int32"])
def test_numbers_are_divided(dtype, divisor):
    numbers = np.arange(120, dtype=dtype)
    quotients, remainders = divide(tf.constant(numbers), divisor)
    np.testing.assert_array_equal(quotients, numbers // divisor)
    np.testing.assert_array_equal(remainders, numbers % divisor)
    assert quotients.dtype == remainders.dtype == tf.int32


def test_a_division_has_no_case_for_negative_numbers():
    program = compiled_program(
        lambda x: divide(x, 4), np.arange(120, dtype="int32")
    )
    assert count_calls(program, "select", "compare") == 0


def test_a_row_is_written_at_its_step():
    buffer, row = np.zeros((4, 3)), np.arange(3.0)
    found = write_row(tf.constant(buffer), tf.constant(2), tf.constant(row))
    buffer[2] = row
    np.testing.assert_array_equal(found, buffer)
