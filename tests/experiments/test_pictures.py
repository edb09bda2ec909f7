"""The pictures, and the numbers behind them."""

import numpy as np
import pytest

from experiments.results import pictures, published, result_files
from experiments.settings import matrix_games

PNG = b"\x89PNG"


def test_published_curves_are_those_of_the_paper() -> None:
    curves = published.published_curves()
    assert set(curves) == set(published.LABELS)
    finals = {name: curve.mean[-10:].mean() for name, curve in curves.items()}
    assert finals == pytest.approx(
        {
            "naive": -1.991,
            "lola_original": -1.746,
            "lola_dice_1_lookahead": -1.192,
            "lola_dice_2_lookaheads": -1.118,
        },
        abs=5e-4,
    )
    assert all(
        curve.mean.shape == curve.std.shape == (200,)
        for curve in curves.values()
    )


def test_the_confidence_band_covers_the_mean_as_often_as_it_says() -> None:
    draws = np.random.default_rng(1).normal(size=[400, 20])
    low, high = pictures.confidence_band(draws)
    covered = np.mean((low <= 0) & (high >= 0))
    assert 0.88 < covered < 0.98


def test_the_confidence_band_stays_within_the_runs() -> None:
    draws = np.random.default_rng(2).exponential(size=[50, 5])
    low, high = pictures.confidence_band(draws)
    assert np.all(low >= draws.min(axis=1))
    assert np.all(high <= draws.max(axis=1))
    assert np.all(low < high)


@pytest.mark.parametrize("num_runs", [1, 3, 20])
def test_curves_are_drawn(tmp_path, num_runs: int) -> None:
    path = tmp_path / "curves.png"
    shape = [12, num_runs, 2]
    curves = np.random.default_rng(3).normal(size=shape).astype(np.float32)
    both = {"naive": curves, "lola": curves[:7]}
    pictures.plot_curves(path, both, "Game", with_published=True)
    assert path.read_bytes().startswith(PNG)


@pytest.mark.parametrize(
    ("game", "num_actions"),
    [("prisoners_dilemma", (2, 2)), ("custom", (2, 3)), ("custom", (2, 2, 2))],
)
def test_policies_are_drawn(tmp_path, game: str, num_actions: tuple) -> None:
    path = tmp_path / "policies.png"
    num_states = int(np.prod(num_actions)) + 1
    generator = np.random.default_rng(4)
    tables = [
        generator.dirichlet(np.ones(count), size=[2, num_states])
        for count in num_actions
    ]
    result_files.plot_policies(
        path, tables, np.array([-1.0, np.nan]), ["naive"] * 3, game, "Game"
    )
    assert path.read_bytes().startswith(PNG)


def test_states_are_named_by_the_own_action_first() -> None:
    labels = matrix_games.state_labels("prisoners_dilemma", (2, 2), 1)
    assert labels == ["CC", "CD", "DC", "DD", "start"]
    labels = matrix_games.state_labels("custom", (2, 3), 1)
    assert labels == ["00", "01", "10", "11", "20", "21", "start"]


def test_titles_are_words() -> None:
    title = matrix_games.title("prisoners_dilemma")
    assert title == "Iterated prisoner's dilemma"
    assert matrix_games.title("custom") == "Game of --payoffs"
