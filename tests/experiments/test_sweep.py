"""Sweeps: spaces, and trials that outlive whoever started them."""

import csv
import json
import pathlib
import subprocess
import sys

import pytest
from absl import flags

from experiments import sweep as program
from experiments.sweeps import search_space
from experiments.sweeps.search_space import Range
from tests.experiments.commands import ROOT, shell
from tests.experiments.trial_stub import RECORD, SPACE

STUB = "tests.experiments.trial_stub"


def _space(path: pathlib.Path, content) -> str:
    file = path / "space.json"
    file.write_text(
        content if isinstance(content, str) else json.dumps(content)
    )
    return str(file)


def test_a_space_holds_ranges_and_choices(tmp_path) -> None:
    path = _space(
        tmp_path,
        {
            "a": {"low": 0.1, "high": 10, "log": True},
            "b": {"low": 1, "high": 9, "step": 2},
            "c": {"choices": ["x", 2]},
        },
    )
    found = search_space.read_space(path)
    assert found == {
        "a": Range(low=0.1, high=10, log=True),
        "b": Range(low=1, high=9, step=2),
        "c": Range(choices=("x", 2)),
    }
    assert [entry.is_whole for entry in found.values()] == [False, True, False]
    assert found["b"].examples() == (1, 9)
    assert found["c"].examples() == ("x", 2)
    params = {"a": 0.1, "c": "x"}
    assert search_space.arguments_of(params) == ["--a=0.1", "--c=x"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("[" * 10**5, "cannot be read as JSON"),
        ([], "must hold an object with a range for each flag. Received: "),
        ({}, "must hold an object"),
        *(
            ({"a": entry}, "The range of --a must be like .*Received: ")
            for entry in (
                3,
                {},
                {"choices": []},
                {"choices": [[1]]},
                {"choices": ["a"], "log": True},
                {"low": 1},
                {"low": 2, "high": 1},
                {"low": 0, "high": 1, "log": True},
                {"low": 1, "high": 2, "log": 1},
                {"low": 1, "high": 2, "step": 0},
                {"low": 1, "high": 2, "step": 0.5},
                {"low": 1, "high": 2, "step": 1, "log": True},
                {"low": True, "high": 2},
                {"low": "1", "high": 2},
                {"low": 1, "high": 2, "stop": 3},
                {"low": 1.0, "high": float("inf")},
            )
        ),
    ],
)
def test_what_is_not_a_space_is_refused(tmp_path, content, message) -> None:
    with pytest.raises(ValueError, match=message):
        search_space.read_space(_space(tmp_path, content))
    with pytest.raises(ValueError, match="cannot be read"):
        search_space.read_space(str(tmp_path / "absent"))


def _check(experiment: str, *arguments: str, **space: Range):
    known = set(flags.FLAGS)
    try:
        return search_space.check_sweep(
            "experiments", experiment, arguments, space
        )
    finally:
        assert set(flags.FLAGS) == known


RATE = Range(low=0.1, high=2.0)


def test_a_sweep_is_checked_with_all_ends_and_choices() -> None:
    assert _check("ipd", "--num_seeds=2", learning_rate=RATE) == ()
    found = _check("ipd", "--log_to=mlflow", "--seed=1", learning_rate=RATE)
    assert found == ("mlflow",)
    _check("compare_learners", "--learners=lola", learning_rate=RATE)


