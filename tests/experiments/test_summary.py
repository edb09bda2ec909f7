"""What is told of curves."""

import numpy as np
import pytest

from experiments.results import curves as summary
from experiments.results.curves import write_curves
from tests.experiments.commands import read_curves


def _curves(*joint: list[float]) -> np.ndarray:
    """Returns curves of two players around each run's joint return."""
    runs = np.transpose(joint)
    return np.stack([runs - 0.25, runs + 0.25], axis=-1).astype(np.float32)


def test_final_returns_are_means_of_the_last_ten_iterations() -> None:
    curves = _curves([0.0] * 5 + [-1.0] * 5 + [-2.0] * 5, [-3.0] * 15)
    finals = summary.final_joint_returns(curves)
    np.testing.assert_allclose(finals, [-1.5, -3.0])


def test_short_curves_count_in_full() -> None:
    finals = summary.final_joint_returns(_curves([-1.0, -2.0, -3.0]))
    np.testing.assert_allclose(finals, [-2.0])


@pytest.mark.parametrize(
    ("finals", "median"),
    [([3.0], 0), ([3.0, 1.0, 2.0], 2), ([4.0, 1.0, 3.0, 2.0], 3)],
)
def test_median_run(finals: list[float], median: int) -> None:
    assert summary.median_run(_curves(*([value] for value in finals))) == median


def test_a_run_that_is_not_a_number_is_not_the_median() -> None:
    assert summary.median_run(_curves([np.nan], [2.0], [1.0])) == 1


def test_levels_count_from_the_lowest_point_on() -> None:
    mean = [-1.0, -1.3, -1.9, -1.6, -1.4, -1.15, -1.3]
    assert summary.iterations_to(_curves(mean)) == {
        "-1.5": 4,
        "-1.2": 5,
        "-1.1": None,
    }


def test_the_lowest_point_is_among_the_first_fifty_iterations() -> None:
    mean = np.full(200, -1.4)
    mean[10], mean[120], mean[150:] = -1.6, -1.9, -1.0
    assert summary.iterations_to(_curves(list(mean))) == {
        "-1.5": 11,
        "-1.2": 150,
        "-1.1": 150,
    }


def test_the_lowest_point_itself_may_reach_a_level() -> None:
    assert summary.iterations_to(_curves([-1.05, -1.12]))["-1.2"] == 1


def test_levels_refer_to_the_mean_over_runs() -> None:
    reached = summary.iterations_to(_curves([-2.0, -1.0], [-2.0, -1.8]))
    assert reached == {"-1.5": 1, "-1.2": None, "-1.1": None}


def test_summary_of_several_runs() -> None:
    curves = _curves([-1.0] * 20, [-2.0] * 20)
    entry = summary.summarise(curves, 12.5, 0.25, is_prisoners_dilemma=True)
    assert entry["final_joint_return_mean"] == pytest.approx(-1.5)
    assert entry["final_joint_return_std"] == pytest.approx(0.5**0.5)
    assert entry["final_joint_return_per_run"] == pytest.approx([-1.0, -2.0])
    assert entry["seconds"] == 12.5
    assert entry["seconds_per_iteration"] == 0.25
    assert entry["iterations_to"] == {"-1.5": 0, "-1.2": None, "-1.1": None}


def test_one_run_has_no_spread_and_other_games_no_levels() -> None:
    entry = summary.summarise(_curves([1.0]), 1.0, 1.0, False)
    assert entry["final_joint_return_std"] is None
    assert "iterations_to" not in entry


def test_curves_have_the_columns_of_the_published_ones(tmp_path) -> None:
    path = tmp_path / "curves.csv"
    curves = np.asarray([[[-1.5, -1.0]], [[-0.1, 1e-7]]], np.float32)
    write_curves(path, {"naive": curves})
    assert path.read_text().splitlines() == [
        "method,run,iteration,player_0_return,player_1_return",
        "naive,1,0,-1.5,-1.0",
        "naive,1,1,-0.1,0.0000001",
    ]


def test_curves_are_read_as_they_were_written(tmp_path) -> None:
    generator = np.random.default_rng(0)
    curves = {
        name: generator.normal(size=shape).astype(np.float32)
        for name, shape in {"naive": (7, 3, 2), "lola": (4, 1, 2)}.items()
    }
    curves["lola"][2] = np.nan
    write_curves(tmp_path / "curves.csv", curves)
    read = read_curves(tmp_path / "curves.csv")
    assert list(read) == ["naive", "lola"]
    for name, values in curves.items():
        np.testing.assert_array_equal(read[name], values)
