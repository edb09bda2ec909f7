"""The pictures of the Coin Game."""

import matplotlib.figure
import numpy as np
import tensorflow as tf

import dice_tf
from experiments.coins import coin_plot, coin_training


def test_the_filmstrip_has_a_legend(tmp_path, monkeypatch) -> None:
    game = dice_tf.games.CoinGame(3)
    policies = [
        dice_tf.policies.mlp(game, i, hidden_units=[]) for i in range(2)
    ]
    objective = dice_tf.objectives.DiCEObjective(game, policies, batch_size=2)
    episode = objective.play(
        objective.initial_params(), tf.constant([0, 1])
    ).trajectory
    progress = coin_training.Progress(
        np.arange(2), np.zeros([2, 1]), np.zeros([2, 1, 2]), episode
    )
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
