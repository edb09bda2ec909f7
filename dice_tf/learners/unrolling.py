"""Unrolled learning steps of some of the players."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from dice_tf.checks import check_whole_number
from dice_tf.inner_optimizers import InnerOptimizer
from dice_tf.learners.learner import own_gradients
from dice_tf.objectives.objective import Objective, Params
from dice_tf.seeds import Seed


class Unrolled(NamedTuple):
    """The parameters after unrolled steps, and what the first step left.

    Attributes:
      params: one list of tensors per player, after all steps.
      first_slots: one nest per player, the optimiser's after the first step.
      first_gradients: by player that learns, its gradient at the first step;
        empty without steps.
    """

    params: list[list[tf.Tensor]]
    first_slots: list[Any]
    first_gradients: dict[int, list[tf.Tensor]]


def unroll(
    objective: Objective,
    params: Params,
    player_ids: Sequence[int],
    seeds: Sequence[Seed | None],
    *,
    slots: Sequence[Any],
    rates: Sequence[Any],
    optimizer: InnerOptimizer,
    num_differentiated: int | None = None,
) -> Unrolled:
    """Lets some players learn, all at once, while the others stand still.

    Args:
      objective: what all players maximise.
      params: one list of tensors per player.
      player_ids: the players that learn.
      seeds: one per step, each for all that learn.
      slots: one nest per player, the optimiser's before the first step.
      rates: one per player, of its steps.
      optimizer: makes the steps.
      num_differentiated: number of the last steps whose gradients are
        differentiated; those of earlier steps are held constant. Default: all.

    Returns:
      `Unrolled`. Its `params` are differentiable in those that each player
      starts from, directly and through the gradients of the last
      `num_differentiated` steps.
    """
    params, slots = list(params), list(slots)
    first_slots = slots
    first_gradients: dict[int, list[tf.Tensor]] = {}
    num_constant = 0
    if num_differentiated is not None:
        num_constant = max(0, len(seeds) - num_differentiated)
    for k, seed in enumerate(seeds):
        gradients = own_gradients(objective, params, player_ids, seed)
        if k < num_constant:
            # The slots are made of the gradients, and so are constant too.
            gradients = tf.nest.map_structure(tf.stop_gradient, gradients)
        for j in player_ids:
            params[j], slots[j] = optimizer.step(
                params[j], gradients[j], slots[j], rates[j]
            )
        if k == 0:
            first_slots, first_gradients = list(slots), gradients
    return Unrolled(params, first_slots, first_gradients)


def check_num_differentiated(value: Any) -> int | None:
    """Returns the argument `num_differentiated` of a learner, or raises.

    Raises:
      TypeError, ValueError: if it is neither `None` nor a whole number of at
        least 0.
    """
    if value is None:
        return None
    return check_whole_number("num_differentiated", value, 0)
