"""The command that makes the zoo, with trainings of a few updates."""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.zoo import loading
from experiments import make_zoo
from experiments.zoo import making, recipes
from tests.experiments.commands import refusals
from tests.experiments.parsed_flags import run_command

NAME = "ipd/naive"
TINY = ("--num_iterations=2", "--batch_size=4", "--nojit_compile")


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """Lets the training be short, and what comes of it be accepted."""
    naive = recipes.RECIPES[NAME]
    naive = naive._replace(flags=naive.flags + TINY, most=0.0)
    monkeypatch.setitem(recipes.RECIPES, NAME, naive)
    monkeypatch.setattr(making, "_NUM_EPISODES", 256)
    monkeypatch.setattr(making, "_BATCH_SIZE", 64)


def make(folder: pathlib.Path, *arguments: str) -> None:
    run_command(
        make_zoo.COMMAND,
        f"--output_dir={folder}",
        f"--policies={NAME}",
        *arguments,
    )


def test_what_was_trained_is_what_the_zoo_reads(
    tmp_path, monkeypatch, capfd
) -> None:
    make(tmp_path)
    shown = capfd.readouterr()
    assert "cpu_feature" not in shown.err and "Traceback" not in shown.err
    files = [path.name for path in (tmp_path / "zoo/ipd").iterdir()]
    assert sorted(files) == ["naive.json", "naive.npz"]
    monkeypatch.setattr(
        loading,
        "_content",
        lambda path: (tmp_path / "zoo" / path).read_bytes(),
    )
    training = tmp_path / "trainings" / NAME
    policies = []
    for player_id in range(2):
        policies.append(dice_tf.zoo.load(NAME, player_id))
        saved = dice_tf.policies.from_saved_model(
            training / "saved_model" / f"player_{player_id}"
        )
        log_odds = policies[-1](tf.eye(5))
        np.testing.assert_allclose(
            saved(tf.eye(5)),
            tf.math.log_sigmoid(tf.concat([log_odds, -log_odds], axis=1)),
            atol=1e-6,
        )
    exact = dice_tf.evaluation.exact_match(dice_tf.zoo.game(NAME), policies)
    for player_id in range(2):
        card = dice_tf.zoo.card(NAME, player_id)
        low, high = card.return_interval
        assert low < exact.mean[player_id] < high
        assert low < card.mean_return < high
        assert "--num_iterations=2" in card.notes and "(2 upda" in card.notes
    # A training that has finished is not repeated.
    before = (training / "summary.json").stat().st_mtime_ns
    make(tmp_path, "--overwrite")
    assert (training / "summary.json").stat().st_mtime_ns == before
    assert "has finished" in capfd.readouterr().out


def test_a_policy_that_earns_too_little_fails_a_check(
    tmp_path, monkeypatch, capfd
) -> None:
    recipe = recipes.RECIPES[NAME]._replace(least=5.0)
    monkeypatch.setitem(recipes.RECIPES, NAME, recipe)
    with pytest.raises(SystemExit) as end:
        make(tmp_path)
    assert end.value.code == 1
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert [check["passed"] for check in summary["checks"]] == [False, True]


def test_a_training_that_fails_ends_the_command(
    tmp_path, monkeypatch, capfd
) -> None:
    recipe = recipes.RECIPES[NAME]._replace(flags=("--batch_size=-1",))
    monkeypatch.setitem(recipes.RECIPES, NAME, recipe)
    with pytest.raises(
        SystemExit, match="training of ipd/naive ended with status 1: .*ipd"
    ):
        make(tmp_path)
    assert not (tmp_path / "zoo").exists()


@pytest.mark.parametrize("status", [130, 143])
def test_an_interrupted_training_interrupts_the_command(
    tmp_path, monkeypatch, status
) -> None:
    class Done:
        returncode = status

    monkeypatch.setattr(making.subprocess, "run", lambda *_, **__: Done)
    with pytest.raises(KeyboardInterrupt):
        making.train(NAME, tmp_path)


def test_there_is_a_recipe_for_each_policy_of_the_zoo() -> None:
    assert sorted(recipes.RECIPES) == dice_tf.zoo.names()


def test_mistakes_in_the_flags_are_named() -> None:
    given = (["--policies="], ["--policies=ipd/x"], [])
    found = refusals("make_zoo", [["--output_dir=a", *x] for x in given])
    assert "--policies must hold at least one entry" in found[0]
    assert "--policies must be some of coin_game/" in found[1]
    assert "Received: 'ipd/x'" in found[1]
    assert found[2] == "accepted"
