"""The common pool experiment, at a tiny size."""

import functools
import json
import os

import matplotlib.figure
import numpy as np
import PIL.Image
import pytest

import dice_tf
from experiments import common_pool
from experiments.pools import pool_plot, pool_training
from experiments.pools.pool_settings import PoolSettings
from experiments.results.outputs import OutputFolder
from tests.experiments.commands import read_curves, refusals, resolved

pytestmark = pytest.mark.own_process

NAIVE = PoolSettings(
    discount=0.96,
    episode_length=6,
    num_seeds=2,
    seed=3,
    num_iterations=4,
    learning_rate=(1.0, 1.0),
    inner_learning_rate=(10.0, 10.0),
    learner=("naive", "naive"),
    num_lookaheads=(None, None),
    look_ahead_weight=(1.0, 1.0),
)
LOLA_DICE = NAIVE._replace(
    learner=("lola_dice", "lola_dice"), num_lookaheads=(1, 1)
)
MIXED = LOLA_DICE._replace(
    learner=("lola_dice", "naive"), num_lookaheads=(1, None)
)


@pytest.fixture(autouse=True)
def _without_xla(monkeypatch) -> None:
    # It would take most of the time.
    build = functools.partial(pool_training.build_trainer, jit_compile=False)
    monkeypatch.setattr(pool_training, "build_trainer", build)


def test_a_run_writes_its_files(tmp_path, capsys) -> None:
    settings = {"naive": NAIVE, "lola_dice_1_lookahead_vs_naive": MIXED}
    out = tmp_path / "out"
    common_pool.run(settings, OutputFolder(out))
    assert set(os.listdir(out)) == {
        "config.json",
        "curves.csv",
        "episode.gif",
        "learning_curves.png",
        "saved_model",
        "summary.json",
    }
    curves = read_curves(out / "curves.csv")
    summary = json.loads((out / "summary.json").read_text())
    assert list(curves) == list(summary) == list(settings)
    for name, entry in summary.items():
        assert curves[name].shape == (4, 2, 2)
        np.testing.assert_allclose(
            entry["final_joint_return_per_run"],
            curves[name].mean(axis=(0, 2)),
            rtol=1e-6,
        )
        assert all(0 <= stock <= 12 for stock in entry["final_stock_per_run"])
        assert sorted(os.listdir(out / "saved_model" / name)) == [
            "player_0",
            "player_1",
        ]
    with PIL.Image.open(out / "episode.gif") as picture:
        assert picture.n_frames == 6
    assert "stock after an episode" in capsys.readouterr().out


def test_shapers_keep_the_pool_that_naive_players_empty() -> None:
    naive, shaping = (
        pool_training.train(
            settings._replace(num_iterations=60, num_seeds=3, seed=0)
        )
        for settings in (NAIVE, LOLA_DICE)
    )
    assert np.all(naive.curves[-1] < 0.3)
    assert np.all(naive.final_stocks < 3)
    keep = shaping.curves[-1].mean(axis=1) > 0.9
    assert np.count_nonzero(keep) >= 2
    assert np.all(shaping.final_stocks[keep] > 7)
    assert shaping.median in np.flatnonzero(keep)


def test_learners_sit_in_their_seats() -> None:
    first, second = pool_training.build_trainer(MIXED).learners
    assert isinstance(first, dice_tf.learners.LOLADiCE)
    assert isinstance(second, dice_tf.learners.Naive)


def test_where_all_runs_fail_the_rest_is_written(
    tmp_path, monkeypatch, capsys
) -> None:
    build = pool_training.build_trainer

    def build_poisoned(settings: PoolSettings) -> dice_tf.Trainer:
        trainer = build(settings)
        for variable in trainer.trainable_variables:
            variable.assign(np.full(variable.shape, np.nan))
        return trainer

    monkeypatch.setattr(pool_training, "build_trainer", build_poisoned)
    out = tmp_path / "out"
    common_pool.run({"naive": NAIVE}, OutputFolder(out))
    summary = json.loads((out / "summary.json").read_text())
    assert summary["naive"]["failed_runs"] == [1, 2]
    assert {"curves.csv", "learning_curves.png"} <= set(os.listdir(out))
    assert not {"saved_model", "episode.gif"} & set(os.listdir(out))
    assert summary["naive"]["final_stock_per_run"] == [None, None]
    assert "2 of 2 runs failed" in capsys.readouterr().out


