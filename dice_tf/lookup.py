"""Reading a small table at many places."""

import tensorflow as tf

# Beyond this many entries a gather is faster than nested selections.
_LARGEST_NESTED = 32


def lookup(table: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """Returns `table[index]` for a one-dimensional table.

    A small table is read by nested selections: they fuse with what surrounds
    them, and their derivatives are masked sums, where those of a gather are
    scatters, which XLA on CPU runs entry by entry.

    Args:
      table: `[n]`.
      index: integer tensor of any shape, with values in `[0, n)`.

    Returns:
      A tensor of the shape of `index`, linear in `table`.
    """
    size = table.shape[0]
    if size > _LARGEST_NESTED:
        return tf.gather(table, index)
    if size == 1:
        return tf.broadcast_to(table[0], tf.shape(index))
    entries = tf.unstack(table)
    result = entries[0]
    for position, entry in enumerate(entries[1:], start=1):
        result = tf.where(index == position, entry, result)
    return result
