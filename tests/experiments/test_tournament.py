"""The tournament and the match, as a user runs them."""

import csv
import json
import os
import pathlib

import numpy as np
import pytest

import dice_tf
from experiments import tournament
from experiments.matches import tournament_results
from experiments.matches.entrants import find_entrants
from experiments.matches.match_settings import TournamentSettings
from experiments.results.outputs import OutputFolder
from tests.experiments.commands import (
    LEARNED,
    refusals,
    resolved,
    shell,
    write_run,
)

FILES = {"config.json", "cross_play.png", "summary.json", "tournament.csv"}
SETTINGS = TournamentSettings(
    game="prisoners_dilemma",
    payoffs=None,
    episode_length=10,
    discount=0.9,
    batch_size=None,
    seed=0,
    with_itself=True,
    entrants=(),
)


@pytest.fixture(scope="module")
def learned(tmp_path_factory) -> pathlib.Path:
    return write_run(tmp_path_factory.mktemp("runs") / "ipd")


def run(path, settings: TournamentSettings, *entrants) -> dict:
    found = find_entrants([str(text) for text in entrants])
    settings = settings._replace(entrants=found)
    tournament.run(settings, OutputFolder(path))
    assert set(os.listdir(path)) == FILES
    return json.loads((path / "summary.json").read_text())


