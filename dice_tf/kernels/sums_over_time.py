"""Sums over time, `[T, B]` and time-major, with their derivatives.

Both functions are linear. The derivative of a sum over the past is the sum
over the future, and the other way round, so that derivatives of every order
are such sums, too. `plain_sum_over_time` is the reference of both. Times are
ratios of a training iteration, of two CPU cores, see benchmarks/PROFILE.md.
"""

import itertools
from collections.abc import Callable

import numpy as np
import tensorflow as tf


def cumulative_sum(
    x: tf.Tensor, *, decay: float = 1.0, reverse: bool = False
) -> tf.Tensor:
    """Sums over time: `y_t = x_t + decay y_{t-1}`, or `y_{t+1}` in reverse.

    A loop over time takes a turn for each step, and `tf.cumsum` knows no decay.
    Products with small triangular matrices, in two levels, are faster: at
    `[150, 4096]` with second derivatives, one level took 11 ms, `tf.cumsum` 19
    and a loop 10 (compiled by XLA) to 120 (not compiled), on two CPU cores.

    Args:
      x: `[T, B]`, floating.
      decay: a Python number in [0, 1].
      reverse: whether to sum the present and the future instead of the past.

    Returns:
      A tensor like `x`, linear in it.
    """
    if x.shape[0] is None:
        if decay == 1.0:
            return tf.cumsum(x, axis=0, reverse=reverse)
        factors = tf.fill(tf.shape(x), tf.constant(decay, x.dtype))
        return decaying_sum(x, factors, reverse)
    return _cumulative_sum(x, float(decay), reverse)


def plain_sum_over_time(
    x: tf.Tensor, factors: tf.Tensor, reverse: bool = False
) -> tf.Tensor:
    """Returns what `decaying_sum` does, step by step.

    With the same factor everywhere it is what `cumulative_sum` returns.
    """

    def add(total: tf.Tensor, step: tuple[tf.Tensor, ...]) -> tf.Tensor:
        number, factor = step
        nothing = tf.zeros_like(total)
        return number + factor * tf.where(factor == 0.0, nothing, total)

    order = -1 if reverse else 1
    steps = zip(
        tf.unstack(x)[::order], tf.unstack(factors)[::order], strict=True
    )
    sums = itertools.accumulate(steps, add, initial=tf.zeros_like(x[0]))
    return tf.stack(list(sums)[1:][::order])


def _cumulative_sum(x: tf.Tensor, decay: float, reverse: bool) -> tf.Tensor:
    # The transpose of a sum over the past is the sum over the future.
    @tf.custom_gradient
    def summed(x: tf.Tensor) -> tuple[tf.Tensor, Callable]:
        return _sum_by_blocks(
            x, decay, reverse
        ), lambda upstream: _cumulative_sum(upstream, decay, not reverse)

    return summed(x)


