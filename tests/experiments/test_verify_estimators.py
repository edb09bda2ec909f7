"""The command that verifies the estimators: its parts, and a tiny run."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from experiments import verify_estimators
from experiments.estimators.derivative_estimates import (
    DerivativeEstimates,
    ExactDerivatives,
    correlation,
    dice,
    dice_with_values,
    loaded_dice,
)
from experiments.estimators.prisoners_dilemma import (
    check_baseline_errors,
    prisoners_dilemma,
)
from experiments.estimators.random_processes import (
    ESTIMATORS,
    check_orders,
    random_mdp,
    random_process,
)
from experiments.results import check_list as checks
from tests import oracles
from tests.experiments.parsed_flags import run_command

ROOT = pathlib.Path(__file__).resolve().parents[2]
PASSED = checks.at_least("a", 0.95, 0.9)
FAILED = checks.at_least("b", 0.85, 0.9)


def _process():
    return random_process([1, 2], 6)


def _theta(problem) -> np.ndarray:
    return np.random.default_rng(3).normal(size=problem.num_logits)


# The command.


@pytest.fixture(scope="module")
def quick_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verification")
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "experiments.verify_estimators",
            f"--output_dir={folder}",
            "--quick",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return folder, run


def test_a_quick_run_writes_all_files(quick_run) -> None:
    folder, run = quick_run
    assert set(os.listdir(folder)) == {
        "baselines_and_batch_sizes.png",
        "config.json",
        "flags.txt",
        "random_mdps.png",
        "summary.json",
        "true_and_estimated.png",
    }, run.stderr
    config = json.loads((folder / "config.json").read_text())
    assert config["flags"]["quick"] is True
    assert config["flags"]["seed"] == 0


def test_a_quick_run_fails_its_checks_and_says_which(quick_run) -> None:
    folder, run = quick_run
    entries = json.loads((folder / "summary.json").read_text())["checks"]
    assert len(entries) == 13
    for entry in entries:
        assert list(entry) == ["name", "measured", "required", "passed"]
        assert entry["name"] in run.stdout
    assert not all(entry["passed"] for entry in entries)
    assert run.returncode == 1
    assert "checks failed" in run.stdout


@pytest.mark.parametrize(
    ("found", "status"), [([PASSED], 0), ([PASSED, FAILED], 1)]
)
def test_the_exit_status_tells_failed_checks(
    tmp_path, capsys, found, status
) -> None:
    command = verify_estimators.COMMAND._replace(run=lambda *_: found)
    try:
        run_command(command, f"--output_dir={tmp_path}", "--quick")
    except SystemExit as error:
        assert error.code == status
    else:
        assert status == 0
    assert ("FAILED" in capsys.readouterr().out) == bool(status)


def test_an_argument_without_dashes_is_refused() -> None:
    with pytest.raises(SystemExit, match="Flags start with --"):
        verify_estimators.COMMAND.main(["verify_estimators", "quick"])


# The checks.


@pytest.mark.parametrize(
    ("check", "passes"),
    [
        (checks.at_least("x", 0.5, 0.5), True),
        (checks.at_least("x", 0.4, 0.5), False),
        (checks.at_least("x", float("nan"), 0.5), False),
        (checks.above("x", 0.5, 0.5), False),
        (checks.above("x", 0.6, 0.5), True),
        (checks.at_most("x", 0.5, 0.5), True),
        (checks.at_most("x", 0.6, 0.5), False),
        (checks.at_most("x", float("nan"), 0.5), False),
        # A mean of .4 with a standard error of .1, and of .04.
        (checks.agrees_with_at_least("x", [0.3, 0.5], 0.59), True),
        (checks.agrees_with_at_least("x", [0.3, 0.5], 0.61), False),
        (checks.agrees_with_at_least("x", [0.36, 0.44], 0.47), True),
        (checks.agrees_with_at_least("x", [0.36, 0.44], 0.49), False),
        (checks.agrees_with_at_least("x", [0.3, float("nan")], 0.1), False),
    ],
)
def test_a_check_compares_with_its_bound(check, passes) -> None:
    assert check.passed is passes


def test_drops_are_measured_in_standard_errors_of_paired_differences() -> None:
    generator = np.random.default_rng(0)
    shared, noise = generator.normal(size=[2, 200])
    found = check_baseline_errors(
        {
            "exact": 0.99 + shared,
            "worse": 0.98 + shared + 0.01 * noise,
            "same": 0.98 + shared + 0.01 * noise,
        }
    )
    drop = 0.01 - 0.01 * noise.mean()
    error = 0.01 * noise.std(ddof=1) / np.sqrt(200)
    np.testing.assert_allclose(found[1].measured, drop / error, rtol=1e-6)
    assert found[1].passed
    assert not found[2].passed


def test_orders_are_checked_at_the_largest_batch() -> None:
    at_last = {
        name: np.zeros([3, 2, 4]) + [[-1.0], [1.0]] for name in ESTIMATORS
    }
    at_last["DiCE, no baseline"][1] = [[1.0] * 4, [-0.2] * 4]
    assert all(check.passed for check in check_orders(at_last))
    at_first = {name: found[:, ::-1] for name, found in at_last.items()}
    assert not any(check.passed for check in check_orders(at_first))


# Processes, exact and estimated derivatives.


def test_a_random_process_has_a_large_offset_and_some_closed_ways() -> None:
    games = [
        random_mdp(np.random.default_rng(seed), 5, 4, 7) for seed in range(40)
    ]
    moves = np.stack([game.transitions for game in games])
    rewards = np.stack([game.rewards for game in games])
    assert moves.shape == (40, 5, 4, 5)
    np.testing.assert_allclose(moves.sum(axis=-1), 1.0, rtol=1e-12)
    # Above a uniform threshold is half of them, and one in six rows of five
    # has none, which gets one.
    assert 0.45 < np.mean(moves == 0) < 0.5
    np.testing.assert_allclose(rewards, rewards[..., :1].repeat(4, -1))
    assert abs(rewards.mean() - 50.0) < 4.0
    assert games[0].episode_length == 7


def test_the_same_generator_state_gives_the_same_process() -> None:
    first, second, other = (
        random_mdp(np.random.default_rng(seed), 5, 4, 7) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.transitions, second.transitions)
    assert not np.array_equal(first.rewards, other.rewards)


@pytest.mark.parametrize("build", [lambda: prisoners_dilemma(6), _process])
def test_exact_derivatives_are_finite_differences(build) -> None:
    problem = build()
    theta = _theta(problem)
    exact = ExactDerivatives(problem)
    np.testing.assert_allclose(
        exact.gradient(theta),
        oracles.gradient(lambda x: problem.value(x).numpy(), theta),
        atol=1e-6,
    )
    directions = np.random.default_rng(4).normal(size=[2, len(theta)])
    step = 1e-5 * directions
    first, second, third = exact.along(theta, directions)
    ahead, behind = (exact.gradient(theta + x) for x in (step[0], -step[0]))
    np.testing.assert_allclose(second, (ahead - behind) / 2e-5, atol=1e-5)
    ahead, behind = (
        exact.along(theta + x, directions[:1])[1] for x in (step[1], -step[1])
    )
    np.testing.assert_allclose(third, (ahead - behind) / 2e-5, atol=1e-5)
    np.testing.assert_allclose(exact.hessian(theta) @ directions[0], second)
    np.testing.assert_array_equal(first, exact.gradient(theta))


@pytest.mark.parametrize("build", [lambda: prisoners_dilemma(6), _process])
def test_state_values_are_what_is_left_of_the_episode(build) -> None:
    problem = build()
    episodes = problem.sample(_theta(problem), 4000, 0)
    powers = problem.discount ** np.arange(6)[:, np.newaxis]
    rewards, values = episodes.rewards.numpy(), episodes.values.numpy()
    for start in (0, 2, 5):
        returns = np.sum(rewards[start:] * powers[: 6 - start], axis=0)
        errors = returns - values[start]
        assert abs(errors.mean()) <= 4 * errors.std() / np.sqrt(4000)
    if problem.num_logits == 10:
        # The first state is certain.
        value = float(problem.value(_theta(problem)))
        np.testing.assert_allclose(values[0], value, rtol=1e-5)


def test_other_seeds_play_other_episodes() -> None:
    problem = prisoners_dilemma(6)
    first, same, other = (
        problem.sample(_theta(problem), 50, seed).rewards.numpy()
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    "estimator",
    [dice("leave_one_out"), dice_with_values(), loaded_dice(1.0, 0.0)],
)
def test_estimates_approach_the_exact_derivatives(estimator) -> None:
    problem = prisoners_dilemma(6)
    theta = _theta(problem)
    episodes = problem.sample(theta, 20000, 0)
    estimates = DerivativeEstimates(problem, estimator, jit_compile=False)
    exact = ExactDerivatives(problem)
    gradient = estimates.gradient(theta, episodes)
    assert correlation(gradient, exact.gradient(theta)) > 0.995
    hessian = estimates.hessian(theta, episodes)
    assert correlation(hessian, exact.hessian(theta)) > 0.98
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-4)


def test_a_constant_correlates_with_nothing() -> None:
    assert np.isnan(correlation(np.zeros(3), np.arange(3)))
