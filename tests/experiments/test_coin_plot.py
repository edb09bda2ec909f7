"""The pictures of the Coin Game."""

import matplotlib.figure
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

import dice_tf
from experiments.coins import coin_cross_play, coin_plot, coin_training


@pytest.fixture
def game() -> dice_tf.games.CoinGame:
    return dice_tf.games.CoinGame(3)


@pytest.fixture
def progress(game) -> coin_training.Progress:
    policies = [
        dice_tf.policies.mlp(game, i, hidden_units=[]) for i in range(2)
    ]
    objective = dice_tf.objectives.DiCEObjective(game, policies, batch_size=2)
    params = objective.initial_params()
    episode = objective.play(params, tf.constant([0, 1])).trajectory
    return coin_training.Progress(
        np.arange(2),
        np.zeros([2, 1]),
        np.zeros([2, 1, 2]),
        np.zeros([2, 1]),
        episode,
        [params],
    )


def test_the_animation_has_a_picture_for_each_step(
    tmp_path, game, progress
) -> None:
    path = tmp_path / "episode.gif"
    coin_plot.animate_episode(path, game, progress)
    with PIL.Image.open(path) as picture:
        assert picture.n_frames == game.episode_length
        first = np.array(picture.convert("RGB"))
        picture.seek(1)
        assert np.any(first != np.array(picture.convert("RGB")))


@pytest.mark.parametrize("num_runs", [1, 3, 25])
def test_cross_play_is_a_table_of_rewards(tmp_path, monkeypatch, num_runs):
    figures = []
    monkeypatch.setattr(
        matplotlib.figure.Figure,
        "savefig",
        lambda figure, *_, **__: figures.append(figure),
    )
    names = (*(f"run_{i + 1}" for i in range(num_runs)), "a_bot", "another")
    rewards = np.random.default_rng(0).normal(size=[num_runs, num_runs + 2])
    played = coin_cross_play.CoinCrossPlay(names, rewards, rewards, rewards)
    coin_cross_play.plot_cross_play(tmp_path / "x.png", played, "loqa")
    table, _ = figures[0].axes
    labels = [label.get_text() for label in table.get_xticklabels()]
    assert labels == [name.replace("_", " ") for name in names]
    shown = [
        text.get_text().replace("\N{MINUS SIGN}", "-") for text in table.texts
    ]
    if num_runs == 25:
        # There is no room for numbers.
        assert shown == []
    else:
        np.testing.assert_allclose(
            np.array(shown, float), rewards.ravel(), atol=0.006
        )
    figures[0].canvas.draw()
    title = table.title.get_window_extent()
    assert title.x0 >= 0 and title.x1 <= figures[0].bbox.width


def test_the_filmstrip_has_a_legend(
    tmp_path, monkeypatch, game, progress
) -> None:
    figures = []
    monkeypatch.setattr(
        matplotlib.figure.Figure,
        "savefig",
        lambda figure, *_, **__: figures.append(figure),
    )
    coin_plot.plot_episode(tmp_path / "episode.png", game, progress, 3)
    (legend,) = figures[0].legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "player 0",
        "player 1",
        "coin of player 0",
        "coin of player 1",
    ]
    handles = legend.legend_handles
    assert [handle.get_marker() for handle in handles] == ["s", "s", "o", "o"]
    colors = [handle.get_color() for handle in handles]
    assert colors[:2] == colors[2:] and colors[0] != colors[1]
    assert "rewards of player 0 / player 1" in legend.get_title().get_text()
    # It covers no panel.
    figures[0].canvas.draw()
    box = legend.get_window_extent()
    assert not any(
        axes.get_window_extent().overlaps(box) for axes in figures[0].axes
    )
