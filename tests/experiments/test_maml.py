"""The command that meta-learns: its parts, and tiny runs."""

import json
import os
import pathlib
import subprocess
import sys
import types

import numpy as np
import pytest

import dice_tf
from experiments import maml
from experiments.meta_learning import maml_runs, meta_training
from experiments.meta_learning.maml_settings import TASKS, MAMLSettings, resolve
from experiments.meta_learning.meta_tasks import (
    Cosines,
    central_differences,
    meta_gradient_cosines,
    random_task,
    tabular_problem,
)
from experiments.meta_learning.meta_training import MetaTraining, meta_train
from experiments.results.outputs import OutputFolder
from experiments.results.partial_results import PartialResults
from tests.experiments.commands import read_curves
from tests.experiments.kills import Killed, kill_at

pytestmark = pytest.mark.own_process

ROOT = pathlib.Path(__file__).resolve().parents[2]


def settings(task: str, **changes) -> MAMLSettings:
    given = types.SimpleNamespace(
        **{
            **dict.fromkeys(MAMLSettings._fields),
            "task": task,
            "estimator": "dice",
            "seed": 3,
            "num_seeds": 2,
            "num_steps": 1,
            "num_iterations": 2,
            "num_tasks": 2,
            "batch_size": 4,
            "episode_length": 3,
            "jit_compile": False,
            **changes,
        }
    )
    return resolve(given)


def test_what_is_not_given_follows_the_task() -> None:
    for task, defaults in TASKS.items():
        found = settings(task, num_tasks=None, num_iterations=7)
        assert found.num_iterations == 7
        for name in ("num_tasks", "inner_learning_rate", "meta_learning_rate"):
            assert getattr(found, name) == defaults[name]


@pytest.fixture(scope="module")
def tiny_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maml")
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "experiments.maml",
            f"--output_dir={folder}",
            "--task=tabular_mdp",
            "--num_seeds=2",
            "--num_iterations=3",
            "--num_tasks=1",
            "--batch_size=4",
            "--episode_length=3",
            "--nojit_compile",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return folder, run


def test_a_tiny_run_writes_all_files(tiny_run) -> None:
    folder, run = tiny_run
    assert set(os.listdir(folder)) == {
        "config.json",
        "flags.txt",
        "curves.csv",
        "curves.png",
        "summary.json",
    }, run.stderr
    config = json.loads((folder / "config.json").read_text())
    assert config["method"] == "maml_dice"
    assert config["flags"]["task"] == "tabular_mdp"
    curves = read_curves(folder / "curves.csv")
    assert set(curves) == {"maml_dice_unadapted", "maml_dice_adapted"}
    assert all(values.shape == (3, 2, 1) for values in curves.values())


def test_a_tiny_run_tells_its_checks(tiny_run) -> None:
    folder, run = tiny_run
    found = json.loads((folder / "summary.json").read_text())
    assert np.shape(found["returns_after_steps"]) == (2, 3)
    assert len(found["checks"]) == 4
    for entry in found["checks"]:
        assert list(entry) == ["name", "measured", "required", "passed"]
        assert entry["name"] in run.stdout
    passed = all(entry["passed"] for entry in found["checks"])
    assert run.returncode == (0 if passed else 1)
    # The exact meta-gradient is right, however little is sampled.
    assert found["checks"][0]["passed"]


def test_an_argument_without_dashes_is_refused() -> None:
    with pytest.raises(SystemExit, match="Flags start with --"):
        maml.COMMAND.main(["maml", "tabular_mdp"])


def test_navigation_runs_with_the_surrogate(tmp_path) -> None:
    training, checks = maml_runs.run(
        settings("point_navigation", estimator="surrogate", num_tasks=1),
        OutputFolder(tmp_path),
    )
    assert training.curves.shape == (2, 2, 2)
    assert training.adapted.shape == (2, 3)
    assert np.all(training.adapted < 0.0)
    assert len(checks) == 1


@pytest.mark.parametrize("seed", [3, 2**128 - 1])
def test_a_run_depends_on_its_own_seed_alone(tmp_path, seed) -> None:
    problem = tabular_problem(dice_tf.objectives.DiCEObjective, 1, 4, 2)

    def train(seed: int, num_seeds: int) -> MetaTraining:
        kept = PartialResults(tmp_path / str(seed), {})
        runs = settings("tabular_mdp", seed=seed, num_seeds=num_seeds)
        return meta_train(problem, dice_tf.learners.MAML(1, 0.5), runs, kept)

    both, second = train(seed, 2), train(seed + 1, 1)
    assert not np.array_equal(both.adapted[0], both.adapted[1])
    np.testing.assert_allclose(second.curves[:, 0], both.curves[:, 1])
    np.testing.assert_allclose(second.adapted[0], both.adapted[1])


