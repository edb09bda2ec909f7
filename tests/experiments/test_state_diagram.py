"""Matches of memory-one strategies as state diagrams."""

import itertools

import matplotlib.figure
import numpy as np
import pytest
from matplotlib.patches import FancyArrowPatch

import dice_tf
from experiments.matches import match_play
from experiments.results import state_diagram
from tests.experiments.commands import LEARNED
from tests.experiments.test_play import MATCH

# P(C) after CC, CD, DC, DD, the player's own action first, and at the start.
TIT_FOR_TAT = [1.0, 0.0, 1.0, 0.0, 1.0]
DEFECT = [0.0] * 5


def _tables(*strategies):
    first = np.array(strategies)
    return list(np.stack([first, 1.0 - first], axis=2))


def _chance(state, following):
    """Returns the chance of a step of the strategies in `LEARNED`."""
    chance = 1.0
    for player_id, strategy in enumerate(LEARNED):
        seen = state if player_id == 0 else state[::-1]
        place = ["CC", "CD", "DC", "DD", "start"].index(seen)
        cooperation = strategy[place]
        is_c = following[player_id] == "C"
        chance *= cooperation if is_c else 1.0 - cooperation
    return chance


def test_steps_are_the_product_of_what_both_do() -> None:
    chances = state_diagram.step_chances(_tables(*LEARNED))
    np.testing.assert_allclose(chances.sum(axis=1), 1.0)
    joint = ["CC", "CD", "DC", "DD"]
    for (i, state), (j, following) in itertools.product(
        enumerate(joint), enumerate(joint)
    ):
        assert chances[i, j] == pytest.approx(_chance(state, following))
    for j, following in enumerate(joint):
        # "start" backwards is no state: both see the same.
        expected = np.prod(
            [
                LEARNED[i][4] if following[i] == "C" else 1 - LEARNED[i][4]
                for i in range(2)
            ]
        )
        assert chances[4, j] == pytest.approx(expected)


def test_shares_are_those_of_the_game() -> None:
    game = dice_tf.games.iterated_prisoners_dilemma(1001)
    policies = [
        dice_tf.policies.fixed_policy(game, i, table)
        for i, table in enumerate(_tables(*LEARNED))
    ]
    # A round is seen in the next one, and the start in the first.
    seen = dice_tf.evaluation.visit_frequencies(game, policies, 0, discount=1.0)
    shares = state_diagram.visit_shares(
        state_diagram.step_chances(_tables(*LEARNED))
    )
    np.testing.assert_allclose(shares, 1001 * seen[:4] / 1000, atol=1e-6)


def _figure(monkeypatch, tmp_path, *strategies) -> matplotlib.figure.Figure:
    figures = []
    monkeypatch.setattr(
        matplotlib.figure.Figure,
        "savefig",
        lambda figure, *_, **__: figures.append(figure),
    )
    state_diagram.plot_states(
        tmp_path / "x.png", _tables(*strategies), "CD", ["one", "two"], "Game"
    )
    return figures[0]


def test_arrows_are_as_wide_as_steps_are_likely(monkeypatch, tmp_path) -> None:
    figure = _figure(monkeypatch, tmp_path, *LEARNED)
    chances = state_diagram.step_chances(_tables(*LEARNED)).ravel()
    arrows = [x for x in figure.axes[0].patches if type(x) is FancyArrowPatch]
    widths = sorted(arrow.get_linewidth() for arrow in arrows)
    expected = sorted(6.0 * chances[chances >= 0.02])
    assert 0 < len(expected) < 20
    np.testing.assert_allclose(widths, expected)


def test_states_say_what_both_do_and_how_often_they_are(
    monkeypatch, tmp_path
) -> None:
    figure = _figure(monkeypatch, tmp_path, TIT_FOR_TAT, DEFECT)
    texts = {text.get_text(): text for text in figure.axes[0].texts}
    # The first round is CD, all others DD.
    assert {"CC\n0 %", "CD\n0 %", "DC\n0 %", "DD\n100 %", "start"} <= set(texts)
    numbers = [
        text.get_text()
        for text in figure.axes[0].texts
        if "." in text.get_text()
    ]
    assert numbers == [
        *("1.00", "0.00"),
        *("0.00", "0.00"),
        *("1.00", "0.00"),
        *("0.00", "0.00"),
        *("1.00", "0.00"),
    ]
    legend = figure.legends[0].get_title().get_text()
    assert "P(C) of player 0 (left), one" in legend and "two" in legend


def test_nothing_is_cut_or_covered(monkeypatch, tmp_path) -> None:
    figure = _figure(monkeypatch, tmp_path, *LEARNED)
    figure.canvas.draw()
    legend = figure.legends[0].get_window_extent()
    assert legend.x0 >= 0 and legend.x1 <= figure.bbox.width
    boxes = [
        text.get_window_extent()
        for text in figure.axes[0].texts
        if "." not in text.get_text()
    ]
    assert not any(
        one.overlaps(another)
        for one, another in itertools.combinations([*boxes, legend], 2)
    )


def test_matches_of_other_strategies_have_no_diagram(tmp_path) -> None:
    payoffs = np.zeros((2, 3, 2)).tolist()
    settings = MATCH._replace(
        game="custom", payoffs=payoffs, opponent="random", batch_size=1
    )
    match_play.draw_states(tmp_path, settings, match_play.play(settings))
    assert list(tmp_path.iterdir()) == []


def test_a_match_is_drawn_by_seat(monkeypatch, tmp_path) -> None:
    drawn = []
    monkeypatch.setattr(
        state_diagram, "plot_states", lambda *given: drawn.append(given)
    )
    match_play.draw_states(tmp_path, MATCH, match_play.play(MATCH))
    ((path, tables, letters, names, title),) = drawn
    assert path.name == "state_diagram.png"
    assert letters == ["C", "D"] and title == "Iterated prisoner's dilemma"
    assert names == ["tit_for_tat", "random"]
    np.testing.assert_allclose(tables[0][:, 0], TIT_FOR_TAT, atol=1e-6)
    np.testing.assert_allclose(tables[1], 0.5)


def test_a_match_without_matplotlib_is_reported_all_the_same(
    monkeypatch, tmp_path
) -> None:
    monkeypatch.setattr(
        match_play.importlib.util, "find_spec", lambda name: None
    )
    match_play.draw_states(tmp_path, MATCH, match_play.play(MATCH))
    assert list(tmp_path.iterdir()) == []
