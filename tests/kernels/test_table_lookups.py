"""Reading a small table."""

import numpy as np
import pytest
import tensorflow as tf

from dice_tf.kernels.table_lookups import (
    count_pairs,
    lookup,
    plain_count_pairs,
    plain_lookup,
    plain_select_along,
    plain_sum_by_entry,
    plain_sums_along,
    select,
    select_by_episode,
    select_by_step,
    sum_by_entry,
    sums_along,
)
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

# How XLA on CPU reads and writes number by number.
ONE_BY_ONE = ("gather", "scatter", "while", "dynamic-update-slice")

SIZES = (1, 2, 16, 17, 33)


def numbers_and_index(*shape, size):
    rng = np.random.default_rng(size)
    shape = (NUM_RUNS, *shape)
    index = rng.integers(size, size=shape, dtype=np.int32)
    return rng.normal(size=shape), index


# As many entries as are selected, and one more.
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [1, 16, 17])
def test_a_lookup_is_a_gather(way, size):
    _, index = numbers_and_index(5, 40, size=size)
    tables = np.random.default_rng(1).normal(size=(NUM_RUNS, size))
    assert_agreement(way, lookup, plain_lookup, tables, index)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [1, 16, 17])
def test_a_sum_by_entry_is_a_sum_by_segment(way, size):
    assert_agreement(
        way,
        lambda *inputs: sum_by_entry(*inputs, size),
        lambda *inputs: plain_sum_by_entry(*inputs, size),
        *numbers_and_index(5, 40, size=size),
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [1, 5, 17])
def test_tables_of_steps_and_episodes_are_read_and_summed(way, size):
    numbers, index = numbers_and_index(6, 4, size=size)
    rng = np.random.default_rng(1)
    of_steps = rng.normal(size=(NUM_RUNS, size, 6))
    of_episodes = rng.normal(size=(NUM_RUNS, size, 4))

    def kernels(numbers, index, of_steps, of_episodes):
        return (
            select_by_step(of_steps, index),
            select_by_episode(of_episodes, index),
            sums_along(numbers, index, size, axis=0),
            sums_along(numbers, index, size, axis=1),
            count_pairs(index[:-1], index[1:], size, numbers.dtype),
        )

    def plain(numbers, index, of_steps, of_episodes):
        return (
            plain_select_along(of_steps, index, axis=0),
            plain_select_along(of_episodes, index, axis=1),
            plain_sums_along(numbers, index, size, axis=0),
            plain_sums_along(numbers, index, size, axis=1),
            plain_count_pairs(index[:-1], index[1:], size, numbers.dtype),
        )

    inputs = numbers, index, of_steps, of_episodes
    found = compute(way, kernels, *inputs)
    expected = compute("graph", plain, *inputs)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)
    # What the plain code says, once more, by a loop.
    steps, episodes = np.indices(index.shape[1:])
    for run in range(NUM_RUNS):
        np.testing.assert_array_equal(
            found[0][run], of_steps[run][index[run], steps]
        )
        np.testing.assert_array_equal(
            found[1][run], of_episodes[run][index[run], episodes]
        )


def table_and_index(size):
    rng = np.random.default_rng(size)
    return rng.normal(size=size), rng.integers(size, size=(5, 40))


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("read", [lookup, select])
@pytest.mark.parametrize("size", SIZES)
def test_the_table_is_read_at_the_index(size, read, jit_compile):
    table, index = table_and_index(size)
    read = tf.function(read, jit_compile=jit_compile)
    result = read(tf.constant(table), tf.constant(index, tf.int32))
    np.testing.assert_array_equal(result, table[index])


@pytest.mark.parametrize("jit_compile", [False, True])
def test_an_infinite_entry_leaves_others_as_they_are(jit_compile):
    table = tf.constant([-np.inf, 1.5, -2.5])
    read = tf.function(lookup, jit_compile=jit_compile)
    result = read(table, tf.constant([[0, 1], [2, 0]]))
    np.testing.assert_array_equal(result, [[-np.inf, 1.5], [-2.5, -np.inf]])


@pytest.mark.parametrize("size", SIZES)
def test_derivatives_of_a_lookup_add_up_at_each_entry(size):
    table, index = table_and_index(size)
    rng = np.random.default_rng(0)
    upstream, direction = rng.normal(size=index.shape), rng.normal(size=size)
    index = tf.constant(index, tf.int32)
    table, upstream = tf.constant(table), tf.constant(upstream)
    expected = np.zeros(size)
    with tf.GradientTape(persistent=True) as outer:
        outer.watch((table, upstream))
        with tf.GradientTape() as inner:
            inner.watch(table)
            cubes = tf.reduce_sum(upstream * lookup(table, index) ** 3)
        gradient = inner.gradient(cubes, table)
    np.add.at(expected, index, upstream * 3 * table.numpy()[index] ** 2)
    np.testing.assert_allclose(gradient, expected, atol=1e-11)
    # Once more, in the table and in what came from above.
    expected = np.zeros(size)
    np.add.at(expected, index, upstream * 6 * table.numpy()[index])
    np.testing.assert_allclose(
        outer.gradient(gradient, table, output_gradients=direction),
        expected * direction,
        atol=1e-11,
    )
    np.testing.assert_allclose(
        outer.gradient(gradient, upstream, output_gradients=direction),
        3 * table.numpy()[index] ** 2 * direction[index],
        atol=1e-11,
    )