def test_a_tournament_leaves_its_files(learned, tmp_path, capsys) -> None:
    entrants = ["tit_for_tat", "always_defect", learned]
    summary = run(tmp_path, SETTINGS, *entrants)
    game = dice_tf.games.iterated_prisoners_dilemma(10)
    seats = [
        dice_tf.policies.from_saved_model(learned / f"saved_model/player_{i}")
        for i in range(2)
    ]
    expected = dice_tf.evaluation.tournament(
        game,
        {
            "tit_for_tat": dice_tf.policies.tit_for_tat,
            "always_defect": dice_tf.policies.always_defect,
            "ipd": seats,
        },
        discount=0.9,
    )
    names = [entry["name"] for entry in summary["ranking"]]
    assert names == list(expected.ranking)
    for entry in summary["ranking"]:
        i = expected.names.index(entry["name"])
        assert entry["score"] == pytest.approx(expected.scores[i])
        assert entry["standard_error"] == 0.0
        assert entry["cooperation_rate"] == pytest.approx(
            expected.cooperation_rates[i]
        )
        for j, other in enumerate(expected.names):
            score = summary["pair_scores"][entry["name"]][other]
            assert score == pytest.approx(expected.pair_scores[i, j])
    text = (tmp_path / "tournament.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    assert len(rows) == 9
    assert (tmp_path / "cross_play.png").read_bytes().startswith(b"\x89PNG")
    shown = capsys.readouterr().out
    assert dice_tf.evaluation.tournament_table(expected) in shown
    assert "ipd [0]" in shown and "ipd [1]" in shown
    assert "tit_for_tat [0]" not in shown


def test_policies_are_named_and_exploited(learned, tmp_path) -> None:
    summary = run(tmp_path, SETTINGS, "always_cooperate", learned)
    kind, _, *policies = summary["policies"]
    assert kind["name"]["name"] == "always_cooperate"
    assert set(kind["shown_name"]["also"]) == {
        "tit_for_tat",
        "grim_trigger",
        "win_stay_lose_shift",
    }
    # Discounted by .9 over ten rounds, a defector takes all of it.
    assert kind["value"] == pytest.approx(0.9**10 - 1)
    assert kind["best_response_value"] == pytest.approx(0.0, abs=1e-12)
    assert kind["gain"] == pytest.approx(1 - 0.9**10)
    game = dice_tf.games.iterated_prisoners_dilemma(10)
    seats = [
        dice_tf.policies.from_saved_model(learned / f"saved_model/player_{i}")
        for i in range(2)
    ]
    gaps = dice_tf.evaluation.exploitability(game, seats, discount=0.9)
    for player_id, entry in enumerate(policies):
        assert entry["player_id"] == player_id
        np.testing.assert_allclose(
            [row[0] for row in entry["probabilities"]],
            LEARNED[player_id],
            rtol=1e-5,
        )
        # A best responder to a policy sits in the other seat.
        gain = gaps.gains[1 - player_id]
        assert entry["gain"] == pytest.approx(gain)
        assert entry["name"]["extortion"]["distance"] > 0


def test_sampled_returns_depend_on_the_seed() -> None:
    settings = SETTINGS._replace(
        batch_size=20,
        with_itself=False,
        entrants=find_entrants(["random", "tit_for_tat"]),
    )
    first, other = (
        tournament_results.play(settings._replace(seed=seed)).result
        for seed in (1, 2)
    )
    assert np.all(first.scores != other.scores)
    assert np.all(first.standard_errors > 0)


def test_a_game_of_other_payoffs_has_an_endless_horizon(tmp_path) -> None:
    payoffs = np.random.default_rng(0).normal(size=(2, 3, 2)).tolist()
    settings = SETTINGS._replace(
        game="custom", payoffs=payoffs, episode_length=None
    )
    summary = run(tmp_path, settings, "random", "always_defect")
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["flags"]["payoffs"] == payoffs
    assert config["flags"]["entrants"][0]["sources"] == ["random", "random"]
    assert config["flags"]["episode_length"] is None
    mean = np.mean(payoffs)
    assert summary["pair_scores"]["random"]["random"] == pytest.approx(mean)
    assert summary["policies"][0]["name"] is None


def test_a_policy_that_does_not_fit_is_one_line(tmp_path) -> None:
    payoffs = np.zeros((2, 3, 3)).tolist()
    settings = SETTINGS._replace(game="custom", payoffs=payoffs)
    with pytest.raises(SystemExit, match="Error: tit_for_tat needs"):
        run(tmp_path, settings, "tit_for_tat")
    assert os.listdir(tmp_path) == []


def test_a_tournament_runs_from_the_shell(tmp_path) -> None:
    arguments = (
        f"--output_dir={tmp_path}",
        "--entrants=always_defect,nice=always_cooperate",
        "--game=stag_hunt",
    )
    done = shell("tournament", *arguments)
    assert done.returncode == 0, done.stderr
    assert set(os.listdir(tmp_path)) == FILES | {"flags.txt"}
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["flags"]["game"] == "stag_hunt"
    assert f"Files: {tmp_path}" in done.stdout
    again = shell("tournament", *arguments)
    assert "holds an earlier run (summary.json, tournament.csv" in again.stderr


def test_flags_of_a_tournament_have_defaults() -> None:
    done = resolved("tournament", "--output_dir=unused")
    assert "tit_for_tat" in done.stdout and "batch_size=None" in done.stdout
    assert done.stdout.endswith("set()\n"), done.stderr


def test_mistakes_are_refused() -> None:
    mistakes = {
        "--entrants must be always_cooperate": ["--entrants=nobody"],
        "two players, who meet": ["--payoffs=[[[[1]]],[[[1]]],[[[1]]]]"],
        "--episode_length=none needs exact returns": [
            "--episode_length=none",
            "--batch_size=4",
        ],
        "--episode_length=none needs a --discount below 1": [
            "--episode_length=none",
            "--discount=1",
        ],
        "'0' is not a positive integer, or none": ["--batch_size=0"],
    }
    command_lines = [
        ["--output_dir=x", *mistake] for mistake in mistakes.values()
    ]
    said = refusals("tournament", command_lines)
    for message, answer in zip(mistakes, said, strict=True):
        assert message in answer


def test_mistakes_are_answered_at_once(tmp_path) -> None:
    for argument in ("go", "--entrants=nobody"):
        done = shell("tournament", f"--output_dir={tmp_path}/new", argument)
        assert done.returncode == 1
        assert done.stderr.startswith("Error: ")
        assert argument.removeprefix("--entrants=") in done.stderr
        assert not (tmp_path / "new").exists()
