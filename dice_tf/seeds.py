"""Stateless randomness that is the same eagerly, in graphs and under XLA.

A `Seed` is two words of 31 bits. `make_seed` makes one of whole numbers of any
size. An integer hash splits seeds, and uniforms are made from raw Philox bits.
Both are equal eagerly, in graphs and under XLA, and can be computed for many
runs at once. TensorFlow's stateless float samplers differ between XLA and graph
mode.

The random bits of a `HoistedSeed` are drawn outside the XLA computation that
consumes them. Inside, XLA on CPU recomputes the generator for every consumer,
which costs up to a hundred times more.

Source: G. Steele, D. Lea and C. Flood, "Fast splittable pseudorandom number
generators", OOPSLA 2014 (how seeds are split: steps of the golden ratio, then a
mix of the bits). The constants of the mix are those of David Stafford's
variant 13.
"""

import contextlib
import hashlib
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from dice_tf.checks import (
    as_whole_numbers,
    check_float_dtype,
    check_rank,
    check_whole_number,
    naming,
)
from dice_tf.kernels.philox import Draw, draw_many

__all__ = ["Seed", "make_seed", "private_seed", "split_seed", "uniform"]

_BITS = tf.uint32
# Each is a tensor of its own.
_MOST_SEEDS = 2**24
# The number of a child that no split returns.
_PRIVATE = [-1]
# The words of a seed are not negative: from negative ones XLA draws other bits
# than graph mode does.
_WORD_BITS = 31
_WORD = 2**_WORD_BITS - 1
_BOTH_WORDS = 2 ** (2 * _WORD_BITS) - 1
# 2**64 divided by the golden ratio: up to a million children of one seed are
# steps of it that stay 2**40 apart from each other.
_STEP = 0x9E3779B97F4A7C15
# By round of the mix, the shift and the factor. All factors are odd.
_ROUNDS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
_LAST_SHIFT = 31
_SUCH_AS = "such as dice_tf.seeds.make_seed(7), of a whole number of any size"


def _u32(value: int) -> tf.Tensor:
    return tf.constant(value, _BITS)


def _u64(value: int) -> tf.Tensor:
    return tf.constant(value, tf.uint64)


def split_keys(keys: tf.Tensor, num: int) -> tf.Tensor:
    """Splits int32 `[..., 2]` into `[num, ..., 2]`, all not negative."""
    return child_keys(keys, np.arange(1, num + 1))


def child_keys(
    keys: tf.Tensor, numbers: Sequence[int] | np.ndarray | tf.Tensor
) -> tf.Tensor:
    """Returns the children of many seeds that have these numbers.

    For each number, the map from seeds to children is a bijection of 62 bits:
    different seeds have different children. For each seed, different numbers
    have different children.

    Args:
      keys: int32 `[..., 2]`.
      numbers: `[num]`, whole numbers; as a tensor int32, and not negative.

    Returns:
      int32 `[num, ..., 2]`, not negative.
    """
    # `tf.random.split(alg="philox")` and `tf.random.fold_in` do not serve. They
    # agree eagerly, in graphs and under XLA, but return negative seeds.
    # `tf.vectorized_map` runs them in a loop, as it does `tf.bitcast`.
    states = _joined_words(keys)
    if tf.is_tensor(numbers):
        steps = tf.cast(numbers, tf.uint64) * _u64(_STEP)
    else:
        steps = np.asarray(numbers).astype(np.uint64) * np.uint64(_STEP)
    steps = tf.reshape(steps, [-1] + [1] * states.shape.rank)
    return _separate_words(_mix(states + steps))


def _joined_words(keys: tf.Tensor) -> tf.Tensor:
    """Returns numbers of 62 bits, uint64 `[...]`, from int32 `[..., 2]`."""
    words = tf.bitwise.bitwise_and(tf.cast(keys, tf.uint64), _u64(_WORD))
    first, second = tf.unstack(words, axis=-1)
    second = tf.bitwise.left_shift(second, _u64(_WORD_BITS))
    return tf.bitwise.bitwise_or(first, second)