@pytest.mark.parametrize(
    ("experiment", "arguments", "space", "message"),
    [
        (
            "ipd",
            (),
            {"lerning_rate": RATE},
            "names a flag that ipd does not have: --lerning_rate. Did you mean "
            "--learning_rate",
        ),
        ("ipd", (), {"qqq": RATE}, "does not have: --qqq.$"),
        ("ipd", (), {"output_dir": RATE}, "--output_dir is set by the sweep"),
        ("ipd", ("--resume",), {"tau": RATE}, "--resume is set by the sweep"),
        (
            "ipd",
            ("x",),
            {"learning_rate": RATE},
            "start with --. Received: 'x'",
        ),
        (
            "ipd",
            ("--nix=1",),
            {"tau": RATE},
            "ipd refuses a trial: Unknown com",
        ),
        (
            "ipd",
            (),
            {"batch_size": Range(low=0, high=9)},
            "ipd refuses a trial",
        ),
        ("ipd", (), {"tau": Range(low=0.5, high=1.5)}, "ipd refuses a trial"),
        (
            "ipd",
            (),
            {"optimizer": Range(choices=("sgd", "adam", "nix"))},
            "ipd refuses a trial",
        ),
        (
            "ipd",
            ("--momentum=0.5",),
            {"optimizer": Range(choices=("sgd", "adam"))},
            "--momentum is that of --optimizer=sgd",
        ),
        ("pola", (), {"seed": Range(low=0, high=9)}, "pola logs no metric to"),
        (
            "compare_learners",
            ("--learners=lola,naive",),
            {"learning_rate": RATE},
            "on one method, and these are several: lola, naive",
        ),
    ],
)
def test_a_sweep_that_could_not_start_is_refused(
    experiment, arguments, space, message
) -> None:
    with pytest.raises(ValueError, match=message):
        _check(experiment, *arguments, **space)


def test_mistakes_are_told_at_once(tmp_path) -> None:
    space = _space(tmp_path, {"lerning_rate": {"low": 1, "high": 2}})
    out = tmp_path / "out"
    options = (f"--space={space}", f"--output_dir={out}")
    for operands, message in (
        (("ipd",), "--space names a flag that ipd does not have: --lerning_ra"),
        (("idp",), "must be an experiment, such as ipd. Received: 'idp'"),
        ((), "must be an experiment, such as ipd. Received: ''"),
    ):
        done = shell("sweep", *operands, *options)
        assert done.returncode == 1
        assert done.stderr.startswith("Error: ") and message in done.stderr
        assert done.stderr.count("\n") == 1
    assert not out.exists()


