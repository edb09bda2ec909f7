"""Reading a small table at many places, fast, with derivatives."""

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

    Linear in the table; its transpose sums a cotangent by entry. Both carry
    their own derivative, so that derivatives of any order are one of the two:
    those of a plain gather are scatters, which XLA on CPU runs number by
    number, and chains of selections take long to trace.

    Args:
      table: floating `[n]`.
      index: int32 of any shape, with values in `[0, n)`.

    Returns:
      A tensor of the shape of `index`.
    """
    return _read(table, index, table.shape[0])


def _read(table: tf.Tensor, index: tf.Tensor, size: int) -> tf.Tensor:
    # Of the graph that this is called in: in a loop, a derivative of the second
    # order cannot reach what is of the graph before the first.
    index = tf.identity(index)

    @tf.custom_gradient
    def read(values: tf.Tensor):
        return select(
            _computed_once(values, index), index
        ), lambda cotangent: _sum(cotangent, index, size)

    return read(table)


def _sum(numbers: tf.Tensor, index: tf.Tensor, size: int) -> tf.Tensor:
    """Returns the transpose of `_read`."""
    index = tf.identity(index)

    @tf.custom_gradient
    def summed(numbers: tf.Tensor):
        return _sum_by_entry(
            _computed_once(numbers, index), index, size
        ), lambda cotangent: _read(cotangent, index, size)

    return summed(numbers)


def _computed_once(x: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """Returns `x`, which XLA does not compute anew for each of its readers.

    What ends in a quotient by a number unknown to it, it computes once.
    """
    return x / tf.cast(tf.reshape(index, [-1])[0] >= 0, x.dtype)


def _sum_by_entry(numbers: tf.Tensor, index: tf.Tensor, size: int) -> tf.Tensor:
    """Sums numbers by entry.

    Of few entries, a few rows are added to one another, then what is left: XLA
    makes one vectorised pass of it, for one entry after the other. Many numbers
    are in blocks of such rows, that every entry finds a block in the cache. A
    matrix of who belongs to which entry, `size` times as large as the numbers,
    would go through memory, and a loop over rows, once a tape has seen it,
    cannot be vectorised over runs.
    """
    if size > _FEW_ENTRIES:
        return tf.math.unsorted_segment_sum(
            tf.reshape(numbers, [-1]), tf.reshape(index, [-1]), size
        )
    count = index.shape.num_elements() or 1  # Unknown: one row.
    num_rows = largest_divisor(count, MAX_ROWS)
    num_blocks = 1
    if count > _MANY_NUMBERS:
        width = largest_divisor(count // num_rows, _MAX_WIDTH)
        if width >= _MIN_WIDTH:
            num_blocks = count // (num_rows * width)
    rows = [num_blocks, 1, num_rows, -1]
    entries = tf.range(size)[:, tf.newaxis, tf.newaxis]
    own = tf.where(
        tf.reshape(index, rows) == entries, tf.reshape(numbers, rows), 0.0
    )
    return tf.reduce_sum(tf.add_n(tf.unstack(own, axis=2)), axis=[0, 2])


def select(table: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """Returns `table[index]`, for use inside a loop.

    Of few entries by nested selections: they fuse with what surrounds them,
    and are vectorised.

    Args:
      table: `[n]`, of any dtype.
      index: int32 of any shape, with values in `[0, n)`.

    Returns:
      A tensor of the shape of `index`. Not to be differentiated: use
      `lookup`.
    """
    if table.shape[0] > _FEW_ENTRIES:
        return tf.gather(table, index)
    # Of the rank of `index`, lest tf.vectorized_map expands each of them.
    size = table.shape[0]
    entries = tf.reshape(table, [size] + [1] * index.shape.rank)
    return _select_among(tf.unstack(entries), index)


def select_by_step(tables: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """Returns `tables[index[t, b], t]`: every step has a table of its own.

    Args:
      tables: floating `[n, T]`, the table of each step as a column.
      index: int32 `[T, B]`, with values in `[0, n)`.

    Returns:
      `[T, B]`. Not to be differentiated.
    """
    size, length = tables.shape
    tables = _computed_once(tables, index)
    if size > _FEW_ENTRIES:
        steps = tf.range(length)[:, tf.newaxis]
        return tf.gather(tf.reshape(tables, [-1]), index * length + steps)
    return _select_among(tf.unstack(tables[:, :, tf.newaxis]), index)


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
