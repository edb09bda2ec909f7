"""Ratings of the entrants of a league: Elo, and alpha-rank."""

from typing import NamedTuple

import numpy as np

# The mean of all ratings, and the points for which odds grow tenfold.
_MEAN, _TENFOLD = 1500.0, 400.0
_TOLERANCE = 1e-12
_MOST_ITERATIONS = 100_000
# How often something else than the fitter strategy takes over.
_NOISE = 0.01


class AlphaRank(NamedTuple):
    """What alpha-rank says, or why it says nothing.

    Attributes:
      masses: `[n]`, of each entrant in the stationary distribution; `None` if
        a library is not installed.
      missing: what is not there, `None` if all is.
    """

    masses: np.ndarray | None
    missing: str | None


def elo(wins: np.ndarray) -> np.ndarray:
    """Returns Elo ratings `[n]`, whose mean is 1500.

    They are the maximum-likelihood estimate of the model of Bradley and Terry,
    in which i beats j with probability `1 / (1 + 10^((r_j - r_i) / 400))`. It
    depends on all results at once, and not on their order. Found by Hunter's
    iteration, which raises the likelihood in each step.

    Args:
      wins: `[n, n]`, how often the row has beaten the column, a draw counting
        one half for both. The diagonal does not count.

    Raises:
      ValueError: if an entrant has won, or lost, all of its matches: it has
        no finite rating.

    References:
      Bradley and Terry 1952 (Rank Analysis of Incomplete Block Designs);
      Hunter 2004 (MM Algorithms for Generalized Bradley-Terry Models).
    """
    wins = np.where(np.eye(len(wins), dtype=bool), 0.0, wins)
    won, lost = wins.sum(axis=1), wins.sum(axis=0)
    if np.any(won == 0.0) or np.any(lost == 0.0):
        raise ValueError(
            "Each entrant must have won and lost something, or drawn: "
            f"otherwise its rating is infinite. Received: {won.tolist()} won, "
            f"{lost.tolist()} lost."
        )
    matches = wins + wins.T
    strengths = np.ones(len(wins))
    for _ in range(_MOST_ITERATIONS):
        sums = strengths[:, np.newaxis] + strengths
        improved = won / (matches / sums).sum(axis=1)
        improved /= np.exp(np.log(improved).mean())
        change = np.abs(np.log(improved / strengths)).max()
        strengths = improved
        if change < _TOLERANCE:
            break
    return _MEAN + _TENFOLD * np.log10(strengths)


def with_draws(shares: np.ndarray, num_matches: int) -> np.ndarray:
    """Returns wins of all pairs, of one more match each, which is a draw.

    Without it, whoever has won all matches would have an infinite rating.

    Args:
      shares: `[n, n]`, of the matches that the row has won.
      num_matches: of each pair.
    """
    return num_matches * shares + 0.5


def alpha_rank(payoffs: np.ndarray) -> AlphaRank:
    """Ranks strategies by how long each prevails as populations evolve.

    In the limit of infinite selection, with noise of .01. OpenSpiel computes
    it.

    Args:
      payoffs: `[n, n]`, what the row earns against the column.

    References:
      Omidshafiei et al. 2019 (alpha-Rank: Multi-Agent Evaluation by
      Evolution).
    """
    try:
        from open_spiel.python.egt import alpharank
    except ImportError as error:
        return AlphaRank(None, f'{error}: pip install "dice_tf[openspiel]"')
    computed = alpharank.compute(
        [np.asarray(payoffs, float)], use_inf_alpha=True, inf_alpha_eps=_NOISE
    )
    return AlphaRank(np.asarray(computed[2]), None)
