"""Models that sit in several seats, with one set of parameters for all."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dice_tf.games.finite import FiniteGame
from dice_tf.games.game import Game


def first_seats(models: Sequence[keras.Model]) -> tuple[int, ...]:
    """Returns for each seat the first seat in which the same model sits.

    Args:
      models: one per seat.
    """
    identities = list(map(id, models))
    return tuple(map(identities.index, identities))


def in_first_seats(models: Sequence[keras.Model]) -> dict[int, keras.Model]:
    """Returns each model once, by the first seat in which it sits."""
    return {seat: models[seat] for seat in first_seats(models)}


def check_seats_alike(
    name: str, models: Sequence[keras.Model], game: Game
) -> None:
    """Raises if a model sits in seats that differ in what they see or do.

    A model without trainable variables may sit anywhere: nothing is shared.

    Args:
      name: how errors name the models, such as `"policies"`.
      models: one per seat.
      game: the game.

    Raises:
      ValueError: if observations or actions of two such seats differ.
    """
    for seat, first in enumerate(first_seats(models)):
        model = models[seat]
        if not isinstance(model, keras.Model) or seat == first:
            continue
        difference = _difference(game, first, seat)
        is_fixed = model.built and not model.trainable_variables
        if difference and not is_fixed:
            raise ValueError(
                f"`{name}[{first}]` and `{name}[{seat}]` are one model "
                f"({model.name!r}), whose parameters these seats would share. "
                f"Only seats that see and do alike can. {difference}: make "
                "one model for each."
            )


def _difference(game: Game, first: int, seat: int) -> str:
    """Returns what differs between two seats, empty if they are alike."""
    there, here = _described(game, first), _described(game, seat)
    if there != here:
        return f"Seat {first} has {there}, and seat {seat} has {here}"
    if not _have_one_mask(game, first, seat):
        return f"Seats {first} and {seat} have other legal actions"
    return ""


def _described(game: Game, seat: int) -> str:
    """Returns what a seat sees and does, in words."""
    actions = f"{game.num_actions[seat]} actions"
    if game.num_actions[seat] is None:
        actions = f"actions of shape {tuple(game.action_shapes[seat])}"
    bounds = game.action_bounds[seat]
    if bounds is not None:
        low, high = (np.asarray(bound).tolist() for bound in bounds)
        actions += f" from {low} to {high}"
    shape = tuple(game.observation_shapes[seat])
    return f"observations of shape {shape} and {actions}"


def _have_one_mask(game: Game, first: int, seat: int) -> bool:
    """Returns whether what is seen makes the same actions legal in two seats.

    In a game of many states, only an observation of zeros is compared.
    """
    shape = game.observation_shapes[first]
    seen: Any = np.zeros([1, *shape], tf.as_dtype(game.dtype).as_numpy_dtype)
    if isinstance(game, FiniteGame):
        seen = game.observations[first].astype(seen.dtype)
    first_mask, mask = (
        game.legal_actions(seen, place) for place in (first, seat)
    )
    if first_mask is None or mask is None:
        return first_mask is mask
    return np.array_equal(first_mask, mask)
