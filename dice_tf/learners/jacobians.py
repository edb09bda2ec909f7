"""The Jacobian of the game: how all players' gradients change together.

`g` is the stack over players of `dV_i / dtheta_i`, and `J` its Jacobian, with
the blocks `J_ij = d^2 V_i / dtheta_i dtheta_j`. The literature writes losses
`L = -V`, with `xi = -g` and `H = -J`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from dice_tf.learners.derivatives import (
    cross_gradients,
    evaluation_seeds,
    inner_product,
    players_with_params,
)
from dice_tf.learners.learner import gradient_of, own_gradients
from dice_tf.objectives.objective import Objective, Params
from dice_tf.objectives.tape_places import current_place
from dice_tf.replicas import num_replicas
from dice_tf.seeds import Seed


class GradientAndJacobian(NamedTuple):
    """A game's gradient and Jacobian, in all players' parameters.

    Attributes:
      gradient: `g_i`, by player tensors like its parameters.
      jacobian: `J`, `[d, d]`, see `game_jacobian`.
    """

    gradient: dict[int, list[tf.Tensor]]
    jacobian: tf.Tensor


class JacobianProducts(NamedTuple):
    """A game's gradient and products with its Jacobian, by player.

    Attributes:
      gradient: `g_i`, tensors like `params[i]`.
      forward: `(J v)_i`.
      transposed: `(J^T v)_i`.
    """

    gradient: dict[int, list[tf.Tensor]]
    forward: dict[int, list[tf.Tensor]]
    transposed: dict[int, list[tf.Tensor]]


def jacobian_products(
    objective: Objective,
    params: Params,
    player_ids: Sequence[int],
    seed: Seed | None,
    vectors: dict[int, list[tf.Tensor]],
) -> JacobianProducts:
    """Multiplies the game's Jacobian with vectors, without forming it.

    Args:
      objective: what all players maximise.
      params: one list of tensors per player.
      player_ids: the players whose parameters the game is in.
      seed: int32 `[2]`.
      vectors: v, by player tensors like its parameters; not differentiated.

    Returns:
      `JacobianProducts`.
    """
    with tf.GradientTape(
        persistent=True, watch_accessed_variables=False
    ) as tape:
        for i in player_ids:
            tape.watch(params[i])
        _, gradients = cross_gradients(
            objective, params, player_ids, player_ids, seed
        )
        along = {
            i: tf.add_n(
                [inner_product(gradients[i][j], vectors[j]) for j in player_ids]
            )
            for i in player_ids
        }
        total = tf.add_n(
            [inner_product(gradients[i][i], vectors[i]) for i in player_ids]
        )
    return JacobianProducts(
        {i: gradients[i][i] for i in player_ids},
        {i: gradient_of(tape, along[i], params[i]) for i in player_ids},
        {i: gradient_of(tape, total, params[i]) for i in player_ids},
    )


def products_with_gradient(
    objective: Objective, params: Params, seed: Seed | None
) -> JacobianProducts:
    """Multiplies the game's Jacobian with its gradient: `J g` and `J^T g`.

    The Jacobian is evaluated with the seed itself, the gradient that it
    multiplies with a seed split from it. The products of an unbiased objective
    are then unbiased.

    Args:
      objective: what all players maximise.
      params: one list of tensors per player.
      seed: int32 `[2]`.

    Returns:
      `JacobianProducts` of all players that have parameters.
    """
    seed, factor_seed = evaluation_seeds(seed, 2)
    players = players_with_params(params)
    factors = own_gradients(objective, params, players, factor_seed)
    return jacobian_products(objective, params, players, seed, factors)


def game_jacobian(
    objective: Objective,
    params: Params,
    player_ids: Sequence[int],
    seed: Seed | None,
) -> tf.Tensor:
    """Forms the game's Jacobian.

    Args:
      objective: what all players maximise.
      params: one list of tensors per player.
      player_ids: the players whose parameters the game is in, at least one.
      seed: int32 `[2]`.

    Returns:
      `[d, d]`, with d the number of parameters of these players, in the order
      of `flatten`. Row r holds the derivatives of the r-th gradient.

    Raises:
      ValueError: if a policy or critic has memory and several runs are
        vectorised.
    """
    if objective.has_memory and current_place().num_loops:
        raise ValueError(
            "A policy or critic of the objective has memory, and TensorFlow "
            "cannot vectorise a pass over time twice: over the rows of a "
            "game's whole Jacobian, and over several runs. Train one run "
            "(num_seeds=1), or use a learner that needs products with the "
            "Jacobian only, such as SymplecticGradientAdjustment, Consensus or "
            "LOLADiCE."
        )
    with tf.GradientTape(
        persistent=True, watch_accessed_variables=False
    ) as tape:
        for i in player_ids:
            tape.watch(params[i])
        gradients = own_gradients(objective, params, player_ids, seed)
        flat = flatten(gradients, player_ids)
        # A loop of TensorFlow cannot hold a sum over replicas: with several of
        # them, each row is differentiated by itself.
        rows = tf.unstack(flat) if num_replicas() > 1 else []
    if rows:
        return tf.stack(
            [
                flatten(
                    {i: gradient_of(tape, x, params[i]) for i in player_ids},
                    player_ids,
                )
                for x in rows
            ]
        )
    blocks = tape.jacobian(
        flat,
        [param for i in player_ids for param in params[i]],
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
        # Eagerly, vectorising would trace a graph for every call.
        experimental_use_pfor=not tf.executing_eagerly(),
    )
    size = flat.shape[0]
    return tf.concat([tf.reshape(x, [size, -1]) for x in blocks], axis=1)


def gradient_and_jacobian(
    objective: Objective, params: Params, seed: Seed | None
) -> GradientAndJacobian:
    """Computes the game's gradient, with the seed itself, and its Jacobian.

    The Jacobian is evaluated with a seed split from the seed.

    Args:
      objective: what all players maximise.
      params: one list of tensors per player, of which one has parameters.
      seed: int32 `[2]`.

    Returns:
      `GradientAndJacobian` of all players that have parameters.
    """
    seed, jacobian_seed = evaluation_seeds(seed, 2)
    players = players_with_params(params)
    return GradientAndJacobian(
        own_gradients(objective, params, players, seed),
        game_jacobian(objective, params, players, jacobian_seed),
    )


def flatten(
    tensors: dict[int, list[tf.Tensor]] | Params, player_ids: Sequence[int]
) -> tf.Tensor:
    """Returns all players' tensors as one vector, in the order of the ids."""
    return tf.concat(
        [tf.reshape(x, [-1]) for i in player_ids for x in tensors[i]], axis=0
    )


def unflatten(
    vector: tf.Tensor, params: Params, player_ids: Sequence[int]
) -> dict[int, list[tf.Tensor]]:
    """Returns tensors like the players' parameters, undoing `flatten`."""
    sizes = [x.shape.num_elements() for i in player_ids for x in params[i]]
    parts = iter(tf.split(vector, sizes))
    return {
        i: [tf.reshape(next(parts), x.shape) for x in params[i]]
        for i in player_ids
    }
