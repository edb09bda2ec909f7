"""The experiment on POLA, and what it measures."""

import csv
import itertools
import json

import numpy as np
import pytest

import dice_tf
from experiments import pola
from experiments.comparisons import reciprocity
from experiments.results.outputs import OutputFolder

pytestmark = pytest.mark.own_process


def test_the_game_is_that_of_the_paper() -> None:
    game = reciprocity.contribution_game()
    f = reciprocity.FACTOR
    for actions in itertools.product(range(2), range(2)):
        costs = 1 - np.array(actions)
        pot = f * costs.sum() / 2
        np.testing.assert_allclose(game.rewards[:, 0, *actions], pot - costs)
    # A dilemma: nothing is better for oneself, contributing for both.
    assert f / 2 < 1.0 < f


def test_players_see_their_own_action_first() -> None:
    game = reciprocity.contribution_game()
    first, second = game.observations
    np.testing.assert_array_equal(first[:, :3], second[:, 3:])
    np.testing.assert_array_equal(first[:, 3:], second[:, :3])
    np.testing.assert_array_equal(first, reciprocity.observations())
    np.testing.assert_array_equal(first[1], [1.0, 0.0, 0.0, 0.0, 1.0, 0.0])


def test_weights_are_drawn_within_the_inverse_root_of_the_inputs() -> None:
    weights = reciprocity.network().get_weights()
    assert [x.shape for x in weights] == [(6, 16), (16,), (16, 1), (1,)]
    for x, inputs in zip(weights, (6, 6, 16, 16), strict=True):
        assert np.all(np.abs(x) <= inputs**-0.5)
    assert np.max(np.abs(weights[0])) > 0.3


def test_reciprocity_is_that_of_the_lesser_player() -> None:
    tit_for_tat = [1.0, 0.0, 1.0, 0.0, 1.0]
    half = [0.9, 0.1, 0.3, 0.5, 1.0]
    finals = reciprocity.TrainedPairs(
        np.array([[tit_for_tat, tit_for_tat], [half, tit_for_tat]]),
        np.array([0.33, 0.2]),
    )
    np.testing.assert_allclose(finals.reciprocity, [1.0, 0.3])
    np.testing.assert_allclose(finals.share, [1.0, 0.2 / 0.33])
    assert finals.are_reciprocal.tolist() == [True, False]


def test_what_counts_needs_both_reciprocity_and_returns() -> None:
    tit_for_tat = [1.0, 0.0, 1.0, 0.0, 1.0]
    kind = [1.0, 0.6, 1.0, 0.6, 1.0]
    finals = reciprocity.TrainedPairs(
        np.array([[tit_for_tat] * 2, [kind] * 2]), np.array([0.29, 0.33])
    )
    assert finals.are_reciprocal.tolist() == [False, False]


def test_pola_finds_reciprocity_in_the_policies_that_it_trains() -> None:
    settings = reciprocity.TRAININGS["pola"]._replace(num_seeds=2)
    finals = reciprocity.train(settings, jit_compile=False)
    assert np.all(finals.are_reciprocal)
    assert finals.cooperation.shape == (2, 2, 5)
    assert not np.allclose(finals.cooperation[0], finals.cooperation[1])
    # In the order in which players see what was done, and per run.
    game = dice_tf.games.iterated_matrix_game(
        reciprocity.contribution_game().rewards[:, 0], 150
    )
    tables = [dice_tf.policies.tabular(game, i) for i in range(2)]
    for run, pair in enumerate(finals.cooperation):
        for table, chance in zip(tables, pair, strict=True):
            table.set_weights([np.log(chance / (1 - chance))[:, np.newaxis]])
        match = dice_tf.evaluation.exact_match(
            game, tables, discount=0.96, episode_length=None
        )
        np.testing.assert_allclose(
            finals.returns[run], np.mean(match.mean), rtol=1e-5
        )


def test_a_run_writes_its_files(tmp_path, monkeypatch) -> None:
    seen = []

    def train(
        settings: reciprocity.ReciprocitySettings,
    ) -> reciprocity.TrainedPairs:
        seen.append(settings)
        found = settings.learner == "pola"
        table = [1.0, 0.0, 1.0, 0.0, 1.0] if found else [0.5] * 5
        return reciprocity.TrainedPairs(
            np.full([settings.num_seeds, 2, 5], table),
            np.full([settings.num_seeds], 0.33 if found else 0.0),
        )

    monkeypatch.setattr(reciprocity, "train", train)
    folder = OutputFolder(tmp_path / "out")
    checks = pola.run({"seed": 7, "num_seeds": 3}, folder)
    assert all(check.passed for check in checks)
    assert {(training.seed, training.num_seeds) for training in seen} == {
        (7, 3)
    }
    written = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert [check["measured"] for check in written["checks"]] == [3, 0, 0]
    text = (tmp_path / "out" / "policies.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    assert len(rows) == 3 * 3 * 2
    assert rows[0] == {
        "method": "pola",
        "run": "1",
        "player": "0",
        "cc": "1",
        "cd": "0",
        "dc": "1",
        "dd": "0",
        "start": "1",
        "mean_return": "0.33",
    }
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["flags"]["pola"]["num_outer_steps"] == 200


def test_words_without_a_flag_are_refused() -> None:
    with pytest.raises(SystemExit, match="Flags start with --"):
        pola.COMMAND.main(["pola", "runs"])
