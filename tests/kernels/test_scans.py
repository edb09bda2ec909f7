"""A scan whose derivative is a scan."""

import functools
import itertools

import numpy as np
import pytest
import tensorflow as tf

from dice_tf.kernels.scans import plain_scan, scan
from tests.graphs import operations_with_calls
from tests.kernels import cells
from tests.kernels.programs import (
    WAYS,
    assert_orders_agree,
    compiled_program,
    compute,
    count_calls,
    derivatives,
)

pytestmark = pytest.mark.own_process

NUM_RUNS = 2

# --- What it computes -------------------------------------------------------

# `python -m tests.kernels.scan_orders` checks the third order of all cells.
CASES = [
    *itertools.product(["gru"], ["eager", *WAYS], [3]),
    *itertools.product(["lstm", "two_states"], ["eager", *WAYS], [2]),
]


@functools.cache
def of_a_python_loop(name):
    """Values and derivatives of each run, to the second or third order."""
    problem = cells.PROBLEMS[name]()
    order = max(case[2] for case in CASES if case[0] == name)
    plain = derivatives(problem.outcome(plain_scan), order)
    return compute("eager", plain, problem.vectors(NUM_RUNS))


@pytest.mark.parametrize(("name", "way", "order"), CASES)
def test_a_scan_is_its_steps_to_every_order(name, way, order):
    problem = cells.PROBLEMS[name]()
    kernel = derivatives(problem.outcome(scan), order)
    found = compute(way, kernel, problem.vectors(NUM_RUNS))
    assert_orders_agree(found, of_a_python_loop(name)[: order + 1])


def counting(decay, state, x):
    """A cell with a carry of whole numbers, which has no derivative."""
    total, count = state
    total = decay * total + x["numbers"] * tf.cast(
        x["signs"], x["numbers"].dtype
    )
    return (total, count + 1), (tf.square(total), count)


def counted(numbers, decay=0.5):
    signs = tf.constant([1, -1, 1])
    start = (tf.constant(0.0, numbers.dtype), tf.constant(0))
    decay = tf.constant(decay, numbers.dtype)
    return scan(counting, decay, start, {"numbers": numbers, "signs": signs})


def test_whole_numbers_may_be_carried_and_seen():
    numbers = tf.constant([1.0, 2.0, 3.0], tf.float64)

    @tf.function(autograph=False, jit_compile=True)
    def derivative(numbers):
        with tf.GradientTape() as tape:
            tape.watch(numbers)
            (total, count), (squares, counts) = counted(numbers)
        return total, count, squares, counts, tape.gradient(squares, numbers)

    total, count, squares, counts, gradient = derivative(numbers)
    # The totals are 1, 0.5 - 2 and 0.25 - 1 + 3.
    assert total == 2.25 and count == 3
    np.testing.assert_allclose(squares, np.square([1.0, -1.5, 2.25]))
    np.testing.assert_array_equal(counts, [0, 1, 2])
    expected = [2.0 - 1.5 + 2.25 / 2, 3.0 - 2.25, 4.5]
    np.testing.assert_allclose(gradient, expected, rtol=1e-12)