def _separate_words(states: tf.Tensor) -> tf.Tensor:
    """Returns int32 `[..., 2]` from numbers of 62 bits."""
    first = tf.bitwise.bitwise_and(states, _u64(_WORD))
    second = tf.bitwise.right_shift(states, _u64(_WORD_BITS))
    return tf.cast(tf.stack([first, second], axis=-1), tf.int32)


def _mix(states: tf.Tensor) -> tf.Tensor:
    """Spreads the bits of numbers, modulo 2**62: a bijection.

    An odd factor modulo 2**62 has an inverse. So has the exclusive or of a
    number with what it is when shifted.
    """
    both = _u64(_BOTH_WORDS)
    states = tf.bitwise.bitwise_and(states, both)
    for shift, factor in _ROUNDS:
        states = _fold(states, shift) * _u64(factor)
        states = tf.bitwise.bitwise_and(states, both)
    return _fold(states, _LAST_SHIFT)


def _fold(states: tf.Tensor, shift: int) -> tf.Tensor:
    shifted = tf.bitwise.right_shift(states, _u64(shift))
    return tf.bitwise.bitwise_xor(states, shifted)


def _draw_bits(key: tf.Tensor, shape: list[int]) -> tf.Tensor:
    return tf.random.stateless_uniform(
        shape, key, minval=None, maxval=None, dtype=_BITS, alg="philox"
    )


class HoistedSeed:
    """A seed whose random bits are drawn in the graph of its keys.

    Inside a function that is being traced (and compiled by XLA), `split` and
    the draws add their operations to the graph around it, and only their
    results enter, as inputs. One of several runs that are vectorised by
    `tf.vectorized_map` is picked by `run`.

    Attributes:
      keys: int32 `[num_runs, 2]`, a tensor of the enclosing graph.
      run: int32 scalar, which of the runs: in the graph being traced.
      num_runs: how many runs are vectorised, if not all that have keys.
      draw: draws bits of a shape for each of some keys, as `draw_many` does.
    """

    def __init__(
        self,
        keys: tf.Tensor,
        run: tf.Tensor,
        num_runs: int | None = None,
        draw: Draw = draw_many,
    ):
        self.keys = keys
        self.run = run
        self.num_runs = keys.shape[0] if num_runs is None else num_runs
        self.draw = draw

    def __repr__(self) -> str:
        # TensorFlow's errors show it where a learner takes it for a tensor.
        return (
            "<a seed whose random bits are drawn outside of the compiled step: "
            "split it by dice_tf.seeds.split_seed, draw from it by "
            "dice_tf.seeds.uniform>"
        )

    def split(self, num: int) -> list["Seed"]:
        """Returns `num` seeds, those that splitting a plain seed gives."""
        with graph_of(self.keys):
            children = tf.unstack(split_keys(self.keys, num))
        return [self._with_keys(keys) for keys in children]

    def private(self) -> "HoistedSeed":
        """Returns the seed that `private_seed` gives of a plain seed."""
        with graph_of(self.keys):
            keys = child_keys(self.keys, _PRIVATE)[0]
        return self._with_keys(keys)

    def _with_keys(self, keys: tf.Tensor) -> "HoistedSeed":
        return HoistedSeed(keys, self.run, self.num_runs, self.draw)

    def bits(self, shape: list[int]) -> tf.Tensor:
        """Returns the run's uint32 bits of the given shape."""
        with graph_of(self.keys):
            bits = self.draw(self.keys, shape)
        return tf.gather(bits, self.run)

    def key(self) -> tf.Tensor:
        """Returns the run's own seed, int32 `[2]`."""
        return tf.gather(self.keys, self.run)


# What functions that draw take as their `seed`: int32 `[2]`, as a tensor, an
# array or two whole numbers; or a seed whose bits are drawn elsewhere. A single
# whole number is not one: `make_seed` makes a seed of it.
Seed: TypeAlias = tf.Tensor | np.ndarray | Sequence[int] | HoistedSeed


def graph_of(keys: tf.Tensor) -> contextlib.AbstractContextManager:
    """Returns where operations join the graph of keys, see `HoistedSeed`."""
    if tf.executing_eagerly():
        return contextlib.nullcontext()
    return keys.graph.as_default()


