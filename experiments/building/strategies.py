"""From the name of a strategy to the strategy."""

import functools
import os

import tensorflow as tf

from experiments.settings.strategy_flags import MIRRORED, NONE

_CLUSTER = "TF_CONFIG"


@functools.cache
def build_strategy(name: str) -> tf.distribute.Strategy | None:
    """Returns a strategy, the same one each time.

    That of several workers waits for them, and has to be built before
    TensorFlow does anything else.

    Args:
      name: as of --strategy.

    Raises:
      ValueError: if no cluster is described.
    """
    if name == NONE:
        return None
    if name == MIRRORED:
        return tf.distribute.MirroredStrategy()
    if not os.environ.get(_CLUSTER):
        raise ValueError(
            f"--strategy={name} needs the environment variable {_CLUSTER}, "
            "another one on each machine, such as "
            '\'{"cluster": {"worker": ["host_a:12345", "host_b:12345"]}, '
            '"task": {"type": "worker", "index": 0}}\'.'
        )
    return tf.distribute.MultiWorkerMirroredStrategy()