def test_killed_runs_are_resumed_and_end_as_if_they_had_not_been(
    tmp_path, monkeypatch
) -> None:
    """In the middle of the first run, and of the second."""
    measured = []

    def cosines(*_) -> Cosines:
        measured.append(None)
        rng = np.random.default_rng(len(measured))
        sampled = {"dice": rng.normal(size=4), "surrogate": rng.normal(size=4)}
        return Cosines(sampled, 1e-9)

    monkeypatch.setattr(maml_runs, "meta_gradient_cosines", cosines)
    tiny = settings("tabular_mdp", num_tasks=1)

    def run(folder: pathlib.Path, tiny: MAMLSettings) -> None:
        maml.run(tiny, OutputFolder(folder, resume=True))

    run(tmp_path / "peaceful", tiny)
    measured.clear()
    folder = tmp_path / "killed"
    # One for the cosines; two for the updates of a run, one for its end.
    for saves in (3, 4):
        with monkeypatch.context() as patch:
            kill_at(patch, PartialResults, "save", saves)
            with pytest.raises(Killed):
                run(folder, tiny)
    assert os.listdir(folder) == [".checkpoints"]
    with pytest.raises(
        SystemExit, match="`configuration.num_steps` is 1 there"
    ):
        run(folder, tiny._replace(num_steps=2))
    run(folder, tiny)
    assert len(measured) == 1
    assert set(os.listdir(folder)) == set(os.listdir(tmp_path / "peaceful"))
    for name in ("curves.csv", "summary.json"):
        found, expected = (
            (tmp_path / kind / name).read_text()
            for kind in ("killed", "peaceful")
        )
        if name == "summary.json":
            found, expected = json.loads(found), json.loads(expected)
            assert found.pop("seconds") > 0 and expected.pop("seconds") > 0
        assert found == expected


def test_a_run_that_is_asked_to_stop_keeps_all_that_it_has_done(
    tmp_path, monkeypatch
) -> None:
    tiny = settings("point_navigation", num_tasks=1, num_seeds=1)
    folder = OutputFolder(tmp_path, checkpoint_every=1e6)
    asked = iter([False, False, True, True])
    with monkeypatch.context() as patch:
        patch.setattr(meta_training, "stop_requested", lambda: next(asked))
        with pytest.raises(KeyboardInterrupt):
            maml_runs.run(tiny, folder)
    found = np.load(folder.checkpoint_path("runs.npz"))
    assert found["curve"].shape == (2, 2)


def test_one_run_has_no_standard_error() -> None:
    (check,) = maml_runs.check_adaptation(np.array([[0.0, 1.0]]))
    assert not check.passed


def test_a_gain_is_measured_in_standard_errors_over_the_runs() -> None:
    adapted = np.array([[0.0, 1.0, 9.0], [1.0, 4.0, 9.0], [0.5, 2.5, 9.0]])
    (check,) = maml_runs.check_adaptation(adapted)
    assert check.measured == pytest.approx(2.0 / (1.0 / np.sqrt(3.0)))
    assert check.passed
    (check,) = maml_runs.check_adaptation(adapted[:, ::-1][:, 1:])
    assert not check.passed


def test_cosines_are_checked_for_level_and_difference() -> None:
    rng = np.random.default_rng(0)
    dice = 0.99 + 0.001 * rng.normal(size=20)
    worse = dice - 0.05 + 0.001 * rng.normal(size=20)
    for surrogate, error, passed in [
        (worse, 1e-9, [True, True, True]),
        (dice[::-1], 1e-3, [False, True, False]),
    ]:
        found = maml_runs.check_cosines(
            Cosines({"dice": dice, "surrogate": surrogate}, error)
        )
        assert [check.passed for check in found] == passed
    found = maml_runs.check_cosines(
        Cosines({"dice": worse, "surrogate": dice}, 1e-9)
    )
    assert [check.passed for check in found] == [True, False, False]


def test_exact_meta_gradients_are_central_differences() -> None:
    kinds = {
        "dice": dice_tf.objectives.DiCEObjective,
        "surrogate": dice_tf.objectives.SurrogateObjective,
    }
    found = meta_gradient_cosines(
        {name: tabular_problem(kind, 1, 4, 2) for name, kind in kinds.items()},
        dice_tf.learners.MAML(1, 0.5),
        [1, 2],
    )
    assert found.difference_error < 1e-7
    for cosines in found.sampled.values():
        assert np.abs(cosines).max() <= 1.0
    assert len(found.sampled["dice"]) == 2


def test_central_differences_of_a_quadratic_are_exact() -> None:
    theta = np.array([[0.3, -0.2]])
    found = central_differences(lambda x: float(np.sum(x**2)), theta)
    np.testing.assert_allclose(found, 2.0 * theta, atol=1e-9)


def test_tasks_follow_their_seed() -> None:
    first, same, other = (random_task(i, 5) for i in (1, 1, 2))
    np.testing.assert_array_equal(first.rewards, same.rewards)
    assert not np.array_equal(first.transitions, other.transitions)
    assert first.episode_length == 5 and first.dtype.name == "float64"
