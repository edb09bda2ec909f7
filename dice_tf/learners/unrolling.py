"""Unrolled learning steps of a player's opponents."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from dice_tf.inner_optimizers import InnerOptimizer
from dice_tf.learners.derivatives import opponents_of
from dice_tf.learners.learner import own_gradients
from dice_tf.objectives.objective import Objective, Params


class Unrolled(NamedTuple):
    """Where unrolled steps lead, and what the first of them left.

    Attributes:
      params: one list of tensors per player, after all steps.
      first_slots: one nest per player, the optimiser's after the first step.
      first_gradients: by opponent, its gradient at the first step; empty
        without steps.
    """

    params: list[list[tf.Tensor]]
    first_slots: list[Any]
    first_gradients: dict[int, list[tf.Tensor]]


def unroll(
    objective: Objective,
    params: Params,
    player_id: int,
    seeds: Sequence[Any],
    slots: Sequence[Any],
    rates: Sequence[Any],
    optimizer: InnerOptimizer,
    num_differentiated: int | None = None,
) -> Unrolled:
    """Lets a player's opponents learn while it stands still.

    Args:
      objective: what all players maximise.
      params: one list of tensors per player.
      player_id: the player that stands still.
      seeds: one per step, each for all opponents at once.
      slots: one nest per player, the optimiser's before the first step.
      rates: one per player, of the opponents' steps.
      optimizer: makes the steps.
      num_differentiated: what the steps before the last so many reach is held
        constant. Default: nothing is.

    Returns:
      `Unrolled`; its `params` are differentiable in `params`, through the
      last `num_differentiated` steps.
    """
    params, slots = list(params), list(slots)
    opponents = opponents_of(player_id, params)
    first_slots, first_gradients = slots, {}
    num_constant = 0
    if num_differentiated is not None:
        num_constant = max(0, len(seeds) - num_differentiated)
    for k, seed in enumerate(seeds):
        gradients = own_gradients(objective, params, seed, opponents)
        for j in opponents:
            params[j], slots[j] = optimizer.step(
                params[j], gradients[j], slots[j], rates[j]
            )
            if k + 1 == num_constant:
                params[j], slots[j] = tf.nest.map_structure(
                    tf.stop_gradient, (params[j], slots[j])
                )
        if k == 0:
            first_slots, first_gradients = list(slots), gradients
    return Unrolled(params, first_slots, first_gradients)
