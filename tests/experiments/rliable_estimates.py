"""Estimates of rliable, for the tests of `experiments/reports/estimates.py`.

In an environment with rliable, this writes the file beside it:

  python -m tests.experiments.rliable_estimates
"""

import json
import pathlib

import numpy as np

FILE = pathlib.Path(__file__).with_suffix(".json")
NUM_RESAMPLES, SEED, BEST = 200, 7, 0.6
THRESHOLDS = np.linspace(-1.0, 1.0, 5)


def scores() -> dict[str, np.ndarray]:
    """Returns made-up scores of runs in games, some of them equal."""
    generator = np.random.RandomState(0)
    return {
        "first": generator.normal(0.3, 0.5, (9, 3)).round(1),
        "second": generator.normal(0.1, 0.7, (6, 3)).round(1),
        "one_game": generator.normal(0.2, 0.4, (20, 1)),
    }


def estimates() -> dict[str, list]:
    """Returns by name a value, a lower and an upper end, from rliable.

    rliable draws its resamples from NumPy's global generator, which is seeded
    here before each estimate.
    """
    from rliable import library, metrics

    found = {}

    def add(name, function, data) -> None:
        np.random.seed(SEED)
        value, interval = library.get_interval_estimates(
            {"data": data},
            lambda *x: np.atleast_1d(function(*x)),
            reps=NUM_RESAMPLES,
        )
        rows = [value["data"], *interval["data"]]
        found[name] = [np.asarray(row).tolist() for row in rows]

    by_name = scores()
    for name, data in by_name.items():
        add(f"{name} interquartile_mean", metrics.aggregate_iqm, data)
        add(f"{name} mean", metrics.aggregate_mean, data)
        add(f"{name} median_of_games", metrics.aggregate_median, data)
        add(
            f"{name} optimality_gap",
            lambda x: metrics.aggregate_optimality_gap(x, BEST),
            data,
        )
        add(
            f"{name} performance_profile",
            lambda x: library.score_distributions(x, THRESHOLDS),
            data,
        )
    add(
        "probability_of_improvement",
        metrics.probability_of_improvement,
        [by_name["first"], by_name["second"]],
    )
    return found


if __name__ == "__main__":
    FILE.write_text(json.dumps(estimates(), indent=1) + "\n")
