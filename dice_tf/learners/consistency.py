"""How far updates are from shaping one another's updates."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from dice_tf.checks import (
    as_tensors,
    check_function,
    check_lists,
    check_shapes,
    described,
)
from dice_tf.learners.derivatives import (
    after_steps,
    inner_product,
    players_with_params,
)
from dice_tf.learners.inner_rates import (
    InnerRates,
    as_inner_rates,
    rates_of_players,
)
from dice_tf.learners.learner import check_step, gradient_of
from dice_tf.objectives.objective import Objective, Params

# From one list of tensors per player, its parameters, to another one, its
# direction there.
Update = Callable[[Params], Sequence[list[tf.Tensor]]]


def consistency_loss(
    update: Update,
    objective: Objective,
    params: Params,
    *,
    inner_learning_rate: float | Sequence[float] | InnerRates = 1.0,
) -> tf.Tensor:
    """Measures how well updates agree with what they assume of each other.

    A player that shapes its opponents assumes an update of theirs. LOLA assumes
    that they are naive, although they may be using LOLA themselves. Updates
    `d_i(theta)` are consistent if each player shapes the very updates that its
    opponents make. The loss is how far they are from it, in squares of moves:

      `sum_i |a_i (d_i - d/dtheta_i V_i(theta_i, theta_-i + a d_-i(theta)))|^2`.

    The total derivative flows through the opponents' updates. `HOLA` of order
    n puts the updates of order n - 1 into it, so that its loss is the squared
    distance of the moves of the orders n and n + 1.

    Args:
      update: a function from parameters, one list of tensors per player, to
        the directions of all players there, such lists too. It is
        differentiated in the parameters. The directions of `LOQA` and `POLA`
        are made of constants, so that they cannot be measured.
      objective: what all players maximise, in closed form.
      params: one list of tensors per player: where to measure.
      inner_learning_rate: `a`, one number, one per player, or `InnerRates`, of
        which the first rates count.

    Returns:
      The loss, a scalar, differentiable in all that `update` is made of.

    Raises:
      TypeError: if `update` is not such a function, or does not return lists.
      ValueError: if the lists do not hold tensors like the parameters, or the
        values are sampled: the square of a sampled residual is biased.

    Example:
      In the tandem game with rate 1, the loss of LOLA is the same everywhere:

      >>> def value(params, player_id):
      ...     x, y = params[0][0], params[1][0]
      ...     return 2.0 * params[player_id][0] - (x + y) ** 2
      >>> tandem = dice_tf.objectives.FunctionObjective(
      ...     [functools.partial(value, player_id=i) for i in range(2)]
      ... )
      >>> lola = dice_tf.learners.LOLADiCE(1, 1.0)
      >>> def update(params):
      ...     return [lola.gradient(tandem, params, i) for i in range(2)]
      >>> point = [[tf.constant(0.5)], [tf.constant(-2.0)]]
      >>> float(dice_tf.learners.consistency_loss(update, tandem, point))
      128.0

    References:
      Willi et al. 2022 (COLA: Consistent Learning with Opponent-Learning
      Awareness).
    """
    check_function("update", update, "a function of all players' parameters", 1)
    params = check_step(objective, params, 0)
    check_exact(objective, "The consistency loss")
    inner_rates = as_inner_rates(inner_learning_rate)
    rates = rates_of_players(inner_rates, inner_rates.init(params), params)
    residuals = consistency_residuals(
        lambda known: _checked(update(known), known), objective, params, rates
    )
    losses = [
        rates[i] ** 2 * inner_product(residual, residual)
        for i, residual in residuals.items()
    ]
    return tf.add_n(losses) if losses else tf.zeros([])


def consistency_residuals(
    update: Update,
    objective: Objective,
    params: Params,
    rates: Sequence[Any],
) -> dict[int, list[tf.Tensor]]:
    """Returns how far each player's direction is from shaping the others'.

    Args:
      update: from parameters to one direction per player.
      objective: what all players maximise, in closed form.
      params: one list of tensors per player.
      rates: `a`, one per player.

    Returns:
      By player that has parameters, tensors like these,
      `d_i - d/dtheta_i V_i(theta_i, theta_-i + a d_-i(theta))`, differentiable
      in the parameters and in all that `update` is made of.
    """
    players = players_with_params(params)
    with tf.GradientTape(
        persistent=True, watch_accessed_variables=False
    ) as tape:
        for i in players:
            tape.watch(params[i])
        directions = update(params)
        values = {
            i: objective(after_steps(params, i, directions, rates), None)[i]
            for i in players
        }
    return {
        i: [
            direction - shaping
            for direction, shaping in zip(
                directions[i],
                gradient_of(tape, values[i], params[i]),
                strict=True,
            )
        ]
        for i in players
    }


def check_exact(objective: Objective, what: str) -> None:
    """Raises if an objective's values are sampled."""
    if objective.batch_size is not None:
        raise ValueError(
            f"{what} needs values in closed form, such as those of "
            "dice_tf.objectives.ExactObjective: the square of a sampled "
            f"residual is biased. Received: {type(objective).__name__}."
        )


def _checked(directions: Any, params: Params) -> list[list[tf.Tensor]]:
    """Returns the directions, or raises if they are not like parameters."""
    directions = check_lists("update(params)", directions, len(params))
    checked = []
    for i, player_params in enumerate(params):
        name = f"update(params)[{i}]"
        direction = as_tensors(name, directions[i])
        check_shapes(name, direction, player_params, "the parameters")
        for part, parameter in zip(direction, player_params, strict=True):
            if part.dtype != parameter.dtype:
                raise ValueError(
                    f"`{name}` must hold tensors of the dtypes of the "
                    f"parameters, {described(player_params)}. Received: "
                    f"{described(direction)}."
                )
        checked.append(direction)
    return checked
