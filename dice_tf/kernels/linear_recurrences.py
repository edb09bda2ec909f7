"""A recurrence that is linear in its state, for a whole sequence at once."""

import itertools
from collections.abc import Callable

import tensorflow as tf


def linear_recurrence(
    factors: tf.Tensor, x: tf.Tensor, *, reverse: bool = False
) -> tf.Tensor:
    """Returns `h_t = factors_t h_{t-1} + x_t`, or of `h_{t+1}` in reverse.

    Before the first step the state is 0. `plain_linear_recurrence` says the
    same in a few lines. It is an associative scan: neighbours are joined into
    one step of a sequence half as long, so that 500 steps are 9 levels of
    operations on whole arrays. Nothing is divided by a product of factors,
    which would underflow.

    The derivatives are such recurrences, too, in the other direction of time,
    at every order:

      `dx_t = dh_t + factors_{t+1} dx_{t+1}`, `dfactors_t = dx_t h_{t-1}`.

    A loop that takes a turn for each step is the alternative. One that a tape
    has seen cannot be converted by `tf.vectorized_map`, and one that no tape
    sees was measured on two busy CPU cores. In a training iteration of minimal
    gated units (500 steps, batch 128, compiled by XLA) it takes 0.8 to 0.9 of
    the time. In a graph it takes 4.4 times as long for a gradient through a
    gradient (150 steps, 32 units), and on a GPU each turn would start kernels
    of its own. Blocks of 4 or 8 steps take 0.8 to 1 of the time in that graph,
    and 0.8 to 2.2 times as long under XLA. Doubling the distance of joined
    steps (Hillis and Steele) takes 3 to 5 times as long under XLA.

    Args:
      factors: `[T, ...]`, floating. T is known.
      x: `[T, ...]`, of the shape and dtype of `factors`.
      reverse: whether time runs backwards.

    Returns:
      A tensor like `x`, differentiable in both.

    References:
      Blelloch 1990 (Prefix Sums and Their Applications).
    """
    found: list[tf.Tensor] = []

    @tf.custom_gradient
    def states_of(
        factors: tf.Tensor, x: tf.Tensor
    ) -> tuple[tf.Tensor, Callable]:
        def transposed(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            # `factors_t` leads from step t - 1 to t, and back from t to t - 1.
            leading_back = _shifted(factors, not reverse)
            to_x = linear_recurrence(
                leading_back, upstream, reverse=not reverse
            )
            # The states that were returned depend on what they were made of.
            # Those inside of this function would be constants.
            return to_x * _shifted(found[0], reverse), to_x

        return _scan(factors, x, reverse), transposed

    found.append(states_of(factors, x))
    return found[0]


def plain_linear_recurrence(
    factors: tf.Tensor, x: tf.Tensor, *, reverse: bool = False
) -> tf.Tensor:
    """Returns what `linear_recurrence` does, step by step."""
    order = -1 if reverse else 1
    steps = zip(
        tf.unstack(factors)[::order], tf.unstack(x)[::order], strict=True
    )
    states = itertools.accumulate(
        steps,
        lambda state, step: step[0] * state + step[1],
        initial=tf.zeros_like(x[0]),
    )
    return tf.stack(list(states)[1:][::order])


def _scan(factors: tf.Tensor, x: tf.Tensor, reverse: bool) -> tf.Tensor:
    """Returns `linear_recurrence`, without the derivatives."""
    length = x.shape[0]
    if length == 1:
        return x
    padding = length % 2
    if padding:
        # Pad at the end that time runs to.
        sides = [[padding, 0] if reverse else [0, padding]]
        sides.extend([[0, 0]] * (x.shape.rank - 1))
        factors, x = tf.pad(factors, sides), tf.pad(x, sides)
    first, second = (1, 0) if reverse else (0, 1)
    factor = factors[::2], factors[1::2]
    number = x[::2], x[1::2]
    after_pairs = _scan(
        factor[second] * factor[first],
        number[second] + factor[second] * number[first],
        reverse,
    )
    between = factor[first] * _shifted(after_pairs, reverse) + number[first]
    states = [between, after_pairs]
    states = tf.stack([states[first], states[second]], axis=1)
    states = tf.reshape(states, tf.shape(x))
    if padding:
        states = states[padding:] if reverse else states[:length]
    return tf.ensure_shape(states, [length, *x.shape[1:]])


def _shifted(x: tf.Tensor, reverse: bool) -> tf.Tensor:
    """Returns at each step what was at the step before, and 0 at first."""
    edge = tf.zeros_like(x[:1])
    parts = [x[1:], edge] if reverse else [edge, x[:-1]]
    return tf.concat(parts, axis=0)
