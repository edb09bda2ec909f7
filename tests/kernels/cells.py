"""Cells for the scan over time, as functions of one vector of numbers."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tests.kernels.programs import weighted

LENGTH, BATCH_SIZE = 7, 3


class Problem(NamedTuple):
    """A cell, and the shapes of all that it takes.

    Attributes:
      cell: as of `dice_tf.scan`.
      params: nest of shapes.
      carry: nest of shapes.
      xs: nest of shapes, `[T, ...]`.
    """

    cell: Callable
    params: Any
    carry: Any
    xs: Any

    def shapes(self):
        return self.params, self.carry, self.xs

    def inputs(self, vector):
        """Returns the parameters, the carry and the inputs in a vector."""
        leaves = _shapes_in(self.shapes())
        parts = tf.split(vector, [int(np.prod(shape)) for shape in leaves])
        filled = iter(
            tf.reshape(part, shape)
            for part, shape in zip(parts, leaves, strict=True)
        )
        return _filled(self.shapes(), filled)

    def size(self):
        return sum(int(np.prod(shape)) for shape in _shapes_in(self.shapes()))

    def vectors(self, num_runs):
        """Returns what `inputs` takes, of several runs."""
        rng = np.random.default_rng(1)
        return rng.normal(size=(num_runs, self.size()))

    def outcome(self, scan):
        """Returns the function from a vector to sums of what a scan returns.

        All of it is in each sum. Nothing is joined to one tensor: under XLA,
        TensorFlow cannot differentiate `tf.concat` three times.
        """

        def of_vector(vector):
            carry, outputs = scan(self.cell, *self.inputs(vector))
            sums = [
                tf.sin(weighted(x)) for x in tf.nest.flatten((carry, outputs))
            ]
            return tf.stack([tf.add_n(sums), tf.add_n(sums[:-1])])

        return of_vector


def _shapes_in(nest):
    if isinstance(nest, tf.TensorShape):
        return [nest]
    values = nest.values() if isinstance(nest, dict) else nest
    return [shape for value in values for shape in _shapes_in(value)]


def _filled(nest, tensors):
    """Returns a nest of shapes with the tensors in their places."""
    if isinstance(nest, tf.TensorShape):
        return next(tensors)
    if isinstance(nest, dict):
        return {key: _filled(value, tensors) for key, value in nest.items()}
    return type(nest)(_filled(value, tensors) for value in nest)


def keras_problem(cell, num_states):
    """A Keras cell of 2 units that sees 2 numbers."""
    cell.build((BATCH_SIZE, 2))
    fixed = [x.value for x in cell.non_trainable_variables]
    fixed = [np.asarray(x) for x in fixed]

    def step(params, carry, x):
        (outputs, states), _ = cell.stateless_call(params, fixed, x, carry)
        return list(states), outputs

    return Problem(
        step,
        [tf.TensorShape(x.shape) for x in cell.trainable_variables],
        [tf.TensorShape([BATCH_SIZE, 2])] * num_states,
        tf.TensorShape([LENGTH, BATCH_SIZE, 2]),
    )


def gru():
    return keras_problem(keras.layers.GRUCell(2, dtype="float64"), 1)


def lstm():
    return keras_problem(keras.layers.LSTMCell(2, dtype="float64"), 2)


def two_states():
    """Two carries of other shapes, of which one holds the other's sums."""

    def step(params, carry, x):
        fast, slow = carry["fast"], carry["slow"]
        fast = tf.tanh(x[0] @ params[0] + fast @ params[1] + x[1])
        fast *= tf.reduce_mean(slow, axis=2)
        slow = 0.9 * slow + tf.sin(fast[:, :, tf.newaxis] * params[2])
        seen = tf.reduce_sum(slow * slow, axis=[1, 2])
        return {"fast": fast, "slow": slow}, (seen, fast[:, :1])

    shape = tf.TensorShape
    return Problem(
        step,
        (shape([2, 2]), shape([2, 2]), shape([3])),
        {
            "fast": shape([BATCH_SIZE, 2]),
            "slow": shape([BATCH_SIZE, 2, 3]),
        },
        (shape([LENGTH, BATCH_SIZE, 2]), shape([LENGTH, BATCH_SIZE, 1])),
    )


PROBLEMS = {"gru": gru, "lstm": lstm, "two_states": two_states}
