"""Kernels and their references, compared in every way in which they are run."""

import math
import re

import numpy as np
import tensorflow as tf

# How the trainer runs a step, and how users may run it.
WAYS = ("graph", "xla", "vectorized", "vectorized_xla")
NUM_RUNS = 3


def compute(way, function, *inputs):
    """Applies a function of tensors to each run.

    Args:
      way: one of `WAYS`, or "eager".
      function: from tensors of one run to a nest of tensors.
      *inputs: arrays with a leading axis of runs.

    Returns:
      The nest, with a leading axis of runs.
    """
    inputs = [tf.constant(x) for x in inputs]
    jit_compile = way.endswith("xla")
    if way.startswith("vectorized"):

        @tf.function(autograph=False, jit_compile=jit_compile)
        def apply(*inputs):
            return tf.vectorized_map(lambda run: function(*run), inputs)

        return apply(*inputs)
    apply = function
    if way != "eager":
        apply = tf.function(function, autograph=False, jit_compile=jit_compile)
    runs = [apply(*run) for run in zip(*map(tf.unstack, inputs), strict=True)]
    return tf.nest.map_structure(lambda *values: tf.stack(values), *runs)


def derivatives(function, order=3):
    """Returns the function of values and derivatives up to an order.

    Each derivative is a gradient, of the sum of the one before, weighted by
    other numbers for each entry. The kernel stands between two functions that
    are not linear: else the second derivative would be 0.

    Args:
      function: from a tensor, and others that are held constant, to a tensor.
      order: that of the last derivative.
    """
    if order == 0:
        return lambda x, *constants: [function(tf.sin(x), *constants)]
    below = derivatives(function, order - 1)

    def compute_all(x, *constants):
        with tf.GradientTape() as tape:
            tape.watch(x)
            found = below(x, *constants)
            last = tf.exp(found[-1] / 2.0) if order == 1 else found[-1]
            total = weighted(last)
        return [*found, tape.gradient(total, x)]

    return compute_all


def weighted(x):
    """Returns the sum of a tensor, of which each entry counts otherwise."""
    weights = np.cos(np.arange(x.shape.num_elements()) + 1.0)
    return tf.reduce_sum(tf.reshape(weights, x.shape) * x)


def assert_agreement(way, kernel, plain, *inputs, rtol=1e-11, order=3):
    """Asserts that values and derivatives are those of the reference.

    Args:
      way: one of `WAYS`, in which the kernel is run.
      kernel: from a floating tensor, and others that are held constant, to a
        floating tensor.
      plain: its reference.
      *inputs: arrays with a leading axis of runs, float64 the first.
      rtol: tolerance, relative to the largest number.
      order: that of the last derivative.
    """
    found = compute(way, derivatives(kernel, order), *inputs)
    expected = compute("graph", derivatives(plain, order), *inputs)
    assert_orders_agree(found, expected, rtol)


def assert_orders_agree(found, expected, rtol=1e-11):
    """Asserts that derivatives of each order are those expected.

    Args:
      found: arrays, one for each order.
      expected: arrays.
      rtol: tolerance, relative to the largest number of an order.
    """
    for number, (one, other) in enumerate(zip(found, expected, strict=True)):
        scale = np.abs(other).max()
        assert scale > 1e-3
        np.testing.assert_allclose(
            one, other, atol=rtol * scale, rtol=0, err_msg=f"order {number}"
        )


def compiled_program(function, *inputs):
    """Returns the text of what XLA makes of a function.

    Args:
      function: from tensors to a nest of tensors.
      *inputs: its inputs, arrays.
    """
    compiled = tf.function(
        lambda *inputs: function(*inputs), autograph=False, jit_compile=True
    )
    inputs = [tf.constant(x) for x in inputs]
    return compiled.experimental_get_compiler_ir(*inputs)(stage="optimized_hlo")


def count_calls(program, *names):
    """Returns how many operations of a compiled program have these names."""
    return sum(
        len(re.findall(rf"[\]}})] {name}(?:\.\d+)?\(", program))
        for name in names
    )


def largest_array(program):
    """Returns the number of entries of the largest array that is written.

    These are arrays of the entry computation: what stands inside of a fusion
    is not written to memory.
    """
    entry = program[program.index("\nENTRY ") :]
    shapes = re.findall(r"\b[a-z]+\d*\[([\d,]+)\]", entry)
    return max(math.prod(map(int, shape.split(","))) for shape in shapes)
