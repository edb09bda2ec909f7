"""Estimates from few runs, with stratified bootstrap intervals.

Scores are `[..., num_runs, num_games]`, and higher is better. An estimate is a
function that takes away the last two axes; those before them are resamples, or
iterations. A resample draws the runs of each game with replacement, apart from
those of other games. Intervals are percentiles of the estimate over resamples.

Source: Agarwal et al. 2021 (Deep Reinforcement Learning at the Edge of the
Statistical Precipice). The estimates equal those of their library rliable.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

# Of the runs, cut off at either end before the mean is taken.
_CUT = 0.25
_LEVELS = (0.025, 0.975)

Estimate = Callable[[np.ndarray], np.ndarray]


class Interval(NamedTuple):
    """An estimate and its 95 % confidence interval.

    Attributes:
      value: of the runs as they are.
      low: the 2.5 % quantile over resamples.
      high: the 97.5 % quantile.
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def interquartile_mean(scores: np.ndarray) -> np.ndarray:
    """Returns the mean of the middle half of all runs of all games.

    Of `n` scores, `n / 4` rounded down are left out at either end.
    """
    flat = np.sort(_flat(scores), axis=-1)
    num_cut = int(_CUT * flat.shape[-1])
    return flat[..., num_cut : flat.shape[-1] - num_cut].mean(axis=-1)


def mean(scores: np.ndarray) -> np.ndarray:
    """Returns the mean over runs and games."""
    return scores.mean(axis=(-2, -1))


def median_of_games(scores: np.ndarray) -> np.ndarray:
    """Returns the median over games of the mean over runs.

    With one game it is the mean over runs.
    """
    return np.median(scores.mean(axis=-2), axis=-1)


def median_of_runs(scores: np.ndarray) -> np.ndarray:
    """Returns the median of all runs of all games."""
    return np.median(_flat(scores), axis=-1)


def optimality_gap(scores: np.ndarray, best: float) -> np.ndarray:
    """Returns by how much the runs miss the best score, on average.

    A score above the best one counts as the best one.
    """
    return best - np.minimum(scores, best).mean(axis=(-2, -1))


def performance_profile(
    scores: np.ndarray, thresholds: np.ndarray
) -> np.ndarray:
    """Returns the share of runs with a score above each threshold.

    Args:
      scores: `[..., num_runs, num_games]`.
      thresholds: `[T]`.

    Returns:
      `[T, ...]`.
    """
    shares = [(scores > bound).mean(axis=(-2, -1)) for bound in thresholds]
    return np.stack(shares)


def draw_runs(
    generator: np.random.Generator,
    num_resamples: int,
    num_runs: int,
    num_games: int = 1,
) -> np.ndarray:
    """Draws `[num_resamples, num_runs, num_games]`: runs, from 0."""
    return generator.integers(
        num_runs, size=(num_resamples, num_runs, num_games)
    )


def with_interval(
    estimate: Estimate, scores: np.ndarray, drawn: np.ndarray
) -> Interval:
    """Returns an estimate and its interval.

    Args:
      estimate: from `[..., num_runs, num_games]` to `[...]`, or to `[T, ...]`.
      scores: `[..., num_runs, num_games]`.
      drawn: `[num_resamples, num_runs, num_games]`, the runs of each resample.

    Returns:
      An interval, each entry without the axes of runs and games.
    """
    games = np.arange(scores.shape[-1])
    values = estimate(scores[..., drawn, games])
    return Interval(estimate(scores), *np.quantile(values, _LEVELS, axis=-1))


def probability_of_improvement(
    first: np.ndarray,
    second: np.ndarray,
    drawn_first: np.ndarray,
    drawn_second: np.ndarray,
) -> Interval:
    """Returns how likely a run of one method beats a run of another one.

    That is the share of pairs of runs in which the first one has the higher
    score, where equal scores count half, averaged over games.

    Args:
      first: scores of one method, `[num_runs, num_games]`.
      second: scores of the other method, whose runs may be more or fewer.
      drawn_first: `[num_resamples, num_runs, num_games]`, of the first method.
      drawn_second: the same of the second method.
    """
    # [num_games, num_runs of the first, num_runs of the second]
    ahead = first.T[:, :, np.newaxis] - second.T[:, np.newaxis, :]
    wins = (np.sign(ahead) + 1.0) / 2.0
    # Shares turn the mean over resampled pairs into two matrix products.
    shares = _shares(drawn_first), _shares(drawn_second)
    values = np.einsum("grs,grs->gr", shares[0] @ wins, shares[1]).mean(axis=0)
    return Interval(wins.mean(), *np.quantile(values, _LEVELS))


def _shares(drawn: np.ndarray) -> np.ndarray:
    """Returns the share of each run, `[num_games, num_resamples, num_runs]`."""
    num_resamples, num_runs, num_games = drawn.shape
    cells = np.arange(num_games * num_resamples).reshape(num_games, -1, 1)
    places = cells * num_runs + drawn.transpose(2, 0, 1)
    size = num_games * num_resamples * num_runs
    counts = np.bincount(places.ravel(), minlength=size)
    return counts.reshape(num_games, num_resamples, num_runs) / num_runs


def _flat(scores: np.ndarray) -> np.ndarray:
    return scores.reshape(*scores.shape[:-2], -1)