def test_without_optuna_the_extra_is_named(tmp_path) -> None:
    space = _space(tmp_path, {"learning_rate": {"low": 1, "high": 2}})
    code = (
        "import importlib.util, sys\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: (\n"
        "    None if name == 'optuna' else find(name, *rest))\n"
        "from experiments import sweep\n"
        "sweep.main()"
    )
    options = (f"--space={space}", f"--output_dir={tmp_path / 'out'}")
    done = subprocess.run(
        [sys.executable, "-c", code, "ipd", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.endswith('needs optuna: pip install "dice_tf[sweep]".\n')


_WORKER = f"""
import sys
from experiments.sweeps.study import Sweep
from experiments.sweeps.trials import TrialProgram, work
from {STUB} import RECORD, SPACE

sweep = Sweep(sys.argv[1], RECORD, SPACE)
program = TrialProgram({STUB!r}, (), (), "joint/return")
work(sweep, program, int(sys.argv[2]))
"""


def _worker(path: pathlib.Path, num_trials: int) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", _WORKER, str(path), str(num_trials)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def _sweep(path: pathlib.Path, space=SPACE, record=RECORD, **options):
    study = pytest.importorskip(
        "experiments.sweeps.study", exc_type=ImportError
    )
    return study.Sweep(str(path), record, space, **options)


def _work(sweep, num_trials: int, metric: str = "joint/return") -> None:
    trials = pytest.importorskip(
        "experiments.sweeps.trials", exc_type=ImportError
    )
    stub = trials.TrialProgram(STUB, (), ("mlflow",), metric)
    trials.work(sweep, stub, num_trials)


def _states(sweep) -> list[str]:
    return [trial.state.name for trial in sweep.trials()]


def test_a_sweep_killed_three_times_ends_with_all_trials(tmp_path) -> None:
    pytest.importorskip("optuna")
    for _ in range(3):
        with _worker(tmp_path, 12) as worker:
            starts = (line for line in worker.stdout if "--rate=" in line)
            # It has taken one over, has ended two, and works on the third.
            for _ in range(3):
                next(starts)
            worker.kill()
    assert _states(_sweep(tmp_path)).count("RUNNING") == 1
    with _worker(tmp_path, 12) as worker:
        said = worker.stdout.read()
    assert worker.returncode == 0, said
    trials = _sweep(tmp_path).trials()
    assert [trial.number for trial in trials] == list(range(12))
    assert {trial.state.name for trial in trials} <= {"COMPLETE", "PRUNED"}
    assert len({trial.params["rate"] for trial in trials}) == 12
    for trial in trials:
        if trial.state.name == "COMPLETE":
            assert trial.value == pytest.approx(trial.params["rate"] + 1.0)


def test_workers_share_the_trials_of_a_sweep(tmp_path) -> None:
    pytest.importorskip("optuna")
    with _worker(tmp_path, 8) as first, _worker(tmp_path, 8) as second:
        said = [worker.stdout.read() for worker in (first, second)]
    assert first.returncode == second.returncode == 0
    started = [text.count("--rate=") for text in said]
    assert sum(started) == 8 and min(started) > 0
    assert len(_sweep(tmp_path).trials()) == 8


def test_a_trial_that_fails_is_told_and_the_sweep_goes_on(
    tmp_path, capsys
) -> None:
    sweep = _sweep(tmp_path, {"rate": Range(choices=(0,))})
    _work(sweep, 2)
    assert _states(sweep) == ["FAIL"] * 2
    said = capsys.readouterr().out
    assert "Trial 1: failed with status 1: Error: the rate is 0." in said


def test_bad_trials_are_pruned_by_what_they_log(tmp_path) -> None:
    good = _sweep(tmp_path, pruner="none")
    _work(good, 5)
    # They would never end.
    bad = _sweep(tmp_path, {"rate": Range(low=-2.0, high=-1.0)})
    _work(bad, 6)
    assert _states(bad) == ["COMPLETE"] * 5 + ["PRUNED"]
    first, *_, last = bad.trials()
    rate = first.params["rate"]
    assert first.intermediate_values == {0: rate, 1: rate, 2: rate}
    assert last.value == last.params["rate"] < 0.0


def test_an_unknown_metric_is_refused(tmp_path) -> None:
    with pytest.raises(
        ValueError, match="--metric must be one of epoch, joint"
    ):
        _work(_sweep(tmp_path), 1, metric="loss")


def test_another_sweep_or_other_files_are_refused(tmp_path) -> None:
    _sweep(tmp_path / "one")
    _sweep(tmp_path / "one")
    other = RECORD._replace(configuration={"space": "another"})
    message = "holds another sweep: `configuration.space` is 'any' there"
    with pytest.raises(ValueError, match=message):
        _sweep(tmp_path / "one", record=other)
    with pytest.raises(ValueError, match="holds other files than those of a"):
        _sweep(tmp_path)


def test_the_table_and_the_flags_of_the_best_are_written(
    tmp_path, capsys
) -> None:
    sweep = _sweep(tmp_path)
    _work(sweep, 3)
    settings = program.SweepSettings(
        "ipd", ("--seed=1",), SPACE, 3, "joint/return", "none", 0, str(tmp_path)
    )
    program.report(settings, sweep.trials())
    with open(tmp_path / "sweep.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == ["complete"] * 3
    best = max(rows, key=lambda row: float(row["rate"]))
    lines = (tmp_path / "best_flags.txt").read_text().splitlines()
    assert lines == ["--seed=1", f"--rate={best['rate']}"]
    assert "3 trials: 3 complete." in capsys.readouterr().out


def test_floats_wholes_and_choices_are_proposed_as_such(tmp_path) -> None:
    space = {
        "a": Range(low=0.1, high=10.0, log=True),
        "b": Range(low=1, high=9, step=2),
        "c": Range(choices=("x", "y")),
    }
    sweep = _sweep(tmp_path, space, seed=3)
    seen = []
    for number in range(6):
        with sweep.next_trial(6) as started:
            assert started.trial.number == number
            seen.append(started.trial.params)
            state = pytest.importorskip("optuna").trial.TrialState.COMPLETE
            sweep.tell(number, 1.0, state)
    with sweep.next_trial(6) as started:
        assert started is None
    assert all(0.1 <= x["a"] <= 10.0 for x in seen)
    assert {x["b"] for x in seen} <= {1, 3, 5, 7, 9}
    assert {x["c"] for x in seen} == {"x", "y"}
    assert len({x["a"] for x in seen}) == 6
