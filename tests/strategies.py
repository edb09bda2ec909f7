"""Strategies of two replicas, for tests that compare them with one."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf


@functools.cache
def two_logical_cpus() -> list[str]:
    """Returns the names of two CPUs, which conftest.py has made of one."""
    names = [device.name for device in tf.config.list_logical_devices("CPU")]
    return names[:2]


@functools.cache
def mirrored() -> tf.distribute.Strategy:
    """Returns a strategy of two replicas, the same one each time."""
    return tf.distribute.MirroredStrategy(two_logical_cpus())


def on_replicas(function: Callable, *args: Any) -> list[Any]:
    """Calls a function on two replicas, in one graph.

    Args:
      function: from tensors to a nest of tensors.
      *args: nests of tensors, the same for both replicas.

    Returns:
      For each replica the nest, as arrays.
    """
    strategy = mirrored()

    @tf.function
    def run() -> Any:
        return strategy.run(function, args=args)

    return [
        tf.nest.map_structure(lambda x: np.asarray(x), result)
        for result in local_results(strategy, run())
    ]


def local_results(strategy: tf.distribute.Strategy, nest: Any) -> list[Any]:
    """Returns what each replica returned, a nest by replica."""
    leaves = [
        strategy.experimental_local_results(leaf)
        for leaf in tf.nest.flatten(nest)
    ]
    return [
        tf.nest.pack_sequence_as(nest, own) for own in zip(*leaves, strict=True)
    ]
