"""Runs that stop being finite: failed, named, and in nobody else's way."""

import json
import math
import os

import keras
import numpy as np
import pytest
import tensorflow as tf
from absl import flags

import dice_tf
from experiments import ipd
from experiments.building import builders, trainings
from experiments.building.trainings import Training
from experiments.coins import coin_training
from experiments.comparisons import fact_measures, figure, references
from experiments.matches import match_play
from experiments.matches.entrants import Entrant
from experiments.results import curves as summary
from experiments.results import pictures, result_files
from tests.experiments.commands import read_curves
from tests.experiments.parsed_flags import run_command, settings_of

METHOD = "lola_dice_1_lookahead_batch_4"
TINY = (
    "--episode_length=5",
    "--batch_size=4",
    "--num_iterations=3",
    "--num_seeds=4",
    "--nojit_compile",
)


def _run(folder, *arguments: str) -> dict:
    run_command(ipd.COMMAND, *TINY, f"--output_dir={folder}", *arguments)
    return json.loads((folder / "summary.json").read_text())[METHOD]


def _poison(monkeypatch, *runs: int) -> None:
    """Makes parameters of a player NaN at the start, the seats in turn."""
    build = builders.build_trainer

    def build_poisoned(settings):
        trainer = build(settings)
        for number, run in enumerate(runs):
            player_id = number % 2
            (params,) = trainer.players[player_id].params
            values = params.numpy()
            values[run] = np.nan
            params.assign(values)
        return trainer

    monkeypatch.setattr(trainings, "build_trainer", build_poisoned)


def test_the_others_are_written_and_the_failed_are_named(
    monkeypatch, tmp_path, capsys
) -> None:
    _poison(monkeypatch, 0, 2)
    entry = _run(tmp_path)
    assert entry["failed_runs"] == [1, 3]
    assert entry["final_joint_return_mean"] is None
    assert entry["final_joint_return_std"] is None
    are_null = [x is None for x in entry["final_joint_return_per_run"]]
    assert are_null == [True, False, True, False]
    curves = read_curves(tmp_path / "curves.csv")[METHOD]
    assert np.all(np.isnan(curves[:, [0, 2]]))
    assert np.all(np.isfinite(curves[:, [1, 3]]))
    for picture in ("learning_curves.png", "policies.png"):
        assert (tmp_path / picture).stat().st_size > 1000
    for player_id in range(2):
        folder = tmp_path / "saved_model" / f"player_{player_id}"
        policy = tf.saved_model.load(folder)
        found = policy.probabilities(observation=tf.eye(5))
        assert np.all(np.isfinite(found["probabilities"]))
    said = capsys.readouterr().out
    assert "2 of 4 runs failed" in said and "finite: 1, 3." in said
    assert "joint return: nan - diverged runs: 2" in said


def test_where_all_fail_curves_and_summary_are_written(
    monkeypatch, tmp_path, capsys
) -> None:
    _poison(monkeypatch, 0, 1, 2, 3)
    entry = _run(tmp_path)
    assert entry["failed_runs"] == [1, 2, 3, 4]
    assert "saved_model" not in os.listdir(tmp_path)
    assert read_curves(tmp_path / "curves.csv")[METHOD].shape == (3, 4, 2)
    assert "4 of 4 runs failed" in capsys.readouterr().out


def test_a_policy_that_is_not_finite_costs_nothing_but_its_export(
    monkeypatch, tmp_path, capsys
) -> None:
    _poison(monkeypatch, 0)
    monkeypatch.setattr(result_files, "median_run", lambda curves: 0)
    entry = _run(tmp_path)
    assert entry["failed_runs"] == [1]
    assert read_curves(tmp_path / "curves.csv")[METHOD].shape == (3, 4, 2)
    assert "saved_model" not in os.listdir(tmp_path)
    assert "Warning: saved_model was left out" in capsys.readouterr().err


def _curves(*joint: float) -> np.ndarray:
    """Returns curves of runs that stay where they are, two players."""
    return np.broadcast_to(
        np.array(joint, np.float32)[:, np.newaxis], [12, len(joint), 2]
    ).copy()


def test_a_failure_in_the_last_update_counts() -> None:
    training = Training(None, None, _curves(-1.0, -1.1, -2.0), 1.0, 0.1, (1,))
    entry = summary.summarise(training.judged, 1.0, 0.1, True)
    assert entry["failed_runs"] == [2]
    assert math.isnan(entry["final_joint_return_mean"])
    # What was measured stays what it was.
    assert np.all(np.isfinite(training.curves))
    without = training._replace(diverged=())
    assert without.judged.tolist() == training.curves.tolist()