# In rows, if some number of rows divides them: 65,537 is prime. More numbers in
# blocks of rows, unless their width has no divisor either, as 20,011.
@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((150, 640), 7),
        ((65_537,), 7),
        ((150, 640), 40),
        ((150, 2048), 7),
        ((15, 20_011), 7),
    ],
)
def test_many_numbers_add_up_at_each_entry(shape, size):
    rng = np.random.default_rng(0)
    index, upstream = rng.integers(size, size=shape), rng.normal(size=shape)
    table = tf.constant(rng.normal(size=size))

    @tf.function(jit_compile=True)
    def gradient():
        with tf.GradientTape() as tape:
            tape.watch(table)
            values = lookup(table, tf.constant(index, tf.int32))
        return tape.gradient(values, table, output_gradients=upstream)

    expected = np.zeros(size)
    np.add.at(expected, index, upstream)
    np.testing.assert_allclose(gradient(), expected, atol=1e-9)


def test_numbers_whose_shape_is_not_known_add_up_at_each_entry():
    index = np.random.default_rng(0).integers(3, size=(4, 30), dtype="int32")

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32)])
    def gradient(index):
        table = tf.zeros([3])
        with tf.GradientTape() as tape:
            tape.watch(table)
            total = tf.reduce_sum(lookup(table, index))
        return tape.gradient(total, table)

    expected = np.bincount(index.ravel())
    np.testing.assert_array_equal(gradient(tf.constant(index)), expected)


# In one block of rows, and in many.
@pytest.mark.parametrize("shape", [(128, 512), (512, 1024)])
def test_products_of_gradients_are_differentiated_in_vectorised_runs(shape):
    """As Taylor terms of LOLA, over many numbers."""
    rng = np.random.default_rng(0)
    tables = rng.normal(size=(2, 2, 3))
    index = rng.integers(3, size=(2, *shape))

    def derivatives(run):
        (own, other), where = tf.unstack(run[0]), run[1]
        with tf.GradientTape(persistent=True) as outer:
            outer.watch((own, other))
            with tf.GradientTape(persistent=True) as inner:
                inner.watch((own, other))
                first, second = lookup(own, where), lookup(other, where)
                values = [
                    tf.reduce_mean(first * second),
                    tf.reduce_mean(first * second**2),
                ]
            gradients = [inner.gradient(x, [own, other])[1] for x in values]
            product = tf.reduce_sum(gradients[0] * gradients[1])
        return outer.gradient(product, own), outer.gradient(product, other)

    compiled = tf.function(
        lambda *runs: tf.vectorized_map(derivatives, runs), jit_compile=True
    )
    found = compiled(tf.constant(tables), tf.constant(index, tf.int32))
    shares = [np.bincount(own.ravel()) / own.size for own in index]
    own, other = tables[:, 0], tables[:, 1]
    # The gradients are `share * own` and `2 share * own * other`.
    weights = 2 * np.square(shares) * own
    np.testing.assert_allclose(found[0], 2 * weights * other, rtol=1e-10)
    np.testing.assert_allclose(found[1], weights * own, rtol=1e-10)


def test_a_lookup_has_derivatives_in_every_run_of_a_vectorized_map():
    tables = tf.constant(np.random.default_rng(0).normal(size=(3, 4)))
    index = tf.constant([[0, 3, 1], [2, 2, 0], [1, 1, 1]])

    def gradient(inputs):
        table, own = inputs
        with tf.GradientTape() as outer:
            outer.watch(table)
            with tf.GradientTape() as inner:
                inner.watch(table)
                value = tf.reduce_sum(lookup(table, own) ** 3)
            total = tf.reduce_sum(inner.gradient(value, table))
        return outer.gradient(total, table)

    found = tf.vectorized_map(gradient, (tables, index))
    for run in range(3):
        np.testing.assert_allclose(
            found[run], gradient((tables[run], index[run])), rtol=1e-12
        )


