"""Bias, variance and correlation of sampled derivatives of any order."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from dice_tf.checks import (
    check_kind,
    check_player_id,
    check_whole_number,
    naming,
)
from dice_tf.diagnostics.repetitions import (
    MOST_REPETITIONS,
    check_repetitions,
    params_of,
    repeat,
)
from dice_tf.games.finite import acts_by_state
from dice_tf.learners.jacobians import flatten, unflatten
from dice_tf.learners.learner import as_params
from dice_tf.objectives.exact import ExactObjective
from dice_tf.objectives.objective import (
    Objective,
    Params,
    check_objective,
    discount_of,
)
from dice_tf.seeds import Seed, as_seed


class DerivativeStatistics(NamedTuple):
    """How a sampled derivative of one order is distributed.

    Derivatives are those of one player's value in all players' parameters,
    flattened and joined in seat order to one vector of length n; one estimate
    is that of one batch. Arrays are NumPy float64.

    Attributes:
      order: 1 for the gradient, 2 for the Hessian, and so on.
      mean: `[n]`, `[n, n]`, ... by order (`[n]` for every order if a
        direction was given): mean over R repetitions.
      variance: like `mean`, of one estimate.
      standard_error: like `mean`, of the mean: `sqrt(variance / R)`.
      signal_to_noise: scalar: norm of the derivative over the root of the
        summed variances of one estimate. The norm is the exact one if it is
        known; else that of the mean, less what noise adds to it.
      exact: like `mean`, the exact derivative; `None` if it is not known.
      bias: like `mean`, the mean less the exact derivative, or `None`. An
        entry of a few standard errors is noise.
      correlations: `[R]`, Pearson's correlation over the entries of each
        estimate with the exact derivative, or `None`.
    """

    order: int
    mean: np.ndarray
    variance: np.ndarray
    standard_error: np.ndarray
    signal_to_noise: float
    exact: np.ndarray | None
    bias: np.ndarray | None
    correlations: np.ndarray | None


def derivative_statistics(
    objective: Objective,
    player_id: int,
    *,
    params: Params | None = None,
    orders: Sequence[int] = (1, 2),
    num_repetitions: int = 64,
    seed: Seed = (0, 0),
    direction: Params | None = None,
    exact_objective: Objective | None = None,
    repetitions_at_once: int = 1,
    jit_compile: bool = False,
) -> tuple[DerivativeStatistics, ...]:
    """Measures bias, variance and correlation of sampled derivatives.

    Args:
      objective: a sampled objective.
      player_id: the player whose value is differentiated, in all players'
        parameters.
      params: one list of tensors per player. Default: the current values of
        the objective's policies.
      orders: which derivatives. The full tensor of order k has `n^k` entries
        for n parameters.
      num_repetitions: R, the number of estimates, at least 2.
      seed: int32 `[2]`; repetition r uses its child r, see
        `dice_tf.seeds.split_seed`.
      direction: one list of arrays per player, like `params`. With it
        derivatives of order k are taken k - 1 times along it, such as
        Hessian-vector products: for policies too large for full tensors.
      exact_objective: has the exact derivatives. Default: the `ExactObjective`
        of a `FiniteGame`; in other games they are left out.
      repetitions_at_once: how many estimates are drawn by one vectorised
        program. More than 1 pays off with XLA and many repetitions.
      jit_compile: whether to compile with XLA, which takes seconds, and pays
        off for large batches.

    Returns:
      One `DerivativeStatistics` per order.

    Raises:
      TypeError, ValueError: if an argument is out of its range.

    Example:
      >>> objective = dice_tf.objectives.DiCEObjective(game, policies)
      >>> gradient, hessian = dice_tf.diagnostics.derivative_statistics(
      ...     objective, player_id=0, num_repetitions=10
      ... )
      >>> gradient.correlations.mean(), hessian.signal_to_noise
    """
    num_players = check_objective(objective).num_players
    player_id = check_player_id(player_id, num_players)
    check_whole_number("num_repetitions", num_repetitions, 2, MOST_REPETITIONS)
    as_seed(seed)
    check_repetitions(repetitions_at_once, jit_compile)
    _check_orders(orders)
    if direction is None and max(orders) > 1:
        _check_whole_rows(objective, orders, repetitions_at_once)
    if exact_objective is not None:
        expected = "a dice_tf.objectives.Objective"
        check_kind("exact_objective", exact_objective, Objective, expected)
    params = params_of(objective, params)
    players = range(num_players)
    along = None
    if direction is not None:
        along = flatten(_as_direction(direction, params), players)

    def sample(source: Objective, key: Any) -> list[tf.Tensor]:
        def value(x: tf.Tensor) -> tf.Tensor:
            all_params = unflatten(x, params, players)
            return source(list(all_params.values()), key)[player_id]

        x = flatten(params, players)
        return [_derivative(value, order, along)(x) for order in orders]

    estimates = repeat(
        lambda key: sample(objective, key),
        num_repetitions,
        seed=seed,
        at_once=repetitions_at_once,
        jit_compile=jit_compile,
    )
    exact = [None] * len(orders)
    if exact_objective is None:
        exact_objective = _exact_objective(objective)
    if exact_objective is not None:
        graph = tf.function(
            lambda: sample(exact_objective, None), autograph=False
        )
        exact = [np.asarray(x, np.float64) for x in graph()]
    return tuple(
        _statistics(order, drawn, reference)
        for order, drawn, reference in zip(
            orders, estimates, exact, strict=True
        )
    )


def _as_direction(direction: Any, params: Params) -> Params:
    """Returns a direction of tensors like the parameters, or raises."""
    with naming("direction", direction, "one list of arrays per player"):
        direction = as_params(direction, len(params))
        for moves, player_params in zip(direction, params, strict=True):
            for move, param in zip(moves, player_params, strict=True):
                move.shape.assert_is_compatible_with(param.shape)
    return direction


def _check_orders(orders: Sequence[int]) -> None:
    check_kind("orders", orders, (list, tuple), "a list of whole numbers")
    if not orders:
        raise ValueError("`orders` must not be empty.")
    for order in orders:
        check_whole_number("orders", order, 1)


def _check_whole_rows(
    objective: Objective, orders: Sequence[int], at_once: int
) -> None:
    """Raises if rows of derivatives cannot be vectorised over repetitions."""
    if objective.has_memory and at_once != 1:
        raise ValueError(
            "`direction` must be given, or repetitions_at_once be 1, for "
            "orders above 1, as a policy or critic of the objective has "
            "memory: TensorFlow cannot vectorise a pass over time twice, over "
            "the rows of a Hessian and over repetitions. Received: "
            f"orders={tuple(orders)} and repetitions_at_once={at_once}."
        )


def _derivative(
    function: Callable, order: int, along: tf.Tensor | None
) -> Callable:
    """Returns the derivative of a scalar function of a vector."""
    if order == 0:
        return function
    below = _derivative(function, order - 1, along)

    def derivative(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = below(x)
        zero = tf.UnconnectedGradients.ZERO
        if order == 1:
            return tape.gradient(y, x, unconnected_gradients=zero)
        if along is None:
            return tape.jacobian(y, x, unconnected_gradients=zero)
        return tape.gradient(
            y, x, output_gradients=along, unconnected_gradients=zero
        )

    return derivative


def _exact_objective(objective: Objective) -> ExactObjective | None:
    if acts_by_state(objective.game, [objective.has_memory]):
        return ExactObjective(
            objective.game, objective.policies, discount_of(objective)
        )
    return None


def _statistics(
    order: int, estimates: np.ndarray, exact: np.ndarray | None
) -> DerivativeStatistics:
    mean = estimates.mean(axis=0)
    variance = estimates.var(axis=0, ddof=1)
    noise = variance.sum()
    if exact is None:
        # The expected squared norm of a mean is that of the derivative plus
        # the variance of the mean.
        signal = max(np.square(mean).sum() - noise / len(estimates), 0.0)
    else:
        signal = np.square(exact).sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        return DerivativeStatistics(
            order=order,
            mean=mean,
            variance=variance,
            standard_error=np.sqrt(variance / len(estimates)),
            signal_to_noise=float(np.sqrt(signal / noise)),
            exact=exact,
            bias=None if exact is None else mean - exact,
            correlations=None
            if exact is None
            else _correlations(estimates, exact),
        )


def _correlations(estimates: np.ndarray, exact: np.ndarray) -> np.ndarray:
    rows = estimates.reshape(len(estimates), -1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    reference = exact.ravel() - exact.mean()
    norms = np.linalg.norm(rows, axis=1) * np.linalg.norm(reference)
    return rows @ reference / norms
