"""A name for what was learned."""

from typing import Any, NamedTuple, TypeGuard

import keras
import numpy as np

from dice_tf.checks import check_number
from dice_tf.evaluation.strategies import strategy_distances
from dice_tf.evaluation.tables import (
    action_probabilities,
    observation_of_state,
)
from dice_tf.evaluation.zero_determinant import Extortion, extortion_fit
from dice_tf.games.finite import FiniteGame

EXTORTION = "zero_determinant_extortion"
GENEROUS = "zero_determinant_generous"
UNNAMED = "unnamed"

# A fair share, such as that of tit for tat, is not extortion.
_LEAST_FACTOR = 1.0 + 1e-6


class StrategyName(NamedTuple):
    """What a memory-one strategy is called, and how well that fits.

    Distances are root mean square differences of probabilities, see
    `dice_tf.evaluation.strategy_distances` and `extortion_fit`.

    Attributes:
      name: `nearest` if it is near enough; else
        `"zero_determinant_extortion"` or `"zero_determinant_generous"` if
        one of them is; else `"unnamed"`.
      nearest: the nearest classical strategy; of several that are near
        enough the one that is nearest without weights.
      distance: to `nearest`.
      also: other classical strategies that are near enough: with weights,
        the play does not tell them apart.
      distances: to each classical strategy, the nearest first.
      extortion: the closest share above mutual defection; `None` where
        mutual cooperation is not better than mutual defection for both.
      generosity: the closest share below mutual cooperation, or `None`.
    """

    name: str
    nearest: str
    distance: float
    also: tuple[str, ...]
    distances: dict[str, float]
    extortion: Extortion | None
    generosity: Extortion | None


def name_policy(
    game: FiniteGame,
    policy: keras.Model,
    player_id: int,
    *,
    discount: float = 1.0,
    weights: Any = None,
    tolerance: float = 0.15,
    zero_determinant_tolerance: float = 0.02,
) -> StrategyName:
    """Names a policy of an iterated game of two players with two actions.

    Tit for tat, grim trigger, win-stay lose-shift, always cooperate, always
    defect and random are told by distance, and come first. Zero-determinant
    strategies are told by `p~ = phi [(S_X - l_X) - chi (S_Y - l_Y)]` with
    `phi > 0` and `chi > 1`: extortion with the payoffs of mutual defection as
    l, generous with those of mutual cooperation. That condition is on all
    four states, whatever the weights.

    Args:
      game: an iterated game of two players with two actions, cooperation
        first.
      policy: the player's `keras.Model`.
      player_id: the seat.
      discount: in [0, 1], of the zero-determinant condition; 1 is the
        undiscounted one of Press and Dyson.
      weights: `[5]`, how much each observation counts in the distance to the
        classical strategies. Default: all the same. See
        `dice_tf.evaluation.visit_frequencies`.
      tolerance: in [0, 1]: the distance up to which a classical strategy
        lends its name. Up to 0.22 and without weights at most one does.
      zero_determinant_tolerance: in [0, 1]: the same for the others, less,
        since each of them is a family with two free parameters.

    Returns:
      A `StrategyName`.

    Raises:
      TypeError: if the game is not a `FiniteGame`, or the policy is not a
        `keras.Model`.
      ValueError: if the game is another, a number is out of its range, or the
        policy's probabilities are not finite.

    Example:
      >>> policy = dice_tf.policies.tit_for_tat(game, 0)
      >>> visits = dice_tf.evaluation.visit_frequencies(
      ...     game, [policy, policy], 0
      ... )
      >>> found = dice_tf.evaluation.name_policy(
      ...     game, policy, 0, weights=visits
      ... )
      >>> found.name
      'tit_for_tat'
    """
    tolerance = check_number("tolerance", tolerance, 0.0, 1.0)
    limit = check_number(
        "zero_determinant_tolerance", zero_determinant_tolerance, 0.0, 1.0
    )
    table = action_probabilities(game, policy, player_id)
    payoffs = _seen_payoffs(game, player_id)
    if not np.all(np.isfinite(table)):
        raise ValueError(
            f"`policy` ({policy.name!r}) must give finite probabilities to "
            "have a name. Its weights may be those of a training that has "
            "diverged."
        )
    # Rounding may have left [0, 1].
    cooperation = np.clip(table[:, 0], 0.0, 1.0)
    distances = strategy_distances(cooperation, weights=weights)
    near = [
        name
        for name in strategy_distances(cooperation)
        if distances[name] <= tolerance
    ]
    nearest = near[0] if near else min(distances, key=distances.__getitem__)
    extortion, generosity = _shares(cooperation, payoffs, discount)
    name = nearest
    if not near:
        closest = {EXTORTION: extortion, GENEROUS: generosity}
        fits = {key: fit for key, fit in closest.items() if _holds(fit, limit)}
        name = min(fits, key=lambda key: fits[key].distance, default=UNNAMED)
    return StrategyName(
        name,
        nearest,
        distances[nearest],
        tuple(near[1:]),
        distances,
        extortion,
        generosity,
    )


def _seen_payoffs(game: FiniteGame, player_id: int) -> np.ndarray:
    """Returns the player's and the other's payoffs, `[2, 4]`."""
    is_constant = np.all(game.rewards == game.rewards[:, :1])
    if game.num_actions != (2, 2) or game.num_states != 5 or not is_constant:
        raise ValueError(
            "`game` must be an iterated matrix game of two players with two "
            f"actions each. Received num_actions={game.num_actions} and "
            f"{game.num_states} states."
        )
    by_state = np.stack(
        [game.rewards[player_id, 0], game.rewards[1 - player_id, 0]]
    ).reshape(2, 4)
    payoffs = np.empty_like(by_state)
    payoffs[:, observation_of_state(game, player_id)[:4]] = by_state
    return payoffs


def _shares(
    cooperation: np.ndarray, payoffs: np.ndarray, discount: float
) -> tuple[Extortion | None, Extortion | None]:
    """Returns the closest shares above DD and below CC, if CC is better."""
    reward, punishment = payoffs[:, 0], payoffs[:, 3]
    if not np.all(reward > punishment):
        return None, None
    above, below = (
        extortion_fit(
            cooperation, *payoffs, baselines=tuple(baselines), discount=discount
        )
        for baselines in (punishment, reward)
    )
    return above, below


def _holds(fit: Extortion | None, tolerance: float) -> TypeGuard[Extortion]:
    return (
        fit is not None
        and fit.distance <= tolerance
        and fit.phi > 0.0
        and fit.chi > _LEAST_FACTOR
    )
