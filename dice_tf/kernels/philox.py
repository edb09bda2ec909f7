"""Many draws of TensorFlow's Philox generator, at once.

The bits are those that TensorFlow gives for each seed. `plain_draw_many` is the
reference of all ways to draw them. `tf.random.stateless_uniform` scrambles its
seed by some twenty operations, and then draws number by number. Here the seeds
of many draws are scrambled together, and numbers can be computed by operations
that XLA vectorises.

Source: J. Salmon, M. Moraes, R. Dror and D. Shaw, "Parallel random numbers: as
easy as 1, 2, 3", SC 2011 (Philox4x32-10, its rounds and constants); the
scrambling is that of TensorFlow's stateless samplers.
"""

import math
from collections.abc import Callable, Iterable

import tensorflow as tf

# From seeds, int32 `[num, 2]`, and a shape to uint32 `[num, *shape]`.
Draw = Callable[[tf.Tensor, list[int]], tf.Tensor]

_MULTIPLIERS = [0xD2511F53, 0xCD9E8D57]
_KEY_STEPS = [0x9E3779B9, 0xBB67AE85]
_NUM_ROUNDS = 10
# The key with which TensorFlow scrambles seeds, its low word first.
_SCRAMBLING_KEY = [0x3EC8F720, 0x02461E29]
_WORDS_PER_BLOCK = 4


def draw_many(seeds: tf.Tensor, shape: list[int]) -> tf.Tensor:
    """Draws random bits for each of many seeds, by TensorFlow's kernels.

    All seeds are scrambled at once. The graph of `experiments.ipd`, whose
    operations take 0.2 to 1 ms each to build, has 15,832 of them instead of
    22,285 (see benchmarks/PROFILE.md).

    Args:
      seeds: int32 `[num, 2]`.
      shape: static shape of each draw.

    Returns:
      uint32 `[num, *shape]`, for each seed the bits that TensorFlow draws.
    """
    keys, starts = _scramble(seeds)
    counters = tf.stack([tf.zeros_like(starts), starts], axis=-1)
    keys = tf.unstack(keys[:, tf.newaxis])
    return _draw(zip(keys, tf.unstack(counters), strict=True), shape)


def draw_each(seeds: tf.Tensor, shape: list[int]) -> tf.Tensor:
    """Returns what `draw_many` does, with each seed scrambled by itself.

    One operation scrambles a seed, where `draw_many` takes 200 for all: for few
    seeds this is faster. Not for programs of XLA, whose operation scrambles
    negative seeds otherwise.
    """
    scramble = tf.raw_ops.StatelessRandomGetKeyCounter
    return _draw([scramble(seed=seed) for seed in tf.unstack(seeds)], shape)


def _draw(
    scrambled: Iterable[tuple[tf.Tensor, tf.Tensor]], shape: list[int]
) -> tf.Tensor:
    """Draws for scrambled seeds, each a key and a counter."""
    sizes = tf.constant(shape, tf.int32, [len(shape)])
    alg = tf.constant(tf.random.Algorithm.PHILOX.value, tf.int32)
    draws = [
        tf.raw_ops.StatelessRandomUniformFullIntV2(
            shape=sizes, key=key, counter=counter, alg=alg, dtype=tf.uint32
        )
        for key, counter in scrambled
    ]
    return tf.stack(draws)


def plain_draw_many(seeds: tf.Tensor, shape: list[int]) -> tf.Tensor:
    """Returns what `draw_many` does, seed by seed."""
    draws = [
        tf.random.stateless_uniform(
            shape, seed, None, None, tf.uint32, alg="philox"
        )
        for seed in tf.unstack(seeds)
    ]
    return tf.stack(draws)


