"""Means over groups of a batch's episodes, one group at a time.

What a policy network computes for a batch, and what its derivatives keep of
it, takes memory in proportion to the batch. Taken group by group, it takes
that of one group; derivatives of any order are taken group by group, too, for
which a group is computed again.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from dice_tf.checks import check_whole_number
from dice_tf.models.seat_models import Weights
from dice_tf.objectives.tape_places import TapePlace, current_place
from dice_tf.play.trajectories import Trajectory


def mean_over_groups(
    function: Callable[..., Sequence[tf.Tensor]],
    num_groups: int,
    args: Sequence[tf.Tensor],
    tapes: TapePlace | None = None,
) -> list[tf.Tensor]:
    """Returns `1/G sum_g function(g, *args)`, in a loop over `g`.

    The vector-Jacobian product of such a mean is again one, of the products
    of the groups, and is computed as such; so on for every order.

    Inside a `tf.vectorized_map` around which there may be a tape, the groups
    are not computed in a loop, but side by side: with the same results, in the
    memory of all. The map would forget what the derivatives of the loop are.

    Args:
      function: from the number of a group, an int32 scalar, and tensors to
        scalars. It may use other tensors, through which no gradient flows.
      num_groups: G.
      args: floating tensors.
      tapes: in which place all tapes are opened; `None` if that is not known.

    Returns:
      One scalar for each that `function` returns, differentiable in `args` to
      any order.
    """
    if _is_mapped(tapes):
        groups = [function(tf.constant(g), *args) for g in range(num_groups)]
        return [
            tf.add_n(values) / num_groups
            for values in zip(*groups, strict=True)
        ]

    @tf.custom_gradient
    def mean(*args: tf.Tensor) -> Any:
        def backward(*cotangents: tf.Tensor) -> list[tf.Tensor]:
            product = _product_of_group(function, len(args))
            inputs = [*args, *cotangents]
            return mean_over_groups(product, num_groups, inputs, tapes)

        # A loop that a tape has seen cannot be vectorised.
        held = [tf.stop_gradient(x) for x in args]
        return _loop(lambda group: function(group, *held), num_groups), backward

    return list(mean(*args))


def _product_of_group(
    function: Callable[..., Sequence[tf.Tensor]], num_args: int
) -> Callable[..., list[tf.Tensor]]:
    """Returns the vector-Jacobian product of a group.

    Args:
      function: as of `mean_over_groups`.
      num_args: how many tensors it takes beside the number of the group.

    Returns:
      A function from the number of a group, these tensors, and one cotangent
      for each scalar that `function` returns, to one tensor like each of them.
    """

    def product(group: tf.Tensor, *inputs: tf.Tensor) -> list[tf.Tensor]:
        args, cotangents = inputs[:num_args], inputs[num_args:]
        with tf.GradientTape() as tape:
            tape.watch(args)
            values = function(group, *args)
        return tape.gradient(
            values,
            args,
            output_gradients=list(cotangents),
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )

    return product


def _is_mapped(tapes: TapePlace | None) -> bool:
    """Whether a vectorised loop may stand between here and a tape."""
    num_loops = 0 if tapes is None else tapes.num_loops
    return current_place().num_loops > num_loops


def _loop(
    function: Callable[[tf.Tensor], Sequence[tf.Tensor]], num_groups: int
) -> list[tf.Tensor]:
    first = [x / num_groups for x in function(tf.constant(0))]

    def add(group: tf.Tensor, *sums: tf.Tensor) -> tuple:
        values = function(group)
        sums = [x + y / num_groups for x, y in zip(sums, values, strict=True)]
        return group + 1, *sums

    _, *sums = tf.while_loop(
        lambda group, *_: group < num_groups,
        add,
        (tf.constant(1), *first),
        maximum_iterations=num_groups - 1,
    )
    return sums


def grouped_estimates(
    estimates: Callable[..., Sequence[tf.Tensor]],
    num_groups: int,
    weights: Sequence[Weights],
    trajectory: Trajectory,
    baselines: Sequence[Any],
    tapes: TapePlace | None = None,
) -> list[tf.Tensor]:
    """Returns means over the episodes, from one group after the other.

    Args:
      estimates: from weights, a trajectory and baselines to scalars, means
        over the trajectory's episodes.
      num_groups: G, which divides B.
      weights: the players' weights, in whose parameters the result is
        differentiable to any order.
      trajectory: what was played.
      baselines: nest of tensors `[T, B]`, and `None`.
      tapes: as of `mean_over_groups`.

    Returns:
      What `estimates` returns of the whole trajectory.
    """
    params = [player_weights.params for player_weights in weights]
    check_groups(num_groups, trajectory.discounts.shape[1])

    def of_group(group: tf.Tensor, *flat: tf.Tensor) -> Sequence[tf.Tensor]:
        group_weights = [
            player_weights._replace(params=player_params)
            for player_weights, player_params in zip(
                weights, tf.nest.pack_sequence_as(params, flat), strict=True
            )
        ]
        play, values = _episodes(group, num_groups, (trajectory, baselines))
        return estimates(group_weights, play, values)

    flat_params = tf.nest.flatten(params)
    return mean_over_groups(of_group, num_groups, flat_params, tapes)


def _episodes(group: tf.Tensor, num_groups: int, nest: Any) -> Any:
    """Returns the episodes `[T, B / G, ...]` of what has `[T, B, ...]`."""

    def take(x: tf.Tensor | None) -> tf.Tensor | None:
        if x is None:
            return None
        length, batch_size, *rest = x.shape
        shape = [length, num_groups, batch_size // num_groups, *rest]
        return tf.reshape(x, shape)[:, group]

    return tf.nest.map_structure(take, nest)


def check_groups(num_groups: Any, num_episodes: int) -> int:
    """Returns the number of groups, or raises if they are not of one size."""
    check_whole_number("num_groups", num_groups, 1)
    if num_episodes % num_groups:
        raise ValueError(
            "`num_groups` must divide the number of episodes (of a batch, or "
            "of a replica's share of it). Received: "
            f"num_groups={num_groups}, for {num_episodes} episodes."
        )
    return num_groups