def hash_numbers(numbers: Sequence[int]) -> int:
    """Hashes whole numbers, not negative and of any size, into 256 bits."""
    text = ",".join(f"{number:x}" for number in numbers)
    return int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")


def make_seed(*numbers: int) -> np.ndarray:
    """Makes a seed of a whole number of any size, or of several.

    The number is hashed: neighbours have seeds that have nothing in common. By
    it, whatever takes a whole number as its seed, such as
    `dice_tf.Trainer(seed=)`, becomes a `Seed`, which all others take.

    Args:
      *numbers: whole numbers, not negative; others give another seed, as does
        another order.

    Returns:
      int32 `[2]`, not negative, as an array.

    Example:
      >>> seed = dice_tf.seeds.make_seed(1_790_000_000_000_000_000)
      >>> returns = dice_tf.evaluation.play_match(
      ...     game, policies, batch_size=64, seed=seed, discount=0.96
      ... )
    """
    numbers = [check_whole_number("numbers", x, 0, None) for x in numbers]
    hashed = hash_numbers(numbers)
    words = (hashed & _WORD, hashed >> _WORD_BITS & _WORD)
    return np.array(words, np.int32)


def split_seed(seed: Seed, num: int) -> list[Seed]:
    """Splits a seed into independent ones.

    What a learner of your own does with its seed if it evaluates an objective
    more than once, see `dice_tf.learners.Learner.step`.

    Args:
      seed: a `Seed`: int32 `[2]`, or what a trainer gives to a learner.
      num: how many.

    Returns:
      A list of `num` seeds of the kind of `seed`.

    Example:
      >>> first, second = dice_tf.seeds.split_seed(seed, 2)
    """
    num = check_whole_number("num", num, 0, _MOST_SEEDS)
    if isinstance(seed, HoistedSeed):
        return seed.split(num)
    return tf.unstack(split_keys(as_seed(seed), num))


def child_seeds(seed: Seed, num: int) -> Callable[[int | tf.Tensor], Seed]:
    """Splits a seed for what `tf.vectorized_map` is to map over.

    Splitting and drawing from seeds that differ by element of the map would
    become loops. In a graph, both are therefore done for all elements around
    the map (see `HoistedSeed`), where this function is to be called.

    Args:
      seed: a `Seed`.
      num: how many.

    Returns:
      A function from the number of a child, which in a graph may be an int32
      scalar, to the seed. These are the seeds of `split_seed`.
    """
    if not isinstance(seed, HoistedSeed):
        if tf.executing_eagerly():
            return split_seed(seed, num).__getitem__
        seed = HoistedSeed(seed_tensor(seed)[tf.newaxis], 0)
    with graph_of(seed.keys):
        children = tf.transpose(split_keys(seed.keys, num), [1, 0, 2])
        keys = tf.reshape(children, [-1, 2])
    return lambda child: HoistedSeed(
        keys, seed.run * num + child, draw=seed.draw
    )


def child_tensors(seed: Seed, num: int) -> tf.Tensor:
    """Returns the children of a seed for samplers that draw by themselves.

    Args:
      seed: a `Seed`.
      num: how many.

    Returns:
      int32 `[num, 2]`, the `seed_tensor` of each child that `split_seed` gives,
      in one operation for all.
    """
    if not isinstance(seed, HoistedSeed):
        return split_keys(as_seed(seed), num)
    with graph_of(seed.keys):
        children = split_keys(seed.keys, num)
    return tf.gather(children, seed.run, axis=1)


def num_runs_of(seed: Seed) -> int:
    """Returns the number of vectorised runs that a seed is one of."""
    return seed.num_runs if isinstance(seed, HoistedSeed) else 1


def private_seed(seed: Seed) -> Seed:
    """Returns a seed apart from all that splitting `seed` gives.

    What draws from a seed that others split too, such as the play from which
    a learner looks ahead, draws from this one.

    Args:
      seed: a `Seed`.

    Returns:
      A seed of the kind of `seed`.
    """
    if isinstance(seed, HoistedSeed):
        return seed.private()
    return child_keys(as_seed(seed), _PRIVATE)[0]


