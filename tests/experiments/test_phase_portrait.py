"""The portraits of learning in the plane of reactive strategies."""

import csv
import json
import os

import matplotlib.figure
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from experiments import phase_portrait
from experiments.portraits import portrait_plot, reactive
from experiments.portraits.portrait_settings import PortraitSettings
from experiments.results.outputs import OutputFolder
from tests.experiments.commands import refusals, resolved

NAIVE = PortraitSettings(
    discount=0.9,
    num_iterations=3,
    learning_rate=(1e-3,),
    inner_learning_rate=(1.0,),
    learner=("naive",),
    num_lookaheads=(None,),
    look_ahead_weight=(1.0,),
)
LOLA_DICE = NAIVE._replace(learner=("lola_dice",), num_lookaheads=(2,))


def _value(strategies: np.ndarray, discount: float) -> float:
    """Returns what player 0 earns, by its strategy and that of player 1."""
    (after_c, after_d), (its_after_c, its_after_d) = strategies
    chain, rewards = [], np.array([-1.0, -3.0, 0.0, -2.0])
    for mine in "CD":
        for its in "CD":
            # Each answers what the other did last.
            x = after_c if its == "C" else after_d
            y = its_after_c if mine == "C" else its_after_d
            chain.append(np.outer([x, 1 - x], [y, 1 - y]).ravel())
    # The first round is as if both had cooperated.
    visits = np.linalg.solve(np.eye(4) - discount * np.array(chain).T, chain[0])
    return float(visits @ rewards)


def _log_odds(strategies):
    strategies = np.asarray(strategies, np.float32)
    return tf.constant(np.log(strategies / (1 - strategies)))


def test_players_see_what_the_opponent_did_last() -> None:
    game = reactive.reactive_game()
    np.testing.assert_array_equal(
        game.observations[0], [[1, 0], [0, 1], [1, 0], [0, 1], [1, 0]]
    )
    np.testing.assert_array_equal(
        game.observations[1], [[1, 0], [1, 0], [0, 1], [0, 1], [1, 0]]
    )
    assert dice_tf.check_game(game) is None


def test_values_are_those_of_the_markov_chain() -> None:
    objective = reactive.reactive_objective(0.9)
    for pair in np.random.default_rng(0).uniform(0.05, 0.95, [5, 2, 2]):
        params = [[x] for x in _log_odds(pair)[:, :, tf.newaxis]]
        values = objective(params, tf.constant([0, 0]))
        expected = [_value(pair, 0.9), _value(pair[::-1], 0.9)]
        np.testing.assert_allclose(values, expected, rtol=1e-5)


def test_arrows_of_naive_players_are_gradients_by_their_own_strategy() -> None:
    portrait = reactive.draw_from(NAIVE)
    assert len(portrait.strategies) == 13**2
    # By probabilities: the slope of the log-odds counts once on the way to
    # the gradient by log-odds, and once on the way back.
    for place in (0, 40, 100, 168):
        strategy = portrait.strategies[place]
        for i in range(2):
            away = 1e-5 * np.eye(2)[i]
            up, down = (
                _value(np.array([strategy + step, strategy]), 0.9)
                for step in (away, -away)
            )
            slope = strategy[i] * (1 - strategy[i])
            np.testing.assert_allclose(
                portrait.velocities[place, i],
                slope**2 * (up - down) / 2e-5,
                rtol=1e-3,
                atol=1e-6,
            )


@pytest.mark.parametrize("settings", [NAIVE, LOLA_DICE])
def test_paths_follow_the_arrows(settings) -> None:
    portrait = reactive.draw_from(settings)
    assert portrait.paths.shape == (4, 16, 2)
    assert portrait.returns.shape == (4, 16)
    starts = portrait.paths[0]
    np.testing.assert_allclose(
        np.unique(starts), [0.125, 0.375, 0.625, 0.875], rtol=1e-6
    )
    objective = reactive.reactive_objective(0.9)
    learner = dice_tf.learners.Naive()
    if settings is LOLA_DICE:
        learner = dice_tf.learners.LOLADiCE(2, 1.0)
    for path in (1, 6, 15):
        params = [[x] for x in tf.stack([_log_odds(starts[path])] * 2)]
        params = [[x[:, tf.newaxis]] for (x,) in params]
        # Both players move alike.
        moves = [
            learner.gradient(objective, params, i, tf.constant([0, 0]))[0]
            for i in range(2)
        ]
        np.testing.assert_allclose(moves[0], moves[1], rtol=1e-4, atol=1e-5)
        slopes = starts[path] * (1 - starts[path])
        moved = (portrait.paths[1] - starts)[path] / 1e-3
        np.testing.assert_allclose(
            moved, slopes * np.ravel(moves[0]), rtol=2e-2, atol=1e-3
        )
    for iteration in range(4):
        strategy = portrait.paths[iteration, 6]
        np.testing.assert_allclose(
            portrait.returns[iteration, 6],
            0.1 * _value(np.array([strategy, strategy]), 0.9),
            rtol=1e-5,
        )


