"""Reading a small table at many places, and summing numbers by entry.

`lookup` and `sum_by_entry` are linear, and each is the derivative of the other.
Every function has a plain reference beside it, `plain_...`. Times are ratios of
a training iteration, of two CPU cores, see benchmarks/PROFILE.md.
"""

from collections.abc import Callable

import tensorflow as tf

from dice_tf.kernels.row_sums import MAX_ROWS, largest_divisor

# Up to so many entries, selections are faster than a gather or a scatter.
_FEW_ENTRIES = 16
# More than a cache holds.
_MANY_NUMBERS = 2**18
# How wide rows are then.
_MIN_WIDTH, _MAX_WIDTH = 64, 512


def lookup(table: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """Returns `table[index]` for a one-dimensional table.

    The derivative of `tf.gather` is a scatter, which XLA on CPU runs number by
    number. The derivatives of this function, of every order, are `lookup` and
    `sum_by_entry`. Automatic derivatives of the selections in it would be long
    chains of operations, which take long to trace.

    Args:
      table: floating `[n]`.
      index: int32 of any shape, with values in `[0, n)`. Held constant.

    Returns:
      A tensor of the shape of `index`, linear in the table.
    """
    return _lookup(table, index, table.shape[0])


def plain_lookup(table: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """Returns what `lookup` does, as TensorFlow has it."""
    return tf.gather(table, index)


def _lookup(table: tf.Tensor, index: tf.Tensor, size: int) -> tf.Tensor:
    # The identity belongs to the graph in which this is called: in a loop, a
    # derivative of the second order cannot reach tensors of the graph outside.
    index = tf.identity(index)

    @tf.custom_gradient
    def read(values: tf.Tensor) -> tuple[tf.Tensor, Callable]:
        return select(
            _computed_once(values, index), index
        ), lambda cotangent: sum_by_entry(cotangent, index, size)

    return read(table)


def sum_by_entry(numbers: tf.Tensor, index: tf.Tensor, size: int) -> tf.Tensor:
    """Returns the sum of the numbers of each entry, the transpose of `lookup`.

    The sum of entry i is that of `numbers[k]` over all k with `index[k] == i`.

    For up to 16 entries XLA makes one vectorised pass for each of them.
    `tf.math.unsorted_segment_sum` would be a scatter, number by number: batch
    128 takes 1.08 of its time with it, 4,096 takes 1.27, 20 runs take 1.5. A
    matrix that says which number belongs to which entry is n times as large as
    the numbers, and goes through memory: 64 and 20 runs take 1.3.

    Args:
      numbers: floating, of any shape.
      index: int32 of this shape, with values in `[0, n)`. Held constant.
      size: n, a Python integer.

    Returns:
      `[n]`, linear in the numbers.
    """
    index = tf.identity(index)

    @tf.custom_gradient
    def summed(numbers: tf.Tensor) -> tuple[tf.Tensor, Callable]:
        return _sum(
            _computed_once(numbers, index), index, size
        ), lambda cotangent: _lookup(cotangent, index, size)

    return summed(numbers)


def plain_sum_by_entry(
    numbers: tf.Tensor, index: tf.Tensor, size: int
) -> tf.Tensor:
    """Returns what `sum_by_entry` does, as TensorFlow has it."""
    return tf.math.unsorted_segment_sum(
        tf.reshape(numbers, [-1]), tf.reshape(index, [-1]), size
    )


def _computed_once(x: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """Returns `x`, which XLA does not compute again for each of its readers.

    XLA on CPU fuses cheap operations into all that read them, so that entries
    of a table would be computed for each number that reads them. It takes a
    quotient for expensive, and computes what ends in one once. It does not
    know that the divisor is 1. Without it, tables take an iteration 6 times as
    long; for numbers that are summed, batch 1,280 takes 1.25 times as long.
    """
    return x / tf.cast(tf.reshape(index, [-1])[0] >= 0, x.dtype)


def _sum(numbers: tf.Tensor, index: tf.Tensor, size: int) -> tf.Tensor:
    """Returns `sum_by_entry`, without the derivatives.

    Up to 15 rows are added to one another, then what is left. More numbers
    than a cache holds are taken in blocks of such rows, so that the pass of
    each entry finds a block in the cache: batch 4,096 takes 0.94 of its time,
    65,536 takes 0.74.
    """
    if size > _FEW_ENTRIES:
        return plain_sum_by_entry(numbers, index, size)
    count = index.shape.num_elements() or 1  # Unknown: one row.
    num_rows = largest_divisor(count, MAX_ROWS)
    num_blocks = 1
    if count > _MANY_NUMBERS:
        width = largest_divisor(count // num_rows, _MAX_WIDTH)
        if width >= _MIN_WIDTH:
            num_blocks = count // (num_rows * width)
    rows = [num_blocks, 1, num_rows, -1]
    entries = tf.range(size)[:, tf.newaxis, tf.newaxis]
    numbers_of_entry = tf.where(
        tf.reshape(index, rows) == entries, tf.reshape(numbers, rows), 0.0
    )
    return tf.reduce_sum(
        tf.add_n(tf.unstack(numbers_of_entry, axis=2)), axis=[0, 2]
    )


def select(table: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """Returns `table[index]`, for use inside a loop.

    Up to 16 entries are read by nested selections. XLA fuses them with what
    surrounds them, and vectorises them. A gather reads number by number, and
    an iteration takes 1.3 of its time.

    Args:
      table: `[n]`, of any dtype.
      index: int32 of any shape, with values in `[0, n)`.

    Returns:
      A tensor of the shape of `index`. Not to be differentiated: use
      `lookup`. Its reference is `plain_lookup`, too.
    """
    if table.shape[0] > _FEW_ENTRIES:
        return tf.gather(table, index)
    # With the rank of `index`, `tf.vectorized_map` does not expand each entry.
    size = table.shape[0]
    entries = tf.reshape(table, [size] + [1] * index.shape.rank)
    return _select_among(tf.unstack(entries), index)


def select_by_step(tables: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """Returns `tables[index[t, b], t]`: every step has a table of its own.

    As `select` does, it reads up to 16 entries by nested selections.

    Args:
      tables: floating `[n, T]`, the table of each step as a column.
      index: int32 `[T, B]`, with values in `[0, n)`.

    Returns:
      `[T, B]`. Not to be differentiated.
    """
    return _select_along(tables, index, axis=0)


def select_by_episode(tables: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """Returns `tables[index[t, b], b]`: every episode has a table of its own.

    Args:
      tables: floating `[n, B]`, the table of each episode as a column.
      index: int32 `[T, B]`, with values in `[0, n)`.

    Returns:
      `[T, B]`. Not to be differentiated.
    """
    return _select_along(tables, index, axis=1)


def _select_along(tables: tf.Tensor, index: tf.Tensor, axis: int) -> tf.Tensor:
    tables = _computed_once(tables, index)
    if tables.shape[0] > _FEW_ENTRIES:
        return plain_select_along(tables, index, axis)
    return _select_among(tf.unstack(tf.expand_dims(tables, 2 - axis)), index)


def plain_select_along(
    tables: tf.Tensor, index: tf.Tensor, axis: int
) -> tf.Tensor:
    """Returns `select_by_step` (axis 0) or `select_by_episode` (axis 1)."""
    return tf.gather(tf.reshape(tables, [-1]), _places(index, axis))


def sums_along(
    numbers: tf.Tensor, index: tf.Tensor, size: int, *, axis: int
) -> tf.Tensor:
    """Returns sums by entry for each step, or for each episode.

    The sum of entry i is that of `numbers[t, b]` over all b (axis 0, for each
    step) or over all t (axis 1, for each episode) with `index[t, b] == i`.

    For up to 16 entries they are reductions, which XLA fuses with the
    comparison, so that nothing of shape `[n, T, B]` is written. More are
    summed by `tf.math.unsorted_segment_sum`, which XLA on CPU runs number by
    number.

    Args:
      numbers: floating `[T, B]`.
      index: int32 `[T, B]`, with values in `[0, n)`.
      size: n, a Python integer.
      axis: which axis of the numbers is left, 0 or 1.

    Returns:
      `[n, T]` or `[n, B]`. Not to be differentiated.
    """
    if size > _FEW_ENTRIES:
        return plain_sums_along(numbers, index, size, axis=axis)
    entries = tf.range(size)[:, tf.newaxis, tf.newaxis]
    numbers_of_entry = tf.where(index == entries, numbers, 0.0)
    return tf.reduce_sum(numbers_of_entry, axis=2 - axis)


def plain_sums_along(
    numbers: tf.Tensor, index: tf.Tensor, size: int, *, axis: int
) -> tf.Tensor:
    """Returns what `sums_along` does, as TensorFlow has it."""
    width = tf.shape(index)[axis]
    sums = tf.math.unsorted_segment_sum(
        tf.reshape(numbers, [-1]),
        tf.reshape(_places(index, axis), [-1]),
        size * width,
    )
    return tf.reshape(sums, [size, width])


def _places(index: tf.Tensor, axis: int) -> tf.Tensor:
    """Returns where `[n, T]` or `[n, B]`, flat, has the entry of each place."""
    width = tf.shape(index)[axis]
    column = tf.expand_dims(tf.range(width), 1 - axis)
    return index * width + column


def count_pairs(
    before: tf.Tensor, after: tf.Tensor, size: int, dtype: tf.DType
) -> tf.Tensor:
    """Returns how often each pair of numbers stands at the same place.

    Of up to 16 numbers it is a product of matrices that say which number
    stands where.

    Args:
      before: int32 of any shape, with values in `[0, n)`.
      after: int32 of that shape, with values in `[0, n)`.
      size: n, a Python integer.
      dtype: floating dtype of the result.

    Returns:
      `[n, n]`. Not to be differentiated.
    """
    if size > _FEW_ENTRIES:
        return plain_count_pairs(before, after, size, dtype)
    entries = tf.range(size)[:, tf.newaxis]
    first, second = [
        tf.cast(tf.reshape(numbers, [-1]) == entries, dtype)
        for numbers in (before, after)
    ]
    return tf.linalg.matmul(first, second, transpose_b=True)


def plain_count_pairs(
    before: tf.Tensor, after: tf.Tensor, size: int, dtype: tf.DType
) -> tf.Tensor:
    """Returns what `count_pairs` does, as TensorFlow has it."""
    pairs = before * size + after
    counts = plain_sum_by_entry(tf.ones_like(pairs, dtype), pairs, size**2)
    return tf.reshape(counts, [size, size])


def _select_among(entries: list[tf.Tensor], index: tf.Tensor) -> tf.Tensor:
    """Returns the entry of each place, by nested selections.

    Args:
      entries: tensors that broadcast to the shape of `index`, of its rank.
      index: int32 of any shape.
    """
    if len(entries) == 1:
        return tf.broadcast_to(entries[0], tf.shape(index))
    result = entries[0]
    for position, entry in enumerate(entries[1:], start=1):
        result = tf.where(index == position, entry, result)
    return result
