"""Zero-determinant strategies: who enforces a relation between returns.

Let p be a player's probabilities of cooperation after CC, CD, DC, DD (own
action first) and p_0 that at the start, and S_X its own payoffs and S_Y the
other's, in the same order. With

    p~ = discount p + (1 - discount) p_0 - (1, 1, 0, 0)

the reported returns s over an infinite horizon obey, whatever the other does,

    p~ = alpha S_X + beta S_Y + gamma  =>  alpha s_X + beta s_Y + gamma = 0.

For if v are the discounted shares of the four outcomes, then both `discount v
. p + (1 - discount) p_0` and `v . (1, 1, 0, 0)` are the player's own rate of
cooperation: `v . p~ = 0`. At discount 1 this is Press and Dyson's condition,
and the start does not matter.
"""

from typing import Any, NamedTuple

import numpy as np

from dice_tf.checks import as_float_array, check_number


class ZeroDeterminant(NamedTuple):
    """The linear relation that comes closest to what a strategy enforces.

    Attributes:
      alpha, beta, gamma: of `alpha s_X + beta s_Y + gamma = 0`, per unit of
        payoff.
      distance: root mean square over the four states of what is left of
        `p~`, a difference of probabilities: 0 where the relation is enforced.
    """

    alpha: float
    beta: float
    gamma: float
    distance: float


class Extortion(NamedTuple):
    """The unequal share that comes closest to what a strategy enforces.

    Attributes:
      phi: of `p~ = phi [(S_X - l_X) - chi (S_Y - l_Y)]`, per unit of payoff.
      chi: the extortion factor of `s_X - l_X = chi (s_Y - l_Y)`; NaN where
        phi is 0.
      distance: root mean square over the four states of what is left of
        `p~`, a difference of probabilities: 0 where the share is enforced.
    """

    phi: float
    chi: float
    distance: float


def zero_determinant_fit(
    cooperation: Any,
    own_payoffs: Any,
    other_payoffs: Any,
    *,
    discount: float = 1.0,
) -> ZeroDeterminant:
    """Fits the linear relation that a memory-one strategy enforces.

    By least squares over the four states; of several solutions, as there are
    in a zero-sum game, the one of least norm. A strategy that repeats its own
    action for ever enforces nothing: all three are 0.

    Args:
      cooperation: `[5]`, probabilities of action 0 after CC, CD, DC, DD (own
        action first), and at the start.
      own_payoffs: `[4]`, the player's payoffs R, S, T, P in those states.
      other_payoffs: `[4]`, those of the other player: R, T, S, P in a
        symmetric game.
      discount: in [0, 1]; 1 is the undiscounted game of Press and Dyson.

    Returns:
      A `ZeroDeterminant`.

    Raises:
      ValueError: if a shape is another, an entry of `cooperation` is not a
        probability, or the discount is out of range.

    References:
      Press, Dyson 2012 (Iterated Prisoner's Dilemma contains strategies that
      dominate any evolutionary opponent); Hilbe, Traulsen,
      Sigmund 2015 (Partners or rivals?), for the discounted game.
    """
    target = _target(cooperation, discount)
    columns = np.stack(
        [
            _payoffs("own_payoffs", own_payoffs),
            _payoffs("other_payoffs", other_payoffs),
            np.ones(4),
        ],
        axis=1,
    )
    weights, distance = _least_squares(columns, target)
    alpha, beta, gamma = weights
    return ZeroDeterminant(alpha, beta, gamma, distance)


def extortion_fit(
    cooperation: Any,
    own_payoffs: Any,
    other_payoffs: Any,
    *,
    baselines: tuple[float, float],
    discount: float = 1.0,
) -> Extortion:
    """Fits the share above a baseline that a memory-one strategy enforces.

    With the payoffs of mutual defection as baselines, `distance` 0, phi above
    0 and chi above 1 it is extortion: of what both get beyond the baseline
    the player takes chi times the other's part. With those of mutual
    cooperation it is generous: it takes chi times the other's loss.

    Args:
      cooperation: as of `zero_determinant_fit`.
      own_payoffs: as of `zero_determinant_fit`.
      other_payoffs: as of `zero_determinant_fit`.
      baselines: `(l_X, l_Y)`, of the player and of the other.
      discount: as of `zero_determinant_fit`.

    Returns:
      An `Extortion`.

    Raises:
      ValueError: as of `zero_determinant_fit`.

    References:
      Press, Dyson 2012, for extortion; Stewart, Plotkin 2013
      (From extortion to generosity, evolution in the Iterated Prisoner's
      Dilemma), for generous strategies.
    """
    target = _target(cooperation, discount)
    own_baseline, other_baseline = _check_baselines(baselines)
    own_surplus = _payoffs("own_payoffs", own_payoffs) - own_baseline
    other_surplus = _payoffs("other_payoffs", other_payoffs) - other_baseline
    columns = np.stack([own_surplus, other_surplus], axis=1)
    (phi, minus_phi_chi), distance = _least_squares(columns, target)
    is_flat = abs(phi) * np.abs(own_surplus).max() < 1e-9
    chi = float("nan") if is_flat else -minus_phi_chi / phi
    return Extortion(phi, chi, distance)


def _check_baselines(baselines: Any) -> np.ndarray:
    pair = as_float_array("baselines", baselines)
    if pair.shape != (2,) or not np.all(np.isfinite(pair)):
        raise ValueError(
            "`baselines` must be two finite numbers, of the player and of the "
            f"other. Received: baselines={baselines!r}."
        )
    return pair


def check_cooperation(cooperation: Any) -> np.ndarray:
    """Returns `[5]` probabilities of cooperation in float64, or raises."""
    cooperation = as_float_array("cooperation", cooperation)
    if cooperation.shape != (5,):
        raise ValueError(
            "`cooperation` must have shape (5,): the probabilities of "
            "cooperation after CC, CD, DC, DD, and at the start. Received "
            f"shape {cooperation.shape}."
        )
    if not np.all((cooperation >= 0.0) & (cooperation <= 1.0)):
        raise ValueError(
            "`cooperation` must hold probabilities, in [0, 1]. Received: "
            f"{cooperation}."
        )
    return cooperation


def _target(cooperation: Any, discount: Any) -> np.ndarray:
    """Returns `p~`."""
    discount = check_number("discount", discount, 0.0, 1.0)
    *after, start = check_cooperation(cooperation)
    repeated = discount * np.array(after) + (1.0 - discount) * start
    return repeated - np.array([1.0, 1.0, 0.0, 0.0])


def _payoffs(name: str, payoffs: Any) -> np.ndarray:
    payoffs = as_float_array(name, payoffs)
    if payoffs.shape != (4,) or not np.all(np.isfinite(payoffs)):
        raise ValueError(
            f"`{name}` must be four finite numbers, the payoffs after CC, CD, "
            f"DC, DD (own action first). Received: {payoffs}."
        )
    return payoffs


def _least_squares(
    columns: np.ndarray, target: np.ndarray
) -> tuple[list[float], float]:
    weights, *_ = np.linalg.lstsq(columns, target, rcond=None)
    left = columns @ weights - target
    return weights.tolist(), float(np.sqrt(np.mean(np.square(left))))
