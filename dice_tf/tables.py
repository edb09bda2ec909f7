"""Reading a small table at many places, fast, with derivatives."""

import tensorflow as tf


def lookup(table: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """Returns `table[index]` for a one-dimensional table.

    Linear in the table; its transpose sums a cotangent by entry. Both carry
    their own derivative, so that derivatives of any order are one of the two:
    those of a plain gather are scatters, which XLA on CPU runs entry by
    entry, and chains of selections take long to trace.

    Args:
      table: floating `[n]`.
      index: int32 of any shape, with values in `[0, n)`.

    Returns:
      A tensor of the shape of `index`.
    """
    size = table.shape[0]

    @tf.custom_gradient
    def read(values: tf.Tensor):
        return tf.gather(values, index), sum_by_entry

    @tf.custom_gradient
    def sum_by_entry(cotangent: tf.Tensor):
        flat = tf.reshape(index, [1, -1])
        member = tf.cast(flat == tf.range(size)[:, tf.newaxis], table.dtype)
        sums = tf.linalg.matvec(member, tf.reshape(cotangent, [-1]))
        return sums, read

    return read(table)


def select(table: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """Returns `table[index]` by nested selections, for use inside a loop.

    They fuse with what surrounds them, which a gather does not.

    Args:
      table: `[n]`, of any dtype.
      index: int32 of any shape, with values in `[0, n)`.

    Returns:
      A tensor of the shape of `index`. Not to be differentiated: use
      `lookup`.
    """
    entries = tf.unstack(table)
    result = tf.broadcast_to(entries[0], tf.shape(index))
    for position, entry in enumerate(entries[1:], start=1):
        result = tf.where(index == position, entry, result)
    return result