def test_a_table_of_whole_numbers_is_selected_from():
    result = select(tf.constant([4, 2, 7]), tf.constant([2, 0]))
    assert result.dtype == tf.int32 and result.numpy().tolist() == [7, 4]


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_every_step_reads_its_own_table(size, jit_compile):
    _, index = table_and_index(size)
    tables = np.random.default_rng(1).normal(size=(size, len(index)))
    read = tf.function(select_by_step, jit_compile=jit_compile)
    result = read(tf.constant(tables), tf.constant(index, tf.int32))
    steps = np.arange(len(index))[:, np.newaxis]
    np.testing.assert_array_equal(result, tables[index, steps])


@pytest.mark.parametrize("size", SIZES)
def test_every_run_reads_its_own_tables_of_steps(size):
    rng = np.random.default_rng(size)
    tables = rng.normal(size=(3, size, 5))
    index = rng.integers(size, size=(3, 5, 7))
    result = tf.vectorized_map(
        lambda own: select_by_step(*own),
        (tf.constant(tables), tf.constant(index, tf.int32)),
    )
    runs = np.arange(3)[:, np.newaxis, np.newaxis]
    steps = np.arange(5)[:, np.newaxis]
    np.testing.assert_array_equal(result, tables[runs, index, steps])


# --- What each is for -------------------------------------------------------


def second_derivative(table, index):
    with tf.GradientTape() as outer:
        outer.watch(table)
        with tf.GradientTape() as inner:
            inner.watch(table)
            value = tf.reduce_sum(tf.exp(lookup(table, index)))
        gradient = inner.gradient(value, table)
    return outer.gradient(gradient, table)


def test_no_derivative_of_a_lookup_goes_number_by_number():
    _, index = table_and_index(5)
    program = compiled_program(second_derivative, np.zeros(5), np.int32(index))
    assert count_calls(program, *ONE_BY_ONE) == 0


@pytest.mark.parametrize("sum_or_read", ["sum", "read"])
def test_what_leads_to_a_table_is_computed_once(sum_or_read):
    """And not for each number that reads it, or each entry that is summed."""
    numbers, index = (x[0] for x in numbers_and_index(30, 8, size=5))

    def read(numbers, index):
        return lookup(tf.maximum(numbers[0, :5], 0.5), index)

    def sums(numbers, index):
        return sum_by_entry(tf.maximum(numbers, 0.5), index, 5)

    function = {"sum": sums, "read": read}[sum_or_read]
    program = compiled_program(function, numbers, index)
    loops = [text for text in program.split("\n}") if "maximum(" in text]
    assert len(loops) == 1
    # No loop over what reads it.
    assert count_calls(loops[0], "select") == 0


def test_sums_by_entry_write_no_matrix_of_numbers_and_entries():
    for size in (5, 40):
        numbers, index = (x[0] for x in numbers_and_index(150, 64, size=size))
        program = compiled_program(
            lambda *inputs, size=size: sum_by_entry(*inputs, size),
            numbers,
            index,
        )
        assert largest_array(program) == 150 * 64


def test_many_numbers_are_summed_in_blocks_that_fit_a_cache():
    numbers, index = (x[0] for x in numbers_and_index(150, 2048, size=7))
    program = compiled_program(
        lambda *inputs: sum_by_entry(*inputs, 7), numbers, index
    )
    # Of 15 rows of 512 numbers, 40 blocks.
    assert "[40,15,512]" in program or "[40,1,15,512]" in program


def test_few_entries_are_selected_and_not_gathered():
    _, index = table_and_index(16)
    for read in (select, lookup):
        program = compiled_program(read, np.zeros(16), np.int32(index))
        assert count_calls(program, *ONE_BY_ONE) == 0


def few_of_each(numbers, index):
    """All that reads or sums by step and by episode, of five entries."""
    return [
        select_by_step(numbers[:5, :30], index),
        select_by_episode(numbers[:5, :8], index),
        sums_along(numbers[:, :8], index, 5, axis=0),
        sums_along(numbers[:, :8], index, 5, axis=1),
        count_pairs(index[:-1], index[1:], 5, numbers.dtype),
    ]


@pytest.mark.parametrize("kernel", range(5))
def test_few_entries_of_each_step_or_episode_go_in_vectors(kernel):
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(30, 30))
    index = rng.integers(5, size=(30, 8), dtype=np.int32)
    program = compiled_program(
        lambda *inputs: few_of_each(*inputs)[kernel], numbers, index
    )
    assert count_calls(program, *ONE_BY_ONE) == 0


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("size", [5, 300])
def test_sums_along_an_axis_write_nothing_for_each_entry_and_number(size, axis):
    numbers, index = (x[0] for x in numbers_and_index(30, 8, size=size))
    program = compiled_program(
        lambda *inputs: sums_along(*inputs, size, axis=axis), numbers, index
    )
    assert largest_array(program) < size * 30 * 8
