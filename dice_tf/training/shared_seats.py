"""Seats that share parameters: those in which one model of an objective sits.

Learners and objectives know nothing of it. To them, the parameters of each
seat are tensors of their own, which happen to be equal. The variables are those
of the first of the seats, and what moves them is the sum over the seats, which
is the gradient of the shared parameters.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from dice_tf.learners.learner import Learner
from dice_tf.models.shared_models import first_seats
from dice_tf.objectives.objective import Objective


def policy_seats(objective: Objective) -> tuple[int, ...]:
    """Returns for each seat the first seat with the same parameters."""
    return _sharing(objective.policies, objective.num_players)


def critic_seats(objective: Objective) -> tuple[int, ...]:
    """Returns for each seat the first seat with the same critic."""
    critics = [critic.network for critic in objective.critics]
    return _sharing(critics, objective.num_players)


def _sharing(
    models: Sequence[keras.Model], num_players: int
) -> tuple[int, ...]:
    if not models:
        return tuple(range(num_players))
    # Seats of a model that nothing trains have no parameters to share.
    return tuple(
        first if models[seat].trainable_variables else seat
        for seat, first in enumerate(first_seats(models))
    )


def summed_over_seats(
    directions: Sequence[list[tf.Tensor]], seats: Sequence[int]
) -> list[list[tf.Tensor]]:
    """Returns for each seat the sum over all seats that share its parameters.

    Args:
      directions: one list of tensors per seat.
      seats: for each seat the first one with the same parameters.

    Returns:
      Lists of tensors like `directions`; where nothing is shared, the same.
    """
    sums = {}
    for first in seats:
        sharing = [
            direction
            for direction, seat in zip(directions, seats, strict=True)
            if seat == first
        ]
        sums[first] = sharing[0]
        if len(sharing) > 1:
            sums[first] = list(map(tf.add_n, zip(*sharing, strict=True)))
    return [sums[first] for first in seats]


def check_learning_alike(
    seats: Sequence[int],
    learners: Sequence[Learner | None],
    max_gradient_norms: Sequence[float | None],
) -> None:
    """Raises if seats that share parameters could not move as one.

    Args:
      seats: for each seat the first one with the same policy.
      learners: one per player, `None` for a frozen one.
      max_gradient_norms: one per player.

    Raises:
      ValueError: if one of these seats is frozen and another one learns, or
        their norms differ.
    """
    for seat, first in enumerate(seats):
        frozen = [i for i in (first, seat) if learners[i] is None]
        if len(frozen) == 1 and seat != first:
            (learning,) = {first, seat} - set(frozen)
            raise ValueError(
                f"{_shared(first, seat)} `learners[{frozen[0]}]` is None, "
                f"which would freeze them, and `learners[{learning}]` would "
                "move them. Freeze both seats or none, or make one model for "
                "each: keras.models.clone_model(model) makes another."
            )
        norms = max_gradient_norms[first], max_gradient_norms[seat]
        if norms[0] != norms[1]:
            raise ValueError(
                f"{_shared(first, seat)} `max_gradient_norm` must be the same "
                "for both seats, since the sum of their directions is "
                f"clipped. Received: {norms[0]} and {norms[1]}."
            )


def check_in_turn(seats: Sequence[int]) -> None:
    """Raises if players that move one after the other share parameters."""
    for seat, first in enumerate(seats):
        if seat != first:
            raise ValueError(
                f"{_shared(first, seat)} They move once in an iteration: "
                "`updates` must be 'simultaneous'. Received: "
                "updates='alternating'."
            )


def check_choices(name: str, choices: Any, seats: Sequence[int]) -> None:
    """Raises if there is an optimiser for a seat that has no variables.

    Args:
      name: how errors name the optimisers.
      choices: one optimiser for all players, or a list with one per player.
      seats: for each seat the first one with the same parameters.
    """
    if not isinstance(choices, (list, tuple)) or len(choices) != len(seats):
        return
    for seat, first in enumerate(seats):
        if seat != first and choices[seat] is not None:
            raise ValueError(
                f"`{name}[{seat}]` must be None: `{name}[{first}]` moves the "
                f"parameters that seats {first} and {seat} share. Received: "
                f"{choices[seat]!r}."
            )


def check_equal_start(
    params: Sequence[Sequence[Any]], seats: Sequence[int]
) -> None:
    """Raises if seats that share parameters are to start from others.

    Args:
      params: one list of arrays per player.
      seats: for each seat the first one with the same parameters.
    """
    for seat, first in enumerate(seats):
        pairs = zip(params[first], params[seat], strict=True)
        if any((one != two).any() for one, two in pairs):
            raise ValueError(
                "`initial_params` must hold equal arrays for seats "
                f"{first} and {seat}, which share their parameters: their "
                "policies are one model."
            )


def _shared(first: int, seat: int) -> str:
    return (
        f"`policies[{first}]` and `policies[{seat}]` are one model, with one "
        "set of parameters."
    )