def test_sizes_may_be_unknown_until_it_runs():
    problem = cells.gru()
    params, carry, xs = problem.inputs(
        tf.constant(problem.vectors(NUM_RUNS)[0])
    )
    free = tf.TensorSpec([None, None, 2], tf.float64)
    like = [tf.TensorSpec([None, 2], tf.float64)]

    @tf.function(autograph=False, input_signature=[like, free])
    def derivative(carry, xs):
        with tf.GradientTape() as tape:
            tape.watch(xs)
            _, outputs = scan(problem.cell, params, carry, xs)
        return outputs, tape.gradient(outputs, xs)

    with tf.GradientTape() as tape:
        tape.watch(xs)
        _, outputs = plain_scan(problem.cell, params, carry, xs)
    expected = outputs, tape.gradient(outputs, xs)
    for one, other in zip(derivative(carry, xs), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


def test_in_a_loop_it_has_second_derivatives_in_what_stands_outside():
    problem = cells.two_states()
    vector = tf.constant(problem.vectors(1)[0])
    params, carry, xs = problem.inputs(vector)

    def second():
        def total():
            last, _ = scan(problem.cell, params, carry, xs)
            return tf.reduce_sum(tf.sin(last["slow"]))

        with tf.GradientTape() as outer:
            outer.watch(params)
            with tf.GradientTape() as inner:
                inner.watch(params)
                value = total()
            gradient = inner.gradient(value, params)
            square = tf.add_n([tf.reduce_sum(x**2) for x in gradient])
        return list(outer.gradient(square, params))

    @tf.function(autograph=False)
    def twice():
        def add(count, *sums):
            return count + 1, *map(tf.add, sums, second())

        start = [tf.zeros_like(param) for param in params]
        return tf.while_loop(
            lambda count, *_: count < 2, add, (tf.constant(0), *start)
        )[1:]

    for one, other in zip(twice(), second(), strict=True):
        np.testing.assert_allclose(one, 2.0 * other, rtol=1e-10, atol=1e-12)


# --- What it is for ---------------------------------------------------------


def gradient_of(problem, scan):
    outcome = problem.outcome(scan)

    def gradient(vector):
        with tf.GradientTape() as tape:
            tape.watch(vector)
            total = tf.reduce_sum(outcome(vector))
        return tape.gradient(total, vector)

    return gradient


def test_each_order_is_loops_of_which_no_tape_keeps_more_than_the_carries():
    problem = cells.gru()
    program = compiled_program(
        gradient_of(problem, scan), problem.vectors(NUM_RUNS)[0]
    )
    assert count_calls(program, "while") == 2
    # TensorFlow's gradient of a loop keeps every gate of every step.
    kept = f"f64[{cells.LENGTH},{cells.BATCH_SIZE},2]"
    assert kept in program
    assert f"f64[{cells.LENGTH},{cells.BATCH_SIZE},6]" not in program


def test_its_graph_does_not_grow_with_the_number_of_steps():
    def number_of_operations(length):
        def gradient(xs):
            with tf.GradientTape() as tape:
                tape.watch(xs)
                total, _ = scan(
                    lambda a, c, x: (tf.sin(a * c) + x, c), 0.5, xs[0], xs
                )
            return tape.gradient(total, xs)

        traced = tf.function(gradient, autograph=False)
        graph = traced.get_concrete_function(tf.zeros([length])).graph
        return len(operations_with_calls(graph))

    assert number_of_operations(50) == number_of_operations(3)


# --- What is refused --------------------------------------------------------


def add(params, carry, x):
    return carry + params * x, carry


BAD_CELLS = {
    "shape": (lambda a, c, x: (c[tf.newaxis], x), "carry of the structure"),
    "dtype": (lambda a, c, x: (tf.cast(c, tf.float16), x), "and dtypes of"),
    "structure": (lambda a, c, x: ((c, c), x), r"Received: tuple\(float32"),
    "states": (lambda a, c, x: ((), x), "must return a carry of the structu"),
}


@pytest.mark.parametrize("run", [lambda f: f(), lambda f: tf.function(f)()])
@pytest.mark.parametrize("kind", sorted(BAD_CELLS))
def test_a_carry_that_cannot_go_on_is_refused(kind, run):
    cell, message = BAD_CELLS[kind]
    with pytest.raises(ValueError, match=message):
        run(lambda: scan(cell, 1.0, tf.zeros([2]), tf.zeros([3, 2])))


def test_a_cell_must_return_two_values():
    with pytest.raises(TypeError, match="must return two values.*float32"):
        scan(lambda a, c, x: c, 1.0, 0.0, tf.zeros([3]))
    with pytest.raises(TypeError, match="`cell` must be a function"):
        scan(None, 1.0, 0.0, tf.zeros([3]))


@pytest.mark.parametrize("xs", [(), tf.zeros([]), (tf.zeros(3), tf.zeros(2))])
def test_inputs_are_of_one_length(xs):
    with pytest.raises(ValueError, match="must be tensors .* same number T"):
        scan(add, 1.0, 0.0, xs)


def test_there_is_at_least_one_step():
    with pytest.raises(ValueError, match="a sequence of length 0: float32"):
        scan(add, 1.0, tf.zeros([2]), tf.zeros([0, 2]))


def test_a_cell_that_cannot_be_differentiated_twice_is_refused():
    image = tf.ones([1, 2, 2, 1])

    def resized(params, carry, x):
        larger = tf.image.resize(tf.sin(carry * x), [3, 3], "bicubic")
        return larger[:, :2, :2] * params, carry

    def second(start):
        with tf.GradientTape() as outer:
            outer.watch(start)
            with tf.GradientTape() as inner:
                inner.watch(start)
                last, _ = scan(resized, 1.0, start, tf.ones([3]))
            gradient = inner.gradient(last, start)
        return outer.gradient(gradient, start)

    with pytest.raises(ValueError, match="cannot be differentiated so often"):
        tf.function(second)(image)


def test_a_cell_that_reads_a_variable_is_refused_in_a_graph():
    decay = tf.Variable(0.5)

    def cell(params, carry, x):
        return decay * carry + x, carry

    def gradient():
        with tf.GradientTape() as tape:
            last, _ = scan(cell, (), 1.0, tf.ones([3]))
        return tape.gradient(last, decay)

    # d/dd of d^3 + d^2 + d + 1.
    np.testing.assert_allclose(gradient(), 0.75 + 1.0 + 1.0)
    with pytest.raises(ValueError, match="`cell` reads a variable.*`params`"):
        tf.function(gradient)()


def of_closed_over(sources, x, decay):
    """Derivatives through a cell that reads `decay` without being given it."""
    with tf.GradientTape() as tape:
        tape.watch(sources)
        last, _ = scan(lambda a, c, x: (decay * c + x, c), (), 1.0, x)
    return tape.gradient(last, sources)


def test_no_derivative_in_what_a_cell_closes_over_is_lost():
    x, decay = tf.ones([3]), tf.constant(0.5)
    np.testing.assert_allclose(of_closed_over(decay, x, decay), 2.75)

    @tf.function(autograph=False)
    def inside(is_decay):
        local = tf.identity(decay), tf.identity(x)
        return of_closed_over(local[0 if is_decay else 1], local[1], local[0])

    np.testing.assert_allclose(inside(False), [0.25, 0.5, 1.0])
    with pytest.raises(ValueError, match="reads a tensor without being given"):
        inside(True)

    @tf.function(autograph=False)
    def value(start):
        return scan(lambda a, c, x: (decay * c + x, c), (), start, x)[0]

    with tf.GradientTape() as tape:
        tape.watch(decay)
        with pytest.raises(ValueError, match="reads a tensor without being"):
            value(tf.constant(1.0))


def gradient_through_a_map(apply_map):
    """The derivative of many gradients, by a tape around the map of them."""
    problem = cells.gru()
    vectors = tf.constant(problem.vectors(NUM_RUNS))

    def gradient():
        with tf.GradientTape() as tape:
            tape.watch(vectors)
            products = apply_map(gradient_of(problem, scan), vectors)
            total = tf.reduce_sum(tf.sin(products))
        return tape.gradient(total, vectors)

    return gradient


def map_in_python(function, vectors):
    return tf.stack([function(vector) for vector in tf.unstack(vectors)])


@functools.cache
def of_a_map_in_python():
    return gradient_through_a_map(map_in_python)().numpy()


@pytest.mark.parametrize("decorate", [lambda f: f, tf.function])
def test_a_tape_around_a_vectorised_map_finds_the_derivatives(decorate):
    found = decorate(gradient_through_a_map(tf.vectorized_map))()
    expected = of_a_map_in_python()
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11 * scale)