def _episode(length: int = 5) -> pool_plot.PoolEpisode:
    """Two players that take all they may, as the rules say."""
    stocks, taken, stock = [], [], 12
    game = dice_tf.games.CommonPool(length)
    for _ in range(length):
        share = min(stock // 2, 4)
        stocks.append(stock)
        taken.append([share, share])
        stock = int(game.growth[stock - 2 * share])
    return pool_plot.PoolEpisode(np.array(stocks), np.array(taken))


def test_an_episode_is_that_of_a_play() -> None:
    runs = pool_training.train(NAIVE._replace(num_iterations=1))
    game = runs.trainer.objective.game
    episode = pool_plot.first_episode(runs.episodes)
    assert episode.stocks.shape == (6,) and episode.taken.shape == (6, 2)
    left = episode.stocks - episode.taken.sum(axis=1)
    np.testing.assert_array_equal(episode.stocks[1:], game.growth[left[:-1]])
    # What is left of each episode, too.
    states = np.asarray(runs.episodes.states)
    rewards = np.sum([np.asarray(x) for x in runs.episodes.rewards], axis=0)
    after = game.growth[(states - rewards).astype(int)]
    np.testing.assert_array_equal(states[1:], after[:-1])
    stocks = pool_training._left(game, runs.episodes)
    np.testing.assert_array_equal(stocks, after[-1])


@pytest.mark.parametrize("num_methods", [1, 3])
def test_cells_show_who_takes_what(tmp_path, monkeypatch, num_methods) -> None:
    drawn = []

    def keep(path, figure, draw, num_steps) -> None:
        draw(0)
        drawn.append((figure, num_steps))

    monkeypatch.setattr(pool_plot, "write_animation", keep)
    names = [f"method {number}" for number in range(num_methods)]
    pool_plot.animate_episodes(
        tmp_path / "x.gif", 12, dict.fromkeys(names, _episode())
    )
    ((figure, num_steps),) = drawn
    assert isinstance(figure, matplotlib.figure.Figure) and num_steps == 5
    cells = figure.axes[0]
    assert cells.get_title() == "method 0"
    texts = [text.get_text() for text in cells.texts]
    # Both take four of twelve.
    assert texts.count("0") == texts.count("1") == 4
    assert texts[-1] == "earned: 4 and 4"
    colors = [patch.get_facecolor() for patch in cells.patches]
    assert len(colors) == 12 and sorted(
        colors.count(color) for color in set(colors)
    ) == [4, 4, 4]
    figure.canvas.draw()
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.width
    assert not any(axes.get_tightbbox().overlaps(box) for axes in figure.axes)


def test_flags_come_to_settings_without_slow_imports() -> None:
    done = resolved(
        "common_pool",
        "--learners=sos,lola_dice_2_lookaheads_vs_naive",
        "--output_dir=x",
    )
    settings, modules = done.stdout.splitlines()
    assert "learner=('sos', 'sos')" in settings
    assert (
        "learner=('lola_dice', 'naive'), num_lookaheads=(2, None)" in settings
    )
    assert modules == "set()"


def test_mistakes_are_refused() -> None:
    mistakes = {
        "--learners must hold at least one entry": ["--learners="],
        "A method must be one of": ["--learners=nobody"],
        "Received: 'actor_critic'": ["--learners=actor_critic"],
        "Received: 'loqa'": ["--learners=loqa"],
        "Received: 'cola'": ["--learners=cola"],
        "Received: 'naive_batch_4'": ["--learners=naive_batch_4"],
        "Received: 'naive_vs_tit_for_tat'": ["--learners=naive_vs_tit_for_tat"],
        "one for each of the 2 players": ["--learners=naive_vs_lola_vs_lola"],
        "--learners must differ. Received twice: sos": ["--learners=sos,sos"],
        "--discount must be below 1": ["--discount=1"],
    }
    given = [["--output_dir=x", *flags] for flags in mistakes.values()]
    said = refusals("common_pool", given)
    for message, answer in zip(mistakes, said, strict=True):
        assert message in answer
