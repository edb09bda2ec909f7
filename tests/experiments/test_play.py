"""The match of two policies, as a user runs it."""

import json
import os

import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from experiments.matches import match_play
from experiments.matches.match_settings import MatchSettings
from tests.experiments.commands import refusals, resolved, shell

PAYOFFS = [[[3.0, 0.2], [4.1, 1.0]], [[3.2, 4.3], [-0.3, 0.9]]]
MATCH = MatchSettings(
    game="prisoners_dilemma",
    payoffs=None,
    episode_length=10,
    discount=0.9,
    batch_size=50,
    seed=3,
    policy="random",
    opponent="tit_for_tat",
    player_id=1,
    num_moves=6,
)


def test_a_match_tells_returns_and_opening_moves() -> None:
    match = match_play.play(MATCH)
    assert match.names == ("tit_for_tat", "random")
    lines = match_play.report(MATCH, match).splitlines()
    assert "50 episodes of 10 rounds, discount 0.9" in lines[0]
    # Tit for tat repeats what the other did before.
    moves = [line.split()[-1] for line in lines[-2:]]
    assert len(moves[0]) == len(moves[1]) == 6
    assert set(moves[1]) <= set("CD")
    assert moves[0] == "C" + moves[1][:-1]
    off = match.sampled.mean - match.exact.mean
    assert np.all(np.abs(off) < 4.5 * match.sampled.standard_error)
    for seat, line in enumerate(lines[3:5]):
        cells = line.split()
        assert cells[1] == match.names[seat]
        assert float(cells[2]) == pytest.approx(
            match.sampled.mean[seat], abs=5e-4
        )
        assert float(cells[5]) == pytest.approx(
            match.exact.mean[seat], abs=5e-4
        )


def test_a_match_of_other_payoffs_shows_numbers() -> None:
    payoffs = np.zeros((2, 12, 2)).tolist()
    settings = MATCH._replace(
        game="custom", payoffs=payoffs, opponent="random", batch_size=1
    )
    match = match_play.play(settings)
    summary = match_play.summary(settings, match)
    assert len(summary["players"][0]["action_rates"]) == 12
    assert summary["players"][1]["policy"] == "random"
    moves = summary["players"][0]["opening_moves"].split()
    assert [int(move) for move in moves] == match.sampled.actions[0][
        :6, 0
    ].tolist()
    assert "+-" not in match_play.report(settings, match)


def test_a_match_with_a_saved_model_runs_from_the_shell(tmp_path) -> None:
    game = dice_tf.games.iterated_prisoners_dilemma()
    policy = tmp_path / "policy"
    dice_tf.export.export_policy(dice_tf.policies.tabular(game, 0), policy)
    folder = tmp_path / "results"
    done = shell("play", f"--policy={policy}", f"--output_dir={folder}")
    assert done.returncode == 0, done.stderr
    assert "256 episodes of 150 rounds" in done.stdout
    assert set(os.listdir(folder)) == {
        "config.json",
        "flags.txt",
        "state_diagram.png",
        "summary.json",
    }
    players = json.loads((folder / "summary.json").read_text())["players"]
    assert [player["policy"] for player in players] == [
        str(policy),
        "tit_for_tat",
    ]


def test_two_saved_models_play_each_other(tmp_path) -> None:
    game = dice_tf.games.iterated_prisoners_dilemma()
    paths = {}
    for name in ("always_cooperate", "tit_for_tat"):
        policy = getattr(dice_tf.policies, name)(game, 0)
        paths[name] = str(tmp_path / name)
        dice_tf.export.export_policy(policy, paths[name])
    match = match_play.play(
        MATCH._replace(
            policy=paths["tit_for_tat"], opponent=paths["always_cooperate"]
        )
    )
    assert match.names == (paths["always_cooperate"], paths["tit_for_tat"])
    # Both cooperate always: -1 a round, (1 - 0.9) sum_t 0.9^t a return.
    np.testing.assert_allclose(match.exact.mean, 0.9**10 - 1.0, rtol=1e-5)


def test_a_saved_model_of_something_else_does_not_play(tmp_path) -> None:
    path = str(tmp_path / "other")
    tf.saved_model.save(tf.Module(), path)
    with pytest.raises(ValueError, match="exported policy.*no signatures"):
        match_play.play(MATCH._replace(policy=path))


def test_flags_of_a_match_come_to_settings() -> None:
    text = json.dumps(PAYOFFS)
    done = resolved(
        "play",
        "--policy=random",
        f"--payoffs={text}",
        "--player_id=1",
        "--seed=5",
    )
    settings, modules = done.stdout.splitlines()
    assert "game='custom'" in settings and "seed=5, policy='random'" in settings
    assert modules == "set()"


def test_mistakes_in_a_match_are_refused() -> None:
    known = "--policy=random"
    mistakes = {
        "--policy must have a value": [],
        "--policy must be one of always_cooperate": ["--policy=nobody"],
        "--opponent must be one of": [known, "--opponent="],
        "2 is not an integer in the range [0, 1]": [known, "--player_id=2"],
        "Received: 1 players": [known, "--payoffs=[[1,2]]"],
    }
    said = refusals("play", list(mistakes.values()))
    for message, answer in zip(mistakes, said, strict=True):
        assert message in answer


def test_an_argument_that_is_no_flag_is_refused() -> None:
    done = shell("play", "--policy=random", "now")
    assert done.returncode == 1
    assert done.stderr == "Error: Flags start with --. Received: 'now'.\n"