def test_the_plane_shows_what_corners_earn() -> None:
    returns = reactive.returns_in_plane(0.96, 100)
    defect, tit_for_tat = returns[0, 0], returns[0, -1]
    np.testing.assert_allclose(defect, -2.0, atol=0.05)
    # It errs now and then, and does not forgive.
    assert -1.3 < tit_for_tat < -1.0
    np.testing.assert_allclose(returns[-1, -1], -1.0, atol=0.02)
    strategy = np.array([0.995, 0.305])
    np.testing.assert_allclose(
        returns[30, 99],
        0.04 * _value(np.array([strategy, strategy]), 0.96),
        rtol=1e-4,
    )


def test_lola_dice_finds_reciprocity_where_naive_players_defect(
    tmp_path, capsys
) -> None:
    settings = {
        "naive": NAIVE._replace(num_iterations=200, learning_rate=(0.2,)),
        "lola_dice_2_lookaheads": LOLA_DICE._replace(
            num_iterations=200, learning_rate=(0.2,)
        ),
    }
    phase_portrait.run(settings, OutputFolder(tmp_path / "out"))
    assert set(os.listdir(tmp_path / "out")) == {
        "config.json",
        "paths.csv",
        "phase_portrait.png",
        "summary.json",
    }
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    ends = {name: entry["num_paths_to"] for name, entry in summary.items()}
    assert ends["naive"]["mutual_defection"] > 8
    assert ends["lola_dice_2_lookaheads"]["mutual_cooperation"] > 8
    for entry in summary.values():
        assert sum(entry["num_paths_to"].values()) == 16
        assert entry["failed_paths"] == []
    with open(tmp_path / "out" / "paths.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 16 * 101
    assert [row["iteration"] for row in rows[:3]] == ["0", "2", "4"]
    last = rows[-1]
    assert (last["path"], last["iteration"]) == ("16", "200")
    assert float(last["return"]) == pytest.approx(
        summary["lola_dice_2_lookaheads"]["final_return_per_path"][-1], rel=1e-5
    )
    printed = capsys.readouterr().out
    assert "paths to cooperation" in printed


@pytest.mark.parametrize("num_learners", [1, 4])
def test_the_picture_has_a_labelled_panel_for_each_learner(
    tmp_path, monkeypatch, num_learners
) -> None:
    figures = []
    monkeypatch.setattr(
        matplotlib.figure.Figure,
        "savefig",
        lambda figure, *_, **__: figures.append(figure),
    )
    portrait = reactive.draw_from(NAIVE)
    names = [f"learner {number}" for number in range(num_learners)]
    portrait_plot.plot_portraits(
        tmp_path / "x.png",
        dict.fromkeys(names, portrait),
        reactive.returns_in_plane(0.9, 5),
        "A title that is about as long as\nthe one that the command gives it",
    )
    panels = figures[0].axes[:-1]
    assert [axes.get_title() for axes in panels] == names
    # The last panel of each column says what its axis is.
    named = [axes.get_xlabel() == "P(C after C)" for axes in panels]
    assert named == ([True] if num_learners == 1 else [False, True, True, True])
    # The legend covers no label, and the title fits.
    figures[0].canvas.draw()
    box = figures[0].legends[0].get_window_extent()
    assert not any(
        axes.xaxis.label.get_window_extent().overlaps(box) for axes in panels
    )
    assert box.x0 >= 0 and box.x1 <= figures[0].bbox.width
    title = figures[0].get_suptitle()
    assert title.startswith("A title")
    (text,) = (x for x in figures[0].texts if x.get_text() == title)
    assert text.get_window_extent().x0 >= 0


def test_flags_come_to_settings_without_slow_imports() -> None:
    done = resolved(
        "phase_portrait",
        "--learners=sos,lola_dice_3_lookaheads",
        "--output_dir=x",
    )
    settings, modules = done.stdout.splitlines()
    assert "learner=('sos',)" in settings and "num_lookaheads=(3,)" in settings
    assert modules == "set()"


def test_mistakes_are_refused() -> None:
    mistakes = {
        "--learners must hold at least one entry": ["--learners="],
        "A method must be one of": ["--learners=nobody"],
        "as both players. Received: 'naive_vs_lola'": [
            "--learners=naive_vs_lola"
        ],
        "Received: 'pola'": ["--learners=pola"],
        "Received: 'loqa'": ["--learners=loqa"],
        "Received: 'lola_batch_4'": ["--learners=lola_batch_4"],
        "Received: 'tit_for_tat'": ["--learners=tit_for_tat"],
        "--learners must differ. Received twice: sos": ["--learners=sos,sos"],
        "--discount must be below 1": ["--discount=1"],
    }
    given = [["--output_dir=x", *flags] for flags in mistakes.values()]
    said = refusals("phase_portrait", given)
    for message, answer in zip(mistakes, said, strict=True):
        assert message in answer
