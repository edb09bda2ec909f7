"""Policies among the strategies of the Axelrod library."""

import csv
import json
import os

import numpy as np
import pytest

import dice_tf
from experiments import axelrod_tournament
from experiments.matches import axelrod_play, axelrod_results
from experiments.matches.axelrod_play import Competitor
from experiments.matches.entrants import find_entrants
from experiments.matches.match_settings import AxelrodSettings
from experiments.results.outputs import OutputFolder
from tests.experiments.commands import LEARNED, refusals, write_run

FILES = {
    "config.json",
    "pair_payoffs.csv",
    "payoffs.png",
    "summary.json",
    "tournament.csv",
}
SETTINGS = AxelrodSettings(
    entrants=(),
    strategies=("TitForTat", "Cooperator", "Random"),
    num_turns=7,
    num_repetitions=3,
    seed=0,
    num_processes=1,
)
TIT_FOR_TAT = (1.0, 0.0, 1.0, 0.0, 1.0)


def strategies(*names):
    return axelrod_play.field(names)


def play(everyone, **changes):
    return axelrod_play.play(everyone, SETTINGS._replace(**changes))


def test_a_table_plays_as_the_strategy_of_the_library_does() -> None:
    field = strategies("TitForTat", "Alternator", "Defector", "Grudger")
    ours = Competitor("ours", None, TIT_FOR_TAT)
    outcome = play([ours, *field])
    for table in (outcome.payoffs, outcome.cooperation):
        np.testing.assert_array_equal(table[:, 0], table[:, 1])
        np.testing.assert_array_equal(table[:, :, 0], table[:, :, 1])
    # Against a defector: 0 once, then 1.
    assert outcome.payoffs[0, 0, 3] == pytest.approx(6 / 7)
    assert outcome.payoffs[0, 3, 0] == pytest.approx(11 / 7)
    assert outcome.cooperation[0, 0, 3] == pytest.approx(1 / 7)


def test_matches_of_tables_have_the_payoffs_of_the_exact_match() -> None:
    everyone = [
        Competitor(f"player {i}", None, tuple(table))
        for i, table in enumerate(LEARNED)
    ]
    outcome = play(everyone, num_turns=20, num_repetitions=200)
    game = dice_tf.games.iterated_matrix_game(
        [[[3, 0], [5, 1]], [[3, 5], [0, 1]]], 20
    )
    policies = [
        dice_tf.policies.fixed_policy(
            game, i, np.stack([table, 1 - table], axis=1)
        )
        for i, table in enumerate(np.array(LEARNED))
    ]
    exact = dice_tf.evaluation.exact_match(game, policies, discount=1.0)
    for i in range(2):
        for table, expected in (
            (outcome.payoffs, exact.mean),
            (outcome.cooperation, exact.cooperation_rates),
        ):
            found = table[:, i, 1 - i]
            error = found.std(ddof=1) / np.sqrt(len(found))
            assert abs(found.mean() - expected[i]) < 4 * error


def test_results_follow_the_seed_and_not_who_else_takes_part() -> None:
    few = strategies("Random", "FirstByJoss")
    more = strategies("FirstByJoss", "Cooperator", "Random")
    first, second = play(few), play(more)
    index = np.ix_(range(3), [2, 0], [2, 0])
    np.testing.assert_array_equal(first.payoffs, second.payoffs[index])
    assert not np.array_equal(first.payoffs, play(few, seed=1).payoffs)
    # Repetitions differ.
    assert len(set(first.payoffs[:, 0, 1])) > 1


def test_scores_are_means_over_the_others_and_rank() -> None:
    everyone = strategies("Cooperator", "Defector", "TitForTat", "Cooperator")
    outcome = play(everyone[:3], num_repetitions=1)
    # Cooperator: 0 and 3; defector: 5 and 11/7; tit for tat: 3 and 6/7.
    expected = [1.5, (5 + 11 / 7) / 2, (3 + 6 / 7) / 2]
    np.testing.assert_allclose(outcome.scores[0], expected)
    assert outcome.order.tolist() == [1, 2, 0]
    ranking = axelrod_results.rank(outcome)
    assert [entry["name"] for entry in ranking] == [
        "Defector",
        "Tit For Tat",
        "Cooperator",
    ]
    assert [entry["standard_error"] for entry in ranking] == [0.0] * 3
    assert ranking[0]["self_play"] == 1.0


def test_the_field_has_two_hundred_that_play_by_the_rules() -> None:
    names = axelrod_play.available()
    assert len(names) >= 200
    assert {"TitForTat", "ZDExtort2", "EvolvedHMM5"} <= set(names)
    assert not {"Darwin", "MetaWinner", "MetaHunter", "DBS"} & set(names)


def test_a_tournament_leaves_its_files(tmp_path, capsys) -> None:
    learned = write_run(tmp_path / "ipd")
    settings = SETTINGS._replace(
        entrants=find_entrants(["win_stay_lose_shift", str(learned)])
    )
    folder = tmp_path / "out"
    axelrod_tournament.run(settings, OutputFolder(folder))
    assert set(os.listdir(folder)) == FILES
    summary = json.loads((folder / "summary.json").read_text())
    names = [entry["name"] for entry in summary["ranking"]]
    assert sorted(entry["rank"] for entry in summary["ranking"]) == [
        *range(1, 7)
    ]
    policies = {entry["name"]: entry for entry in summary["policies"]}
    assert set(policies) == {"win_stay_lose_shift", "ipd [0]", "ipd [1]"}
    assert {entry["of"] for entry in policies.values()} == {6}
    with open(folder / "tournament.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == names
    with open(folder / "pair_payoffs.csv", encoding="utf-8") as file:
        pairs = list(csv.reader(file))
    assert pairs[0][1:] == [row[0] for row in pairs[1:]] == names
    both = names.index("Tit For Tat"), names.index("Cooperator")
    assert float(pairs[1 + both[0]][1 + both[1]]) == 3.0
    config = json.loads((folder / "config.json").read_text())
    assert config["flags"]["num_turns"] == 7
    assert "Random" in config["flags"]["strategies"]
    assert "6 competitors" in capsys.readouterr().out


def test_a_process_that_dies_ends_the_tournament(monkeypatch) -> None:
    """It does not wait forever for the matches of that process."""
    monkeypatch.setattr(axelrod_play, "_play_job", os._exit)
    with pytest.raises(ChildProcessError, match="One of 2 processes .* died"):
        list(axelrod_play._results([1], 2))


def test_names_must_differ() -> None:
    settings = SETTINGS._replace(entrants=find_entrants(["Cooperator=random"]))
    with pytest.raises(ValueError, match="different names. Received 'Coop"):
        axelrod_results.competitors(settings)


def test_unknown_strategies_are_refused() -> None:
    with pytest.raises(ValueError, match="such as TitForTat. Received: 'X'"):
        strategies("TitForTat", "X")


def test_mistaken_flags_are_answered() -> None:
    output = "--output_dir=x"
    first, second, third = refusals(
        "axelrod_tournament",
        [
            [output, "--strategies=Random,Random"],
            [output, "--entrants=nobody"],
            [output, "--num_turns=0"],
        ],
    )
    assert "--strategies must hold each name once" in first
    assert "--entrants must be" in second
    assert "num_turns" in third
