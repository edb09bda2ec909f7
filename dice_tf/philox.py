"""Many draws of TensorFlow's Philox generator, with few operations.

`tf.random.stateless_uniform` scrambles its seed before it draws, by some
twenty operations. For many seeds these are done at once here, and the bits are
those that TensorFlow gives for each seed.

Source: J. Salmon, M. Moraes, R. Dror and D. Shaw, "Parallel random numbers: as
easy as 1, 2, 3", SC 2011 (Philox4x32-10, its rounds and constants); the
scrambling is that of TensorFlow's stateless samplers.
"""

import tensorflow as tf

_MULTIPLIERS = [0xD2511F53, 0xCD9E8D57]
_KEY_STEPS = [0x9E3779B9, 0xBB67AE85]
_NUM_ROUNDS = 10
# The key with which TensorFlow scrambles seeds, its low word first.
_SCRAMBLING_KEY = [0x3EC8F720, 0x02461E29]
_LOW_WORD = 0xFFFFFFFF


def draw_many(seeds: tf.Tensor, shape: list[int]) -> list[tf.Tensor]:
    """Draws random bits for each of many seeds.

    Args:
      seeds: int32 `[num, 2]`.
      shape: static shape of each draw.

    Returns:
      `num` uint32 tensors of that shape: for each seed the bits of
      `tf.random.stateless_uniform(shape, seed, minval=None, maxval=None,
      dtype=tf.uint32, alg="philox")`.
    """
    keys, starts = tf.unstack(_scramble(seeds), axis=-1)
    counters = tf.stack([tf.zeros_like(starts), starts], axis=-1)
    sizes = tf.constant(shape, tf.int32, [len(shape)])
    alg = tf.constant(tf.random.Algorithm.PHILOX.value, tf.int32)
    return [
        tf.raw_ops.StatelessRandomUniformFullIntV2(
            shape=sizes, key=key, counter=counter, alg=alg, dtype=tf.uint32
        )
        for key, counter in zip(
            tf.unstack(keys[:, tf.newaxis]), tf.unstack(counters), strict=True
        )
    ]


def _scramble(seeds: tf.Tensor) -> tf.Tensor:
    """Returns uint64 `[num, 2]`: the key, and where its counter starts."""
    multipliers = tf.constant(_MULTIPLIERS, tf.uint64)
    low_word = tf.constant(_LOW_WORD, tf.uint64)
    word_size = tf.constant(32, tf.uint64)
    backwards = tf.constant([1, 0])
    # The counter's words 0 and 2, and 1 and 3: each below 2**32.
    counter = tf.cast(seeds, tf.uint64)
    even = tf.bitwise.bitwise_and(counter, low_word)
    odd = tf.bitwise.right_shift(counter, word_size)
    for number in range(_NUM_ROUNDS):
        key = [
            (own + number * step) & _LOW_WORD
            for own, step in zip(_SCRAMBLING_KEY, _KEY_STEPS, strict=True)
        ]
        products = tf.gather(even * multipliers, backwards, axis=-1)
        even = tf.bitwise.bitwise_xor(
            tf.bitwise.right_shift(products, word_size),
            tf.bitwise.bitwise_xor(odd, tf.constant(key, tf.uint64)),
        )
        odd = tf.bitwise.bitwise_and(products, low_word)
    return tf.bitwise.bitwise_or(even, tf.bitwise.left_shift(odd, word_size))