def test_without_failures_nobody_is_named() -> None:
    assert summary.summarise(_curves(-1.0), 1.0, 0.1, True)["failed_runs"] == []


@pytest.mark.parametrize(
    ("finals", "run"),
    [
        ([np.nan, np.nan, np.nan, -1.5, -1.2], 4),
        ([np.nan, -1.0], 1),
        ([np.nan, np.nan], None),
    ],
)
def test_what_is_exported_is_finite(finals, run) -> None:
    assert summary.median_run(_curves(*finals)) == run


def test_failed_runs_are_no_successes(capsys) -> None:
    curves = _curves(-1.0, np.nan, -1.0, -1.9)
    entry = summary.summarise(curves, 1.0, 0.1, True)
    result_files.print_report({"lola": entry})
    said = capsys.readouterr().out
    assert "2 of 4" in said and "nan" in said
    assert "lola: 1 of 4 runs failed" in said and "finite: 2." in said


@pytest.mark.parametrize(
    "name", ["naive", "lola_surrogate", "lola_dice_1_lookahead"]
)
def test_no_target_is_met_with_a_failed_run(name) -> None:
    """Those from below, as of naive learners, are not met by failing."""
    good = -2.0 if name in ("naive", "lola_surrogate") else -1.0
    for curves, is_met in (
        (_curves(*[good] * 20), True),
        (_curves(*[good] * 19, np.nan), False),
    ):
        notes, _ = figure.target_verdicts({name: curves})
        assert notes[name]["target"]["passed"] is is_met


def test_a_failed_run_agrees_with_nothing_published() -> None:
    published = references.Reference(-1.5, 0.5, 200)
    assert references.agreement(_curves(-1.5, -1.5), published).agrees
    assert not references.agreement(_curves(-1.5, np.nan), published).agrees


def test_that_runs_fail_does_not_show_that_they_find_nothing() -> None:
    measured = np.array([0.3, 0.05, 0.4])
    assert fact_measures.share_of_runs(measured <= 0.1, measured) == 1 / 3
    measured[2] = np.nan
    assert np.isnan(fact_measures.share_of_runs(measured <= 0.1, measured))


@pytest.mark.parametrize("finals", [[-1.0, np.nan, -1.5], [np.nan, np.nan]])
def test_curves_of_failed_runs_are_drawn(tmp_path, finals) -> None:
    path = tmp_path / "curves.png"
    curves = {"naive": _curves(*finals), "lola": _curves(-1.0, -1.2)}
    pictures.plot_curves(path, curves, "Game", with_published=False)
    assert path.stat().st_size > 1000


@pytest.mark.parametrize("flag", ["learning_rate", "inner_learning_rate"])
def test_rates_that_overflow_are_refused(flag) -> None:
    for text in ("1e308", "0.1,1e39"):
        with pytest.raises(
            flags.IllegalFlagValueError,
            match=r"not a number in the range \[0.0, 3.4e\+38\]",
        ):
            settings_of(f"--{flag}={text}")
    assert settings_of(f"--{flag}=1e38")


def test_payoffs_that_overflow_are_refused() -> None:
    payoffs = "[[[1,2],[3,1e39]],[[1,2],[3,4]]]"
    with pytest.raises(
        ValueError, match="--payoffs must be finite, in float32"
    ):
        settings_of(f"--payoffs={payoffs}")


def test_a_saved_model_of_nans_is_refused(monkeypatch) -> None:
    game = dice_tf.games.iterated_prisoners_dilemma()
    policy = dice_tf.policies.tit_for_tat(game, 0)
    policy.set_weights([w * np.nan for w in policy.get_weights()])
    monkeypatch.setattr(
        dice_tf.policies, "from_saved_model", lambda source: policy
    )
    with pytest.raises(ValueError, match="SavedModel 'old' must give finite"):
        match_play.build_entrant(Entrant("old", ("old", "old")), game)


def test_players_of_nans_leave_no_share_of_own_coins() -> None:
    game = dice_tf.games.CoinGame(4)
    policies = [
        keras.Sequential(
            [
                keras.Input((4, 3, 3)),
                keras.layers.Flatten(),
                keras.layers.Dense(4),
            ]
        )
        for _ in range(2)
    ]
    objective = dice_tf.objectives.DiCEObjective(game, policies, 0.96, 32)
    play = coin_training.measurement(objective)
    seed = tf.constant([0, 1])
    measured = play(objective.initial_params(), seed)
    assert np.isfinite(measured.share)
    assert np.all(np.isfinite(measured.rewards))
    policies[0].set_weights([w * np.nan for w in policies[0].get_weights()])
    measured = play(objective.initial_params(), seed)
    assert np.isnan(measured.share) and np.all(np.isnan(measured.shares))
    assert np.all(np.isnan(measured.rewards))
