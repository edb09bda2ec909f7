"""Everything that a report says of methods, as numbers and as tables."""

import csv
import functools
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from . import estimates
from .estimates import Interval
from .finished_runs import MethodRuns

COMPARISON = "comparison.csv"
IMPROVEMENT = "improvement.csv"
PROFILE = "profile.csv"
LEARNING_CURVES = "learning_curves.csv"

# Of a profile, and of a learning curve at most.
_NUM_THRESHOLDS = 101
_MOST_ITERATIONS = 400
# Joint returns over so many resamples at once.
_CHUNK = 20

# Estimates in the order of the table; the gap only if the best is known.
GAP = "optimality_gap"
_ESTIMATES = {
    "interquartile_mean": estimates.interquartile_mean,
    "median": estimates.median_of_runs,
    "mean": estimates.mean,
}


class Comparison(NamedTuple):
    """What is estimated of methods. All mappings are by label.

    Attributes:
      methods: the runs.
      estimates: by label and name of the estimate.
      best: the highest return that is possible, `None` if that is not known.
      thresholds: `[T]`, of the profile.
      profiles: `[T]`, share of runs with a final return above the thresholds.
      improvements: for each pair of labels, how likely a run of the first
        beats one of the second.
      iterations: `[K]`, of the learning curves.
      curves: `[K]`, interquartile mean of the returns.
    """

    methods: tuple[MethodRuns, ...]
    estimates: dict[str, dict[str, Interval]]
    best: float | None
    thresholds: np.ndarray
    profiles: dict[str, Interval]
    improvements: dict[tuple[str, str], Interval]
    iterations: dict[str, np.ndarray]
    curves: dict[str, Interval]

    def summary(self) -> dict[str, Any]:
        """Returns the content of summary.json: the estimates by label."""
        return {
            method.label: {
                "num_runs": len(method.scores),
                "num_failed_runs": method.num_failed,
                **self.estimates[method.label],
            }
            for method in self.methods
        }


def compare(
    methods: Sequence[MethodRuns],
    *,
    best: float | None = None,
    num_resamples: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Estimates everything that a report says.

    Args:
      methods: at least one, all of one game.
      best: the highest return, if it is not that which is known of the game.
      num_resamples: of each interval.
      seed: of the resamples.
    """
    generator = np.random.default_rng(seed)
    drawn = {
        method.label: estimates.draw_runs(
            generator, num_resamples, len(method.scores)
        )
        for method in methods
    }
    scores = {x.label: x.scores[:, np.newaxis] for x in methods}
    best = methods[0].best if best is None else best
    functions = dict(_ESTIMATES)
    if best is not None:
        functions[GAP] = functools.partial(estimates.optimality_gap, best=best)
    thresholds = _thresholds(np.concatenate([x.scores for x in methods]))
    profile = functools.partial(
        estimates.performance_profile, thresholds=thresholds
    )
    kept = {x.label: _kept(len(x.iterations)) for x in methods}
    return Comparison(
        methods=tuple(methods),
        estimates={
            label: {
                name: estimates.with_interval(function, values, drawn[label])
                for name, function in functions.items()
            }
            for label, values in scores.items()
        },
        best=best,
        thresholds=thresholds,
        profiles={
            label: estimates.with_interval(profile, values, drawn[label])
            for label, values in scores.items()
        },
        improvements={
            (first, second): estimates.probability_of_improvement(
                scores[first], scores[second], drawn[first], drawn[second]
            )
            for first in scores
            for second in scores
            if first != second
        },
        iterations={x.label: x.iterations[kept[x.label]] for x in methods},
        curves={
            x.label: _curve(x.returns[kept[x.label]], drawn[x.label])
            for x in methods
        },
    )


def _thresholds(scores: np.ndarray) -> np.ndarray:
    """Returns thresholds from just below the lowest score to the highest."""
    low, high = scores.min(), scores.max()
    margin = 0.02 * (high - low) or 0.01
    return np.linspace(low - margin, high + margin, _NUM_THRESHOLDS)


def _kept(num_iterations: int) -> np.ndarray:
    """Returns which measurements of a curve are shown, evenly spread."""
    count = min(num_iterations, _MOST_ITERATIONS)
    return np.linspace(0, num_iterations - 1, count).astype(int)


def _curve(returns: np.ndarray, drawn: np.ndarray) -> Interval:
    """Returns the interquartile mean at each iteration, a few at a time."""
    # All at once would need gigabytes for many runs.
    parts = [
        estimates.with_interval(
            estimates.interquartile_mean,
            returns[start : start + _CHUNK, :, np.newaxis],
            drawn,
        )
        for start in range(0, len(returns), _CHUNK)
    ]
    return Interval(*map(np.concatenate, zip(*parts, strict=True)))


def write_tables(folder: pathlib.Path, comparison: Comparison) -> None:
    """Writes the four CSV files of a report."""
    _write(
        folder / COMPARISON,
        ["label", "folder", "method", "num_runs", "num_failed", "estimate"],
        (
            (
                [
                    x.label,
                    x.folder,
                    x.method,
                    len(x.scores),
                    x.num_failed,
                    name,
                ],
                interval,
            )
            for x in comparison.methods
            for name, interval in comparison.estimates[x.label].items()
        ),
    )
    _write(
        folder / IMPROVEMENT,
        ["label", "other_label"],
        comparison.improvements.items(),
    )
    _write(
        folder / PROFILE,
        ["label", "threshold"],
        _rows(
            comparison.profiles,
            dict.fromkeys(comparison.profiles, comparison.thresholds),
        ),
    )
    _write(
        folder / LEARNING_CURVES,
        ["label", "iteration"],
        _rows(comparison.curves, comparison.iterations),
    )


def _rows(
    intervals: Mapping[str, Interval], places: Mapping[str, np.ndarray]
) -> Iterable[tuple[list[Any], Interval]]:
    """Yields a label, a place and the interval there."""
    for label, interval in intervals.items():
        for place, *numbers in zip(places[label], *interval, strict=True):
            yield [label, place], Interval(*numbers)


def _write(
    path: pathlib.Path,
    columns: Sequence[str],
    rows: Iterable[tuple[Sequence[Any], Interval]],
) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*columns, *Interval._fields])
        for cells, interval in rows:
            numbers = [repr(float(number)) for number in interval]
            writer.writerow([*cells, *numbers])
