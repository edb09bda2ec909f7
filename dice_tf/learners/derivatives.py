"""The derivatives of values that learners are made of."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from dice_tf.learners.learner import gradient_of
from dice_tf.objectives.objective import Objective, Params
from dice_tf.seeds import Seed, split_seed


class CrossGradients(NamedTuple):
    """Values, and their gradients in the parameters of several players.

    Attributes:
      values: tuple of N scalars.
      gradients: `gradients[i][j]` is `dV_i / dtheta_j`, tensors like
        `params[j]`.
    """

    values: tuple[tf.Tensor, ...]
    gradients: dict[int, dict[int, list[tf.Tensor]]]


def evaluation_seeds(seed: Seed | None, num: int) -> list:
    """Returns seeds for `num` evaluations of an objective.

    The first is `seed` itself: all players evaluate the objective first at the
    parameters that they start from, and so can share that play. The others
    are split from `seed`. What is played is not correlated, since play draws
    from the `private_seed` of the seed that it is given. All are `None` if
    `seed` is.
    """
    if seed is None:
        return [None] * num
    return [seed, *(split_seed(seed, num - 1) if num > 1 else [])]


def players_with_params(params: Params) -> list[int]:
    """Returns the players that have parameters: fixed policies have none."""
    return [i for i, player_params in enumerate(params) if player_params]


def opponents_of(params: Params, player_id: int) -> list[int]:
    """Returns the other players that have parameters."""
    return [j for j in players_with_params(params) if j != player_id]


def cross_gradients(
    objective: Objective,
    params: Params,
    value_ids: Sequence[int],
    param_ids: Sequence[int],
    seed: Seed | None,
) -> CrossGradients:
    """Differentiates several values in several players' parameters.

    Args:
      objective: what all players maximise.
      params: one list of tensors per player.
      value_ids: the players i whose values are differentiated.
      param_ids: the players j in whose parameters.
      seed: int32 `[2]`.

    Returns:
      `CrossGradients`, differentiable in all parameters by an outer tape.
    """
    with tf.GradientTape(
        persistent=True, watch_accessed_variables=False
    ) as tape:
        for j in param_ids:
            tape.watch(params[j])
        values = objective(params, seed)
    gradients = {
        i: {j: gradient_of(tape, values[i], params[j]) for j in param_ids}
        for i in value_ids
    }
    return CrossGradients(values, gradients)


def after_steps(
    params: Params,
    player_id: int,
    directions: Mapping[int, list[tf.Tensor]] | Sequence[list[tf.Tensor]],
    rates: Sequence[Any],
) -> list[list[tf.Tensor]]:
    """Returns all parameters after a step of each opponent of a player.

    Args:
      params: one list of tensors per player.
      player_id: the player that stands still.
      directions: by player, tensors like its parameters.
      rates: one per player.

    Returns:
      One list of tensors per player, differentiable in all arguments.
    """
    reached = list(params)
    for j in opponents_of(params, player_id):
        reached[j] = [
            x + rates[j] * step
            for x, step in zip(params[j], directions[j], strict=True)
        ]
    return reached


def inner_product(
    left: Sequence[tf.Tensor], right: Sequence[tf.Tensor]
) -> tf.Tensor:
    """Returns the sum of the products of all entries, a scalar."""
    return tf.add_n(
        [tf.reduce_sum(x * y) for x, y in zip(left, right, strict=True)]
    )


def weighted_sum(*terms: tuple[Any, list[tf.Tensor]]) -> list[tf.Tensor]:
    """Adds lists of tensors.

    Args:
      *terms: pairs of a weight, a number or scalar tensor, and a list.

    Returns:
      The sum over terms of weight times list, a list like each of them.
    """
    weights, lists = zip(*terms, strict=True)
    return [
        tf.add_n([w * x for w, x in zip(weights, tensors, strict=True)])
        for tensors in zip(*lists, strict=True)
    ]
