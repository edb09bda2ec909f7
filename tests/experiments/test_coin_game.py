"""The Coin Game experiment, at a tiny size."""

import csv
import errno
import functools
import json
import os
import pathlib
import re
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
from tests.experiments.parsed_flags import parsed_flags, run_command

pytestmark = pytest.mark.own_process

UNSET = dict.fromkeys(coin_settings.CoinSettings._fields)
TINY = coin_settings.CoinSettings(
    **UNSET
    | {
        "policy": "mlp",
        "learner": "naive",
        "num_seeds": 2,
        "seed": 3,
        "num_iterations": 2,
        "batch_size": 4,
        "episode_length": 5,
        "discount": 0.96,
        "hidden_units": 4,
        "learning_rate": 0.01,
    }
)
POLA = TINY._replace(
    learner="pola",
    inner_learning_rate=0.02,
    num_outer_steps=2,
    outer_penalty=1.0,
    inner_penalty=0.5,
    num_lookaheads=1,
)
ALIGNED = TINY._replace(
    learner="advantage_alignment",
    critic_learning_rate=0.02,
    entropy_coefficient=0.1,
    max_gradient_norm=1.0,
    tau=0.9,
    weight=0.5,
    past_selves=0,
)

FILES = {
    "coins.csv",
    "config.json",
    "cross_play.csv",
    "cross_play.png",
    "curves.png",
    "episode.gif",
    "episode.png",
    "saved_model",
    "summary.json",
}


@pytest.fixture(autouse=True)
def _without_xla(monkeypatch) -> None:
    # It would take most of the time.
    build = functools.partial(coin_training.build_trainer, jit_compile=False)
    monkeypatch.setattr(coin_training, "build_trainer", build)


@pytest.mark.parametrize(
    "settings",
    [
        TINY,
        ALIGNED,
        ALIGNED._replace(learner="loqa"),
        ALIGNED._replace(policy="min_gru", num_seeds=1),
    ],
    ids=lambda settings: f"{settings.policy}-{settings.learner}",
)
def test_a_run_writes_its_files(
    tmp_path, settings: coin_settings.CoinSettings
) -> None:
    out = tmp_path / "out"
    coin_game.run(settings, OutputFolder(out))
    assert {path.name for path in out.iterdir()} == FILES
    rows = list(csv.DictReader((out / "coins.csv").read_text().splitlines()))
    runs = [str(run) for run in range(1, settings.num_seeds + 1)]
    assert [(row["iteration"], row["run"]) for row in rows] == [
        (iteration, run) for iteration in "012" for run in runs
    ]
    summary = json.loads((out / "summary.json").read_text())
    (final,) = summary.values()
    assert list(summary) == [settings.learner]
    last = rows[-settings.num_seeds :]
    rewards = [
        (float(row["player_0_reward"]) + float(row["player_1_reward"])) / 2
        for row in last
    ]
    for name, expected in (
        ("final_mean_reward_per_run", rewards),
        (
            "final_own_coin_share_per_run",
            [float(row["own_coin_share"]) for row in last],
        ),
        (
            "final_pick_ups_per_step_per_run",
            [float(row["pick_ups_per_step"]) for row in last],
        ),
    ):
        np.testing.assert_allclose(
            final[name], expected, rtol=1e-4, atol=1e-7, equal_nan=True
        )
    _check_cross_play(out / "cross_play.csv", final, settings.num_seeds)
    seats = ["player_0"] if settings.is_stepwise else ["player_0", "player_1"]
    for run in runs:
        folder = out / "saved_model" / f"run_{run}"
        assert sorted(path.name for path in folder.iterdir()) == seats


def _check_cross_play(
    path: pathlib.Path, final: dict[str, float], num_runs: int
) -> None:
    """Compares the means of the summary with the pairs in the file."""
    rows = list(csv.DictReader(path.read_text().splitlines()))
    runs = [f"run_{run}" for run in range(1, num_runs + 1)]
    assert [(row["row"], row["column"]) for row in rows] == [
        (run, column) for run in runs for column in (*runs, *coin_settings.BOTS)
    ]

    def mean(*columns: str) -> float:
        return np.mean(
            [
                float(row["reward"])
                for row in rows
                if row["column"] in columns and row["row"] != row["column"]
            ]
        )

    expected = {f"against_{name}": mean(name) for name in coin_settings.BOTS}
    for name, reward in expected.items():
        assert final[name] == pytest.approx(reward, abs=1e-5)
    if num_runs == 1:
        assert final["between_runs"] is None
    else:
        assert final["between_runs"] == pytest.approx(mean(*runs), abs=1e-5)


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