def count_blocks(shape: list[int]) -> int:
    """Returns how many blocks of the generator a draw of this shape takes."""
    return -(-math.prod(shape) // _WORDS_PER_BLOCK)


def bits_of_blocks(blocks: tf.Tensor, shape: list[int]) -> tf.Tensor:
    """Returns the draws whose blocks `draw_blocks` has computed.

    It stands outside of the compiled program. XLA would not vectorise loops
    over the shape of the draws, and cannot take the bits of a complex number.

    Args:
      blocks: complex128 `[num, num_blocks]`.
      shape: static shape of each draw.

    Returns:
      uint32 `[num, *shape]`, as of `draw_many`.
    """
    num = blocks.shape[0]
    # On the host and on GPUs the low half of a number comes first.
    words = tf.reshape(tf.bitcast(blocks, tf.uint32), [num, -1])
    return tf.reshape(words[:, : math.prod(shape)], [num, *shape])


def draw_blocks(seeds: tf.Tensor, num_blocks: int) -> tf.Tensor:
    """Draws blocks of four words for each of many seeds, to be compiled.

    A block is one complex number, 16 bytes that are only a container. XLA would
    compute a block once for each number that is a part of it: with two words
    as one number, drawing takes twice as long (two CPU cores).

    Args:
      seeds: int32 `[num, 2]`.
      num_blocks: how many blocks each draw takes.

    Returns:
      complex128 `[num, num_blocks]`, for `bits_of_blocks`.
    """
    key, start = [x[:, tf.newaxis] for x in _scramble(seeds)]
    number = tf.cast(tf.range(num_blocks), tf.uint64)
    # The counter's low two words are the number of the block, the others where
    # the seed starts.
    even, odd = _rounds(
        [number, _low(start)],
        [tf.zeros_like(start), _high(start)],
        [_constant(word) for word in _MULTIPLIERS],
        _round_keys([_low(key), _high(key)]),
    )
    return tf.complex(
        *[
            tf.bitcast(_joined(*words), tf.float64)
            for words in zip(even, odd, strict=True)
        ]
    )


def _scramble(seeds: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns uint64 `[num]`: keys, and where their counters start."""
    # The counter's words 0 and 2, and 1 and 3.
    words = tf.unstack(tf.cast(seeds, tf.uint64), axis=-1)
    even, odd = _rounds(
        [_low(word) for word in words],
        [_high(word) for word in words],
        [_constant(word) for word in _MULTIPLIERS],
        _round_keys([_constant(word) for word in _SCRAMBLING_KEY]),
    )
    return _joined(even[0], odd[0]), _joined(even[1], odd[1])


def _rounds(
    even: list[tf.Tensor],
    odd: list[tf.Tensor],
    multipliers: list[tf.Tensor],
    round_keys: list[list[tf.Tensor]],
) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
    """Makes Philox' rounds of pairs of words below 2**32, as uint64.

    Args:
      even: words 0 and 2 of the counter.
      odd: its words 1 and 3.
      multipliers: of the even words.
      round_keys: for each round the two words of the key.

    Returns:
      The even and the odd words of the result.
    """
    xor = tf.bitwise.bitwise_xor
    for round_key in round_keys:
        products = [
            word * factor
            for word, factor in zip(even, multipliers, strict=True)
        ][::-1]
        even = [
            xor(xor(_high(product), word), key)
            for product, word, key in zip(products, odd, round_key, strict=True)
        ]
        odd = [_low(product) for product in products]
    return even, odd


def _round_keys(key: list[tf.Tensor]) -> list[list[tf.Tensor]]:
    keys = [key]
    while len(keys) < _NUM_ROUNDS:
        key = [
            _low(word + _constant(step))
            for word, step in zip(key, _KEY_STEPS, strict=True)
        ]
        keys.append(key)
    return keys


def _constant(word: int) -> tf.Tensor:
    return tf.constant(word, tf.uint64)


def _low(number: tf.Tensor) -> tf.Tensor:
    return tf.bitwise.bitwise_and(number, _constant(0xFFFFFFFF))


def _high(number: tf.Tensor) -> tf.Tensor:
    return tf.bitwise.right_shift(number, _constant(32))


def _joined(low: tf.Tensor, high: tf.Tensor) -> tf.Tensor:
    return tf.bitwise.bitwise_or(
        low, tf.bitwise.left_shift(high, _constant(32))
    )
