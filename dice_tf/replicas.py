"""What replicas of a `tf.distribute` strategy share, and what each has alone.

Inside `strategy.run` with N replicas, a batch of episodes is split: each plays
its share. Tensors are then of two kinds: *common* ones, equal on all replicas,
such as parameters, values and gradients; and *local* ones, which belong to a
share, such as trajectories. What passes from one kind to the other passes
through here:

- `to_replicas` takes common tensors into a local computation. Backwards, the
  cotangents of the replicas are averaged.
- `mean_over_replicas` takes local tensors to their common mean. Backwards,
  the common cotangent goes to each replica.

Each is the gradient of the other, so that derivatives of any order are those
of the whole batch, whoever takes them. With `L_r` the mean over the share of
replica r, `L = mean_r L_r` and `dL = mean_r dL_r`, and so on.

With one replica, or outside of a strategy, nothing is added to the graph.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dice_tf.seeds import split_seed


def num_replicas() -> int:
    """Returns N inside the step of one of N replicas, elsewhere 1."""
    context = tf.distribute.get_replica_context()
    return 1 if context is None else context.num_replicas_in_sync


def to_replicas(tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Takes common tensors into a computation on the replica's own share.

    Args:
      tensors: floating tensors, equal on all replicas.

    Returns:
      The tensors. Differentiable to any order.
    """
    tensors = list(tensors)
    if not tensors or num_replicas() == 1:
        return tensors
    return list(_spread(*tensors))


def mean_over_replicas(tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Returns means over all replicas.

    Args:
      tensors: floating tensors of the replica's share, such as means over it.

    Returns:
      Tensors of the same shapes, equal on all replicas. Differentiable to any
      order.
    """
    tensors = list(tensors)
    if not tensors or num_replicas() == 1:
        return tensors
    return list(_average(*tensors))


def sum_over_replicas(tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Returns sums over all replicas, held constant where they are more."""
    tensors = list(tensors)
    if not tensors or num_replicas() == 1:
        return tensors
    held = [tf.stop_gradient(x) for x in tensors]
    return _all_reduce(tf.distribute.ReduceOp.SUM, held)


def on_first_replica(tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Returns common tensors on one replica and zeros on the others.

    What sums them over replicas gets them once.
    """
    tensors = list(tensors)
    if num_replicas() == 1:
        return tensors
    is_first = tf.equal(_own_number(), 0)
    return [tf.where(is_first, x, tf.zeros_like(x)) for x in tensors]


def share_size(batch_size: int) -> int:
    """Returns how many episodes of a batch are the replica's own.

    Raises:
      ValueError: if the batch cannot be split evenly.
    """
    return check_share(batch_size, num_replicas())


def check_share(batch_size: int, replicas: int) -> int:
    """Returns the share of each replica, or raises if it is not whole."""
    if batch_size % replicas:
        raise ValueError(
            "`batch_size` must be a multiple of the number of replicas, "
            f"{replicas}, over which the episodes are split. Received: "
            f"batch_size={batch_size}. The nearest that fits is "
            f"{max(1, round(batch_size / replicas)) * replicas}."
        )
    return batch_size // replicas


def own_share(values: Any, axis: int = 0) -> Any:
    """Returns the replica's own part of what was made for the whole batch.

    Args:
      values: nest of tensors with an axis of all episodes.
      axis: which axis that is.

    Returns:
      A nest of tensors, the axis `num_replicas()` times shorter.
    """
    replicas = num_replicas()
    if replicas == 1:
        return values

    def take(x: tf.Tensor) -> tf.Tensor:
        shape = [*x.shape[:axis], replicas, -1, *x.shape[axis + 1 :]]
        return tf.gather(tf.reshape(x, shape), _own_number(), axis=axis)

    return tf.nest.map_structure(take, values)


def own_seed(seed: tf.Tensor) -> tf.Tensor:
    """Returns a seed that each replica has for itself.

    Args:
      seed: int32 `[2]`.

    Returns:
      int32 `[2]`: `seed`, or one of as many children as there are replicas.
    """
    replicas = num_replicas()
    if replicas == 1:
        return seed
    return tf.gather(tf.stack(split_seed(seed, replicas)), _own_number())


def _own_number() -> Any:
    return tf.distribute.get_replica_context().replica_id_in_sync_group


@tf.custom_gradient
def _spread(*tensors: tf.Tensor) -> Any:
    def backward(*cotangents: tf.Tensor) -> Any:
        # Cotangents of embeddings are IndexedSlices.
        return _average(*(tf.convert_to_tensor(x) for x in cotangents))

    return [tf.identity(x) for x in tensors], backward


@tf.custom_gradient
def _average(*tensors: tf.Tensor) -> Any:
    means = _all_reduce(tf.distribute.ReduceOp.MEAN, tensors)
    return means, lambda *cotangents: _spread(*cotangents)


def _all_reduce(operation: Any, tensors: Sequence[tf.Tensor]) -> list:
    context = tf.distribute.get_replica_context()
    return list(context.all_reduce(operation, list(tensors)))