@pytest.mark.parametrize(
    ("policy", "learner", "expected"),
    [
        ("mlp", "naive", {"learning_rate": 0.01, "num_iterations": 200}),
        ("mlp", "pola", {"inner_learning_rate": 0.02, "num_lookaheads": 2}),
        ("tabular", "naive", {"learning_rate": 6.0, "batch_size": 64}),
        (
            "tabular",
            "lola_dice_1_lookahead",
            {"inner_learning_rate": 25.0, "hidden_units": None},
        ),
        ("mlp", "loqa", {"weight": 1.0, "past_selves_share": 1.0}),
        (
            "mlp",
            "advantage_alignment",
            {"final_learning_rate": None, "num_iterations": 200},
        ),
        (
            "gru",
            "advantage_alignment",
            {"weight": 3.0, "final_learning_rate": 0.0, "num_iterations": 120},
        ),
        (
            "gru",
            "actor_critic",
            {"weight": None, "batch_size": 512, "final_learning_rate": 0.0},
        ),
    ],
)
def test_flags_that_are_not_given_fit_policies_and_learners(
    policy: str, learner: str, expected: dict
) -> None:
    arguments = f"--policy={policy}", f"--learner={learner}"
    with parsed_flags(*arguments, command=coin_game.COMMAND) as values:
        settings = coin_game.COMMAND.resolve(values)
    found = settings._asdict()
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--num_outer_steps=3"],
            "--num_outer_steps has no use with --policy=mlp --learner=naive. "
            "Received: --num_outer_steps=3.",
        ),
        (["--inner_learning_rate=1"], "--inner_learning_rate has no use"),
        (["--learner=actor_critic", "--weight=1"], "--weight has no use"),
        (["--learner=loqa", "--inner_penalty=1"], "--inner_penalty has no"),
        (
            ["--policy=tabular", "--hidden_units=8"],
            "--hidden_units has no use with --policy=tabular",
        ),
        (
            ["--learner=loqa", "--past_selves=0", "--past_selves_share=0.3"],
            "--past_selves_share has no use with --past_selves=0",
        ),
        (["--past_selves=3"], "--past_selves has no use with --policy=mlp"),
        (["--final_learning_rate=0"], "--final_learning_rate has no use with"),
        (
            ["--policy=gru"],
            "--policy=gru is for --learner=actor_critic, advantage_alignment "
            "or loqa. Received: --learner=naive.",
        ),
        (
            ["--policy=tabular", "--learner=loqa"],
            "--policy=tabular is for --learner=naive, lola_dice_1_lookahead or "
            "pola.",
        ),
    ],
)
def test_flags_without_a_use_are_refused(
    arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit, match=re.escape(message)):
        run_command(coin_game.COMMAND, *arguments)


def test_seats_share_a_network_that_sees_the_memory_if_it_has_none() -> None:
    for policy, memory in (("mlp", True), ("gru", False), ("min_gru", False)):
        settings = ALIGNED._replace(policy=policy, learner="loqa")
        objective = coin_training.stepwise_objective(settings)
        assert objective.policies[0] is objective.policies[1]
        networks = [critic.network for critic in objective.critics]
        assert networks[0] is networks[1]
        assert objective.has_memory is not memory
        shape = objective.game.observation_shapes[0]
        assert shape == (6 if memory else 4, 3, 3)
        assert objective.critic_target_momentum == 0.9
        # A value for each action.
        assert networks[0].outputs[0].shape[-1] == 4


@pytest.mark.parametrize(
    ("final_learning_rate", "expected"),
    [(None, [True, True]), (0.0, [True, False]), (0.01, [True, True])],
)
def test_the_rate_of_policies_falls_to_the_last_one(
    final_learning_rate: float | None, expected: list[bool]
) -> None:
    settings = ALIGNED._replace(
        num_seeds=1, final_learning_rate=final_learning_rate
    )
    trainer = coin_training.build_trainer(settings)
    moves = []
    for epoch in range(settings.num_iterations):
        trainer.load_run(0)
        weights = trainer.objective.policies[0].get_weights()
        trainer.fit(epochs=epoch + 1, initial_epoch=epoch, verbose=0)
        trainer.load_run(0)
        after = trainer.objective.policies[0].get_weights()
        moves.append(not all(map(np.array_equal, weights, after)))
    assert moves == expected


def test_past_selves_take_part_if_asked_for() -> None:
    learner = coin_training.build_learner(
        ALIGNED._replace(past_selves=7, past_selves_share=0.3), 1
    )
    assert isinstance(learner, dice_tf.partners.AgainstPartners)
    assert isinstance(learner.learner, dice_tf.learners.AdvantageAlignment)
    assert learner.probabilities == (0.3,)
    assert learner.sources[0].seats == (0,)
    assert learner.sources[0].capacity == 7
    assert learner.sources[0].push_every == coin_settings.PUSH_EVERY


@pytest.mark.parametrize(
    "settings",
    [
        TINY,
        ALIGNED._replace(past_selves=3, past_selves_share=0.5),
    ],
    ids=lambda settings: settings.learner,
)
def test_a_killed_run_is_resumed_and_ends_as_if_it_had_not_been(
    tmp_path, monkeypatch, settings: coin_settings.CoinSettings
) -> None:
    """While it trains, after a measurement, and while it writes results."""
    monkeypatch.setattr(coin_training, "_NUM_MEASUREMENTS", 2)
    settings = settings._replace(num_iterations=4, episode_length=2)

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
    for name in FILES - {"config.json", "saved_model"}:
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
    ("settings", "kind", "expected"),
    [
        (TINY, "Naive", {}),
        (
            POLA,
            "POLA",
            {"outer_learning_rate": 0.01, "inner_penalty": 0.5},
        ),
        (POLA._replace(learner="lola_dice_1_lookahead"), "LOLADiCE", {}),
        (
            ALIGNED,
            "AdvantageAlignment",
            {"weight": 0.5, "past": "averaged"},
        ),
        (ALIGNED._replace(learner="loqa"), "LOQA", {"weight": 0.5}),
        (ALIGNED._replace(learner="actor_critic"), "ActorCritic", {}),
    ],
)
def test_learners_and_their_settings(
    settings: coin_settings.CoinSettings, kind: str, expected: dict
) -> None:
    learner = coin_training.build_learner(settings, 0)
    assert type(learner) is getattr(dice_tf.learners, kind)
    assert {name: getattr(learner, name) for name in expected} == expected


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
