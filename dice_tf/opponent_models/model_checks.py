"""What a model of an opponent must be."""

from collections.abc import Sequence

import keras

from dice_tf.models.seat_models import (
    check_finite_weights,
    check_no_penalties,
    check_separate,
)
from dice_tf.objectives.objective import Objective
from dice_tf.policies.policy_check import check_unseated

Models = tuple[keras.Model | None, ...]


def check_models(models: Sequence[keras.Model | None]) -> Models:
    """Returns the models, or raises if they cannot be fitted to play.

    Args:
      models: one per seat, `None` if there is none.

    Raises:
      TypeError: if they are not models in a list.
      ValueError: if there is no model, one has no weights, two share trainable
        variables, or one draws noise of its own or cannot be differentiated
        twice.
    """
    if not isinstance(models, (list, tuple)):
        raise TypeError(
            "`models` must be a list with one keras.Model, or None, per "
            f"player. Received: {models!r}."
        )
    for seat, model in enumerate(models):
        if model is None:
            continue
        if not isinstance(model, keras.Model):
            raise TypeError(
                "`models` must hold keras.Model objects, or None. Received: "
                f"{model!r}."
            )
        if not model.trainable_variables:
            raise ValueError(
                f"`models` holds {model.name!r}, which has no weights to fit. "
                "If it has layers, call it once on a batch of observations."
            )
        check_no_penalties(f"models[{seat}]", model)
        check_finite_weights(f"models[{seat}]", model)
    if all(model is None for model in models):
        raise ValueError("`models` must hold at least one model.")
    given = {
        f"models[{j}]": model
        for j, model in enumerate(models)
        if model is not None
    }
    check_separate(given)
    for name, model in given.items():
        check_unseated(name, model)
    return tuple(models)


def check_seats(
    models: Models, num_players: int, player_id: int | None = None
) -> None:
    """Raises if there is not one entry per player, or a player models itself.

    Args:
      models: one per seat, `None` if there is none.
      num_players: of the objective.
      player_id: the player that learns, if it is known.

    Raises:
      ValueError: if there is not one entry per player, or an entry for the
        player that learns.
    """
    if len(models) != num_players:
        raise ValueError(
            f"`models` must hold one entry for each of {num_players} "
            f"players, or None. Received {len(models)}."
        )
    if player_id is not None and models[player_id] is not None:
        raise ValueError(
            f"`models[{player_id}]` must be None: player {player_id} "
            f"does not model itself. Received: {models[player_id]!r}."
        )


def with_models(objective: Objective, models: Models) -> Objective:
    """Returns the objective with models in place of the opponents."""
    return objective.with_policies(
        [
            policy if model is None else model
            for model, policy in zip(models, objective.policies, strict=True)
        ]
    )
