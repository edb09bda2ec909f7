"""The Coin Game experiment, at a tiny size."""

import csv
import errno
import functools
import json
import os
import pathlib
from collections.abc import Callable

import numpy as np
import pytest

import dice_tf
from experiments import coin_game
from experiments.building import trainings
from experiments.coins import coin_settings, coin_training
from experiments.results import partial_results
from experiments.results.outputs import OutputFolder
from tests.experiments.kills import Killed, calls_of, kill_at
from tests.experiments.parsed_flags import run_command

pytestmark = pytest.mark.own_process

TINY = coin_settings.CoinSettings(
    policy="mlp",
    learner="naive",
    num_seeds=2,
    seed=3,
    num_iterations=2,
    batch_size=4,
    episode_length=5,
    discount=0.96,
    hidden_units=4,
    learning_rate=0.01,
    inner_learning_rate=0.02,
    num_outer_steps=2,
    outer_penalty=1.0,
    inner_penalty=0.5,
    num_lookaheads=1,
)


FILES = {
    "coins.csv",
    "config.json",
    "curves.png",
    "episode.png",
    "summary.json",
}


@pytest.fixture(autouse=True)
def _without_xla(monkeypatch) -> None:
    # It would take most of the time.
    build = functools.partial(coin_training.build_trainer, jit_compile=False)
    monkeypatch.setattr(coin_training, "build_trainer", build)


def test_a_run_writes_its_files(tmp_path) -> None:
    out = tmp_path / "out"
    coin_game.run(TINY, OutputFolder(out))
    assert {path.name for path in out.iterdir()} == FILES
    rows = list(csv.DictReader((out / "coins.csv").read_text().splitlines()))
    assert [(row["iteration"], row["run"]) for row in rows] == [
        (iteration, run) for iteration in "012" for run in "12"
    ]
    final = json.loads((out / "summary.json").read_text())["naive"]
    rewards = [
        (float(row["player_0_reward"]) + float(row["player_1_reward"])) / 2
        for row in rows[-2:]
    ]
    np.testing.assert_allclose(
        final["final_mean_reward_per_run"], rewards, rtol=1e-4, atol=1e-7
    )


def test_tables_learn_from_exact_values_and_are_measured_in_play(
    tmp_path,
) -> None:
    rates = {"learning_rate": 12.0, "inner_learning_rate": 25.0}
    settings = TINY._replace(
        policy="tabular",
        learner="lola_dice_1_lookahead",
        num_seeds=1,
        num_iterations=5,
        batch_size=64,
        episode_length=30,
        **rates,
    )
    coin_game.run(settings, OutputFolder(tmp_path / "out"))
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    text = (tmp_path / "out" / "coins.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    shares = [float(row["own_coin_share"]) for row in rows]
    assert shares[-1] > shares[0] + 0.1


@pytest.mark.parametrize("policy", ["mlp", "tabular"])
def test_rates_that_are_not_given_fit_the_policies(policy: str) -> None:
    values = TINY._replace(
        policy=policy, learning_rate=None, inner_learning_rate=0.5
    )
    found = coin_settings.resolve(values)
    expected = {"mlp": 0.01, "tabular": 6.0}[policy]
    assert found == values._replace(learning_rate=expected)


def test_a_killed_run_is_resumed_and_ends_as_if_it_had_not_been(
    tmp_path, monkeypatch
) -> None:
    """While it trains, after a measurement, and while it writes results."""
    monkeypatch.setattr(coin_training, "_NUM_MEASUREMENTS", 2)
    settings = TINY._replace(num_iterations=4, num_seeds=1, episode_length=2)

    def run(name: str, settings: coin_settings.CoinSettings) -> None:
        folder = OutputFolder(tmp_path / name, resume=True)
        coin_game.run(settings, folder)

    run("peaceful", settings)
    for owner, name, call in (
        (dice_tf.callbacks.Checkpoint, "save", 4),
        (OutputFolder, "collect", 1),
    ):
        with monkeypatch.context() as patch:
            kill_at(patch, owner, name, call)
            with pytest.raises(Killed):
                run("killed", settings)
    with pytest.raises(SystemExit, match="`configuration.discount` is 0.96"):
        run("killed", settings._replace(discount=0.5))
    trainings = calls_of(monkeypatch, dice_tf.Trainer, "fit")
    run("killed", settings)
    assert trainings == []
    assert {path.name for path in (tmp_path / "killed").iterdir()} == FILES
    for name in ("coins.csv", "summary.json", "episode.png"):
        found, expected = (
            (tmp_path / kind / name).read_bytes()
            for kind in ("killed", "peaceful")
        )
        assert found == expected


def test_measurements_that_a_full_disk_did_not_take_are_made_again(
    tmp_path, monkeypatch
) -> None:
    """The checkpoint is newer than they are, so that training starts anew."""
    monkeypatch.setattr(coin_training, "_NUM_MEASUREMENTS", 2)
    settings = TINY._replace(num_iterations=4, num_seeds=1, episode_length=2)

    def run(name: str) -> bytes:
        coin_game.run(settings, OutputFolder(tmp_path / name, resume=True))
        return (tmp_path / name / "coins.csv").read_bytes()

    expected = run("peaceful")
    with monkeypatch.context() as patch:
        patch.setattr(partial_results, "publish", _fill_the_disk(1))
        kill_at(patch, OutputFolder, "collect", 1)
        with pytest.raises(Killed):
            run("killed")
    assert run("killed") == expected


def _fill_the_disk(num_files: int) -> Callable:
    """Returns what publishes so many files and fails after them."""
    published = []

    def publish(unfinished: pathlib.Path, path: pathlib.Path) -> None:
        if len(published) == num_files:
            raise OSError(errno.ENOSPC, "No space left on device")
        published.append(path)
        os.replace(unfinished, path)

    return publish


def test_a_run_that_is_asked_to_stop_leaves_a_checkpoint(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(trainings, "stop_requested", lambda: True)
    folder = OutputFolder(tmp_path, checkpoint_every=1e6)
    with pytest.raises(KeyboardInterrupt):
        coin_game.run(TINY, folder)
    assert folder.checkpoint_path("trainer").exists()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("naive", dice_tf.learners.Naive),
        ("lola_dice_1_lookahead", dice_tf.learners.LOLADiCE),
        ("pola", dice_tf.learners.POLA),
    ],
)
def test_learners_and_their_settings(name: str, kind: type) -> None:
    learner = coin_training.build_learner(TINY._replace(learner=name))
    assert isinstance(learner, kind)
    if name == "pola":
        assert learner.outer_learning_rate == 0.01
        assert learner.inner_penalty == 0.5


def test_words_without_a_flag_are_refused() -> None:
    with pytest.raises(SystemExit, match="Flags start with --"):
        coin_game.COMMAND.main(["coin_game", "runs"])


def test_exact_values_without_a_discount_are_refused() -> None:
    with pytest.raises(SystemExit, match="--discount must be below 1"):
        run_command(coin_game.COMMAND, "--policy=tabular", "--discount=1")


def test_rates_of_pola_for_tables_are_asked_for() -> None:
    with pytest.raises(SystemExit, match="give --learning_rate and"):
        run_command(
            coin_game.COMMAND,
            "--policy=tabular",
            "--learner=pola",
            "--learning_rate=1",
        )