def as_seed(seed: Seed) -> tf.Tensor | HoistedSeed:
    """Returns `seed` as an int32 tensor `[2]`, or a `HoistedSeed` as it is.

    Raises:
      ValueError: if the shape is not `[2]`.
    """
    if isinstance(seed, HoistedSeed):
        return seed
    with naming("seed", seed, f"an int32 tensor of shape [2], {_SUCH_AS}"):
        seed = tf.convert_to_tensor(seed, dtype=tf.int32)
    if seed.shape != [2]:
        raise ValueError(
            f"`seed` must be an int32 tensor of shape [2], {_SUCH_AS}. "
            f"Received shape {tuple(seed.shape)}."
        )
    return seed


def seed_tensor(seed: Seed) -> tf.Tensor:
    """Returns int32 `[2]`, for samplers that draw by themselves."""
    return seed.key() if isinstance(seed, HoistedSeed) else as_seed(seed)


def uniform(seed: Seed, shape: list[int], dtype: Any = tf.float32) -> tf.Tensor:
    """Draws from the uniform distribution on [0, 1).

    Args:
      seed: a `Seed`.
      shape: static shape of the result.
      dtype: float32 (multiples of 2**-24) or float64 (of 2**-32).

    Returns:
      A tensor of the given shape and dtype, never 1.
    """
    if tf.is_tensor(shape):
        check_rank("shape", as_whole_numbers("shape", shape), 1, "[rank]")
    else:
        shape = _check_shape(shape)
    return as_uniform(random_bits(seed, shape), dtype)


def uniform_of_each(
    keys: tf.Tensor, dtype: Any, scale: float = 1.0
) -> tf.Tensor:
    """Draws a number on [0, 1) from each of many seeds.

    A number depends on its own seed alone, wherever that stands: TensorFlow's
    generator has one seed for all that it draws. All 64 bits of a seed go
    through the two rounds of the mix that splits seeds. The last step of that
    is left out: it would change none of the upper 31 bits.

    Args:
      keys: int32 `[..., 2]`.
      dtype: as of `uniform`.
      scale: by what each number is multiplied, at most 1.

    Returns:
      `[...]`, never 1.
    """
    dtype = check_float_dtype("dtype", dtype)
    used = _used_bits(dtype)
    states = tf.bitcast(keys, tf.uint64) + _u64(_STEP)
    for shift, factor in _ROUNDS:
        states = _fold(states, shift) * _u64(factor)
    bits = tf.bitwise.right_shift(states, _u64(64 - used))
    return tf.cast(bits, dtype) * tf.constant(scale * 2.0**-used, dtype)


def _check_shape(shape: Any) -> list[Any]:
    """Returns a shape, some of whose sizes may be tensors, or raises."""
    if not isinstance(shape, (list, tuple, tf.TensorShape, np.ndarray)):
        raise TypeError(
            "`shape` must be a list of whole numbers. Received: "
            f"shape={shape!r} (of type {type(shape).__name__})."
        )
    sizes = [
        size if tf.is_tensor(size) else check_whole_number("shape", size, 0)
        for size in shape
    ]
    known = [size for size in sizes if not tf.is_tensor(size)]
    check_whole_number("shape", math.prod(known), 0)
    return sizes


def random_bits(seed: Seed, shape: list[int]) -> tf.Tensor:
    """Draws what `as_uniform` makes numbers of, where they are used.

    Args:
      seed: a `Seed`.
      shape: static shape of the result.

    Returns:
      A uint32 tensor of the given shape.
    """
    if isinstance(seed, HoistedSeed):
        return seed.bits(shape)
    return _draw_bits(as_seed(seed), shape)


def as_uniform(bits: tf.Tensor, dtype: Any) -> tf.Tensor:
    """Returns numbers in [0, 1) made of uint32 bits, see `uniform`."""
    dtype = check_float_dtype("dtype", dtype)
    used = _used_bits(dtype)
    bits = tf.bitwise.right_shift(bits, _u32(32 - used))
    return tf.cast(bits, dtype) * tf.constant(2.0**-used, dtype)


def _used_bits(dtype: tf.DType) -> int:
    # float32 holds 24 bits: more would round up to 1.
    return 24 if dtype == tf.float32 else 32