def _sum_by_blocks(x: tf.Tensor, decay: float, reverse: bool) -> tf.Tensor:
    """Sums within blocks of time, then adds the sums of the blocks before.

    Both are products with triangular matrices, and in two levels take a
    fraction of the operations of one.
    """
    length, batch_size = x.shape[0], tf.shape(x)[1]
    size = _block_size(length)
    num_blocks = -(-length // size)
    steps = np.arange(size)
    within = _triangle(size, decay)
    between = np.zeros([num_blocks, num_blocks])
    between[1:, :-1] = _triangle(num_blocks - 1, decay**size)
    passed_on = decay ** (steps + 1)
    last = size - 1
    if reverse:
        within, between = within.T, between.T
        passed_on, last = passed_on[::-1], 0
    within = np.tile(within, [num_blocks, 1, 1])
    within, between = _for_each_run(x, within, between)
    padding = num_blocks * size - length
    if padding:
        # Pad at the end that is not summed over: the end for sums over the
        # past, the start for sums over the future.
        sides = [padding, 0] if reverse else [0, padding]
        x = tf.pad(x, [sides, [0, 0]])
    blocks = tf.reshape(x, [num_blocks, size, batch_size])
    sums = tf.linalg.matmul(within, blocks)
    before = tf.linalg.matmul(between, sums[:, last])
    passed_on = tf.constant(passed_on[:, np.newaxis], x.dtype)
    sums += passed_on * tf.expand_dims(before, 1)
    sums = tf.reshape(sums, [num_blocks * size, batch_size])
    if padding:
        sums = sums[padding:] if reverse else sums[:length]
    return sums


def _for_each_run(x: tf.Tensor, *constants: np.ndarray) -> list[tf.Tensor]:
    """Returns constants of which `tf.vectorized_map` holds one for each run.

    With a constant that all runs share, XLA would transpose the numbers of all
    runs before the product, and back after it: 20 runs would take 1.36 times
    as long. A single run pays for it: with constants, batch 64 takes 0.86.

    XLA cannot prove that the condition is always false, and therefore keeps a
    matrix for each run. No number is above all finite ones and below them.
    Both bounds are finite because `tf.debugging.enable_check_numerics` takes
    infinities for errors.
    """
    never = (x[0, 0] > x.dtype.max) & (x[0, 0] < -x.dtype.max)
    constants = [tf.constant(constant, x.dtype) for constant in constants]
    return [
        tf.where(never, tf.zeros_like(constant), constant)
        for constant in constants
    ]


def _block_size(length: int) -> int:
    """Returns about the size at which both levels take the fewest products.

    A number needs `size` products in its block and `(length / size)**2 /
    length` between blocks.
    """
    best = max(1, round((2.0 * length) ** (1 / 3)))
    near = range(max(1, best // 2), 2 * best + 1)
    return min(near, key=lambda size: (-length % size, abs(size - best)))


def _triangle(size: int, decay: float) -> np.ndarray:
    """Returns the matrix of `y_t = x_t + decay y_{t-1}`."""
    lags = np.subtract.outer(np.arange(size), np.arange(size))
    return np.where(lags >= 0, decay ** np.maximum(lags, 0), 0.0)


def decaying_sum(x: tf.Tensor, factors: tf.Tensor, reverse: bool) -> tf.Tensor:
    """Sums with a decay per step: `y_t = x_t + factors_t y_{t-1}`.

    A factor of 0 separates: whatever is on its other side, also NaN or
    infinite, has no part in the sum.

    It is an associative scan, whose depth grows with the logarithm of T. A loop
    over time takes T turns, and no tape may record one: XLA on CPU can hang in
    the derivative of a loop, and `tf.vectorized_map` cannot convert it.

    Args:
      x: `[T, B]`, floating.
      factors: `[T, B]`, held constant.
      reverse: whether it is `y_{t+1}` instead of `y_{t-1}`.

    Returns:
      A tensor like `x`, linear in it.
    """
    # Of the graph that this is called in, see `_lookup` of `table_lookups`.
    factors = tf.stop_gradient(factors)

    @tf.custom_gradient
    def summed(x: tf.Tensor) -> tuple[tf.Tensor, Callable]:
        def transposed(upstream: tf.Tensor) -> tf.Tensor:
            # `factors_t` leads from step t - 1 to t, and back from t to t - 1.
            edge = tf.zeros_like(factors[:1])
            if reverse:
                shifted = tf.concat([edge, factors[:-1]], axis=0)
            else:
                shifted = tf.concat([factors[1:], edge], axis=0)
            return decaying_sum(upstream, shifted, not reverse)

        return _scan(x, factors, reverse), transposed

    return summed(x)


def _scan(x: tf.Tensor, factors: tf.Tensor, reverse: bool) -> tf.Tensor:
    """Returns `decaying_sum`, without the derivatives."""
    if reverse:
        backwards = tf.reverse(x, [0]), tf.reverse(factors, [0])
        return tf.reverse(_scan(*backwards, False), [0])
    if x.shape[0] is None:
        # An associative scan of unknown length takes a minute to trace.
        return tf.scan(
            lambda before, now: now[1] + _times(now[0], before),
            (factors, x),
            tf.zeros_like(x[0]),
        )
    return _scan_by_halves(x, factors)


def _scan_by_halves(x: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
    """Returns `y_t = x_t + factors_t y_{t-1}`, of a number of steps T.

    Two steps in a row are one with the product of their factors, so that the
    sums at odd steps are a scan of half the length. They are the next even
    step's past. References: Blelloch 1990 (Prefix sums and their applications).
    """
    length = x.shape[0]
    if length <= 3:
        sums = [x[:1]]
        for t in range(1, length):
            now = slice(t, t + 1)
            sums.append(x[now] + _times(factors[now], sums[-1]))
        return tf.concat(sums, axis=0)
    odd_factors = factors[1::2]
    odd = _scan_by_halves(
        x[1::2] + _times(odd_factors, x[:-1:2]),
        _times(odd_factors, factors[:-1:2]),
    )
    num_before = (length - 1) // 2
    later = x[2::2] + _times(factors[2::2], odd[:num_before])
    even = tf.concat([x[:1], later], axis=0)
    num_pairs = length // 2
    pairs = tf.stack([even[:num_pairs], odd], axis=1)
    sums = tf.reshape(pairs, [2 * num_pairs, *x.shape[1:]])
    return tf.concat([sums, even[num_pairs:]], axis=0) if length % 2 else sums


def _times(factor: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """Returns `factor * x`, and 0 where the factor is 0, whatever `x` is."""
    return factor * tf.where(factor == 0.0, tf.zeros_like(x), x)
