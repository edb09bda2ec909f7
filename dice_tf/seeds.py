"""Stateless randomness that is the same eagerly, in graphs and under XLA.

A `Seed` is two whole numbers. An integer hash splits seeds, and uniforms are
made from raw Philox bits. Both are equal eagerly, in graphs and under XLA, and
can be computed for many runs at once. TensorFlow's stateless float samplers
differ between XLA and graph mode.

The random bits of a `HoistedSeed` are drawn outside the XLA computation that
consumes them. Inside, XLA on CPU recomputes the generator for every consumer,
which costs up to a hundred times more.
"""

import contextlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dice_tf.checks import check_float_dtype, check_whole_number, naming
from dice_tf.kernels.philox import Draw, draw_many

__all__ = ["Seed", "private_seed", "split_seed", "uniform"]

_BITS = tf.uint32
# Each is a tensor of its own.
_MOST_SEEDS = 2**24
# The number of a child that no split returns.
_PRIVATE = [-1]


def _mix(x: tf.Tensor) -> tf.Tensor:
    """The 32-bit finaliser of MurmurHash3: a bijection that spreads bits."""
    x = tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, _u32(16)))
    x = x * _u32(0x85EBCA6B)
    x = tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, _u32(13)))
    x = x * _u32(0xC2B2AE35)
    return tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, _u32(16)))


def _u32(value: int) -> tf.Tensor:
    return tf.constant(value, _BITS)


def _split_keys(keys: tf.Tensor, num: int) -> tf.Tensor:
    """Splits int32 `[..., 2]` into `[num, ..., 2]`, all not negative."""
    return _child_keys(keys, tf.range(1, num + 1, dtype=tf.int32))


def _child_keys(keys: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """Returns the children with these numbers, `[num, ..., 2]`."""
    # `tf.random.split(alg="philox")` and `tf.random.fold_in` do not serve. They
    # agree eagerly, in graphs and under XLA, but return negative seeds, from
    # which XLA draws other bits than graph mode does, and
    # `tf.vectorized_map` runs them in a loop.
    keys = tf.bitcast(keys, _BITS)
    first, second = keys[..., 0], keys[..., 1]
    index = tf.reshape(tf.bitcast(index, _BITS), [-1] + [1] * first.shape.rank)
    child_second = _mix(second + index * _u32(0x9E3779B9))
    child_first = _mix(tf.bitwise.bitwise_xor(first, child_second) + index)
    children = tf.stack([child_first, child_second], axis=-1)
    children = tf.bitwise.bitwise_and(children, _u32(0x7FFFFFFF))
    return tf.bitcast(children, tf.int32)


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

    def split(self, num: int) -> list["HoistedSeed"]:
        """Returns `num` seeds, those that splitting a plain seed gives."""
        with graph_of(self.keys):
            children = tf.unstack(_split_keys(self.keys, num))
        return [self._with_keys(keys) for keys in children]

    def private(self) -> "HoistedSeed":
        """Returns the seed that `private_seed` gives of a plain seed."""
        with graph_of(self.keys):
            keys = _child_keys(self.keys, _PRIVATE)[0]
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
# array or two whole numbers; or a seed whose bits are drawn elsewhere.
Seed = tf.Tensor | np.ndarray | Sequence[int] | HoistedSeed


def graph_of(keys: tf.Tensor) -> contextlib.AbstractContextManager:
    """Returns where operations join the graph of keys, see `HoistedSeed`."""
    if tf.executing_eagerly():
        return contextlib.nullcontext()
    return keys.graph.as_default()


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
    return tf.unstack(_split_keys(as_seed(seed), num))


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
        seed = HoistedSeed(as_seed(seed)[tf.newaxis], 0)
    with graph_of(seed.keys):
        children = tf.transpose(_split_keys(seed.keys, num), [1, 0, 2])
        keys = tf.reshape(children, [-1, 2])
    return lambda child: HoistedSeed(
        keys, seed.run * num + child, draw=seed.draw
    )


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
    return _child_keys(as_seed(seed), _PRIVATE)[0]


def as_seed(seed: Seed) -> tf.Tensor | HoistedSeed:
    """Returns `seed` as an int32 tensor `[2]`, or a `HoistedSeed` as it is.

    Raises:
      ValueError: if the shape is not `[2]`.
    """
    if isinstance(seed, HoistedSeed):
        return seed
    with naming("seed", seed, "an int32 tensor of shape [2]"):
        seed = tf.convert_to_tensor(seed, dtype=tf.int32)
    if seed.shape != [2]:
        raise ValueError(
            "`seed` must be an int32 tensor of shape [2], such as "
            f"tf.constant([0, 1]). Received shape {tuple(seed.shape)}."
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
    if not tf.is_tensor(shape):
        shape = _check_shape(shape)
    return as_uniform(random_bits(seed, shape), dtype)


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
    # float32 holds 24 bits: more would round up to 1.
    used = 24 if dtype == tf.float32 else 32
    bits = tf.bitwise.right_shift(bits, _u32(32 - used))
    return tf.cast(bits, dtype) * tf.constant(2.0**-used, dtype)
