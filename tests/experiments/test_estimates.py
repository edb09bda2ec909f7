"""Estimates from few runs, against those of rliable."""

import json

import numpy as np
import pytest

from experiments.reports import estimates
from tests.experiments import rliable_estimates as oracle

SCORES = oracle.scores()
ESTIMATES = {
    "interquartile_mean": estimates.interquartile_mean,
    "mean": estimates.mean,
    "median_of_games": estimates.median_of_games,
    "optimality_gap": lambda x: estimates.optimality_gap(x, oracle.BEST),
    "performance_profile": lambda x: estimates.performance_profile(
        x, oracle.THRESHOLDS
    ),
}


@pytest.fixture(scope="module")
def expected() -> dict[str, list]:
    return json.loads(oracle.FILE.read_text())


def _drawn(*shapes: tuple[int, int]) -> list[np.ndarray]:
    """Returns the resamples that rliable has drawn for arrays of scores."""
    generator = np.random.RandomState(oracle.SEED)
    draws = [
        [generator.choice(shape[0], shape) for shape in shapes]
        for _ in range(oracle.NUM_RESAMPLES)
    ]
    return [np.array(resamples) for resamples in zip(*draws, strict=True)]


@pytest.mark.parametrize("name", ESTIMATES)
@pytest.mark.parametrize("data", SCORES)
def test_estimates_and_intervals_are_those_of_rliable(
    data: str, name: str, expected
) -> None:
    scores = SCORES[data]
    (drawn,) = _drawn(scores.shape)
    found = estimates.with_interval(ESTIMATES[name], scores, drawn)
    for ours, theirs in zip(found, expected[f"{data} {name}"], strict=True):
        np.testing.assert_allclose(np.atleast_1d(ours), theirs, atol=1e-12)


def test_the_probability_of_improvement_is_that_of_rliable(expected) -> None:
    pair = SCORES["first"], SCORES["second"]
    found = estimates.probability_of_improvement(
        *pair, *_drawn(*(scores.shape for scores in pair))
    )
    theirs = np.ravel(expected["probability_of_improvement"])
    np.testing.assert_allclose(found, theirs, atol=1e-12)


def test_the_file_is_what_rliable_says(expected) -> None:
    pytest.importorskip("rliable")
    found = oracle.estimates()
    assert found.keys() == expected.keys()
    for name, rows in found.items():
        np.testing.assert_allclose(rows, expected[name], atol=1e-12)


def test_the_median_of_runs_is_not_a_mean() -> None:
    scores = np.array([[0.0], [1.0], [5.0]])
    assert estimates.median_of_runs(scores) == 1.0
    assert estimates.median_of_games(scores) == 2.0


def test_a_score_is_not_above_itself() -> None:
    scores = np.array([[1.0], [2.0], [2.0], [3.0]])
    profile = estimates.performance_profile(scores, np.array([0.0, 2.0, 3.0]))
    np.testing.assert_allclose(profile, [1.0, 0.25, 0.0])


def test_equal_scores_improve_in_half_of_the_pairs() -> None:
    scores = np.ones([3, 2])
    drawn = estimates.draw_runs(np.random.default_rng(0), 5, 3, 2)
    found = estimates.probability_of_improvement(scores, scores, drawn, drawn)
    assert found == (0.5, 0.5, 0.5)


def test_improvement_one_way_and_the_other_add_up_to_one() -> None:
    first, second = SCORES["first"], SCORES["second"]
    drawn = _drawn(first.shape, second.shape)
    there = estimates.probability_of_improvement(first, second, *drawn)
    back = estimates.probability_of_improvement(second, first, *drawn[::-1])
    np.testing.assert_allclose(there.value + back.value, 1.0)
    np.testing.assert_allclose(there.low + back.high, 1.0)


def test_intervals_of_many_iterations_share_their_resamples() -> None:
    scores = np.random.default_rng(0).normal(size=[4, 10, 1])
    drawn = estimates.draw_runs(np.random.default_rng(1), 50, 10)
    together = estimates.with_interval(
        estimates.interquartile_mean, scores, drawn
    )
    for iteration, alone in enumerate(scores):
        found = estimates.with_interval(
            estimates.interquartile_mean, alone, drawn
        )
        np.testing.assert_allclose(found, np.array(together)[:, iteration])


def test_resamples_draw_runs_of_each_game_apart() -> None:
    drawn = estimates.draw_runs(np.random.default_rng(0), 100, 7, 2)
    assert drawn.shape == (100, 7, 2)
    assert sorted(np.unique(drawn)) == list(range(7))
    assert np.any(drawn[..., 0] != drawn[..., 1])


def test_an_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Of the means of 20 normal numbers, a percentile interval covers 93 %."""
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        scores = generator.normal(size=[20, 1])
        drawn = estimates.draw_runs(generator, 300, 20)
        found = estimates.with_interval(estimates.mean, scores, drawn)
        covered += bool(found.low < 0.0 < found.high)
    assert 0.88 < covered / 400 < 0.97
