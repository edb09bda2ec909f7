"""The experiment as a user runs it, at a tiny size."""

import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from experiments import ipd
from experiments.building import builders, trainings
from experiments.command_line import commands
from experiments.results import result_files
from experiments.results.outputs import OutputFolder
from tests.experiments.commands import read_curves
from tests.experiments.kills import calls_of
from tests.experiments.parsed_flags import parsed_flags, run_command
from tests.strategies import mirrored

pytestmark = pytest.mark.own_process

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILES = {
    "config.json",
    "flags.txt",
    "curves.csv",
    "learning_curves.png",
    "policies.png",
    "saved_model",
    "state_diagram.png",
    "summary.json",
}
METHOD = "lola_dice_1_lookahead_batch_4"
TINY = (
    "--episode_length=5",
    "--batch_size=4",
    "--num_iterations=3",
    "--num_seeds=2",
    "--nojit_compile",
)


def _run(folder: pathlib.Path, *arguments: str) -> pathlib.Path:
    run_command(ipd.COMMAND, *TINY, f"--output_dir={folder}", *arguments)
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> pathlib.Path:
    return _run(tmp_path_factory.mktemp("finished"))


def test_all_files_are_there(finished) -> None:
    assert set(os.listdir(finished)) == FILES
    assert sorted(os.listdir(finished / "saved_model")) == [
        "player_0",
        "player_1",
    ]


def test_the_summary_is_that_of_the_curves(finished) -> None:
    summary = json.loads((finished / "summary.json").read_text())
    curves = read_curves(finished / "curves.csv")
    assert list(summary) == list(curves) == [METHOD]
    assert curves[METHOD].shape == (3, 2, 2)
    entry = summary[METHOD]
    finals = curves[METHOD].mean(axis=(0, 2))
    np.testing.assert_allclose(
        entry["final_joint_return_per_run"], finals, rtol=1e-6
    )
    assert entry["final_joint_return_mean"] == pytest.approx(finals.mean())
    assert entry["final_joint_return_std"] == pytest.approx(
        finals.std(ddof=1), rel=1e-4
    )
    assert entry["seconds"] > entry["seconds_per_iteration"] > 0
    assert set(entry["iterations_to"]) == {"-1.5", "-1.2", "-1.1"}


def test_the_configuration_tells_all_flags_and_versions(finished) -> None:
    config = json.loads((finished / "config.json").read_text())
    assert config["method"] == METHOD
    assert config["flags"]["learner"] == ["lola_dice", "lola_dice"]
    assert config["flags"]["output_dir"] == str(finished)
    assert None not in config["flags"]["inner_learning_rate"]
    assert config["versions"]["tensorflow"] == tf.__version__
    assert None not in config["versions"].values()
    assert config["device"]


def test_the_exported_policies_act(finished) -> None:
    policy = tf.saved_model.load(finished / "saved_model" / "player_1")
    actions = policy.act(observation=tf.eye(5), seed=tf.constant([0, 1]))
    assert set(actions) == {"action", "log_prob"}


def test_alone_and_compiled_a_run_is_the_same(finished, tmp_path) -> None:
    folder = _run(tmp_path, "--jit_compile", "--seed=1", "--num_seeds=1")
    flags = json.loads((folder / "config.json").read_text())["flags"]
    assert flags["jit_compile"] is True
    np.testing.assert_allclose(
        read_curves(folder / "curves.csv")[METHOD][:, 0],
        read_curves(finished / "curves.csv")[METHOD][:, 1],
        atol=1e-5,
    )


def test_a_seed_of_any_size_is_written_down_as_it_is(tmp_path) -> None:
    """Run 2 is the run that the next number gives."""
    seed = 2**128 - 1
    pair = _run(tmp_path / "pair", f"--seed={seed}")
    alone = _run(tmp_path / "alone", f"--seed={seed + 1}", "--num_seeds=1")
    for folder, expected in ((pair, seed), (alone, seed + 1)):
        config = json.loads((folder / "config.json").read_text())
        assert config["flags"]["seed"] == expected
    np.testing.assert_allclose(
        read_curves(alone / "curves.csv")[METHOD][:, 0],
        read_curves(pair / "curves.csv")[METHOD][:, 1],
        atol=1e-5,
    )


def test_the_same_seed_gives_the_same_bytes(finished, tmp_path) -> None:
    again = _run(tmp_path)
    expected = (finished / "curves.csv").read_bytes()
    assert (again / "curves.csv").read_bytes() == expected


def test_an_exported_policy_is_the_opponent_of_a_later_run(
    finished, tmp_path
) -> None:
    opponent = finished / "saved_model" / "player_0"
    folder = _run(
        tmp_path,
        f"--learner={opponent},naive",
        "--policy=mlp",
        "--hidden_units=3",
        "--baseline=critic",
        "--nojit_compile",
    )
    assert set(os.listdir(folder)) == FILES
    assert "saved_model_vs_naive_batch_4" in read_curves(folder / "curves.csv")


def test_a_policy_with_memory_trains_and_is_exported(tmp_path) -> None:
    folder = _run(tmp_path, "--policy=min_gru", "--baseline=critic")
    # There are no pictures of a policy that has no table.
    assert set(os.listdir(folder)) == FILES - {
        "policies.png",
        "state_diagram.png",
    }
    loaded = tf.saved_model.load(folder / "saved_model" / "player_0")
    state = loaded.initial_state(batch_size=2)["state"]
    assert state.shape == (2, 32)
    curves = read_curves(folder / "curves.csv")[METHOD]
    assert curves.shape == (3, 2, 2) and np.all(np.isfinite(curves))


def test_an_earlier_run_is_refused_before_any_work(
    finished, monkeypatch, capsys
) -> None:
    monkeypatch.delattr(commands, "import_tensorflow")
    with pytest.raises(SystemExit, match="holds an earlier run"):
        _run(finished)


def test_an_interrupted_run_leaves_nothing(tmp_path, monkeypatch) -> None:
    def interrupt(*_) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(trainings, "train", interrupt)
    with pytest.raises(SystemExit, match="Interrupted. Nothing was written"):
        _run(tmp_path)
    assert os.listdir(tmp_path) == []


LONGER = (
    "--num_iterations=45",
    "--num_seeds=1",
    "--learner=naive",
    "--nojit_compile",
    "--checkpoint_every=0",
)


class _Killed(BaseException):
    """Ends the process, as far as anyone can tell."""


def _kill_after(monkeypatch, iterations: int) -> None:
    moved = trainings.ProgressBar.on_epoch_end

    def on_epoch_end(bar, *arguments) -> None:
        if bar.model.iterations > iterations:
            raise _Killed
        moved(bar, *arguments)

    monkeypatch.setattr(trainings.ProgressBar, "on_epoch_end", on_epoch_end)


def test_a_killed_run_is_resumed_and_ends_as_if_it_had_not_been(
    tmp_path, monkeypatch
) -> None:
    """In the first epoch, and in the shorter last one."""
    peaceful = _run(tmp_path / "peaceful", *LONGER)
    folder = tmp_path / "killed"
    for iterations in (0, 42):
        with monkeypatch.context() as patch:
            _kill_after(patch, iterations)
            with pytest.raises(_Killed):
                _run(folder, *LONGER, "--resume")
    assert os.listdir(folder) == [".checkpoints"]
    with pytest.raises(SystemExit, match="Continue it with --resume"):
        _run(folder, *LONGER)
    with pytest.raises(SystemExit, match="`configuration.learning_rate` is"):
        _run(folder, *LONGER, "--resume", "--learning_rate=0.5")
    _run(folder, *LONGER, "--resume")
    assert set(os.listdir(folder)) == FILES
    expected = (peaceful / "curves.csv").read_bytes()
    assert (folder / "curves.csv").read_bytes() == expected
    # Nothing is left to do.
    (folder / "curves.csv").write_text("untouched")
    _run(folder, *LONGER, "--resume")
    assert (folder / "curves.csv").read_text() == "untouched"


def _ask_to_stop(monkeypatch) -> None:
    """Presses Ctrl-C in the first epoch."""
    moved = trainings.ProgressBar.on_epoch_end

    def on_epoch_end(bar, *arguments) -> None:
        moved(bar, *arguments)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(trainings.ProgressBar, "on_epoch_end", on_epoch_end)


def test_an_interrupted_run_leaves_a_checkpoint_and_its_command(
    tmp_path, monkeypatch
) -> None:
    """However long it is until the next checkpoint is due."""
    flags = (*TINY, "--num_iterations=45", "--learner=lola_dice,naive")
    folder = tmp_path / "a b"
    with monkeypatch.context() as patch:
        _ask_to_stop(patch)
        with pytest.raises(SystemExit, match="Continue with --resume") as end:
            run_command(ipd.COMMAND, f"--output_dir={folder}", *flags)
    assert end.value.code == 130
    command = shlex.split(str(end.value).splitlines()[-1])
    assert command[:3] == ["python", "-m", "experiments.ipd"]
    given = dict(flag.split("=") for flag in flags if "=" in flag)
    assert sorted(command[3:]) == sorted(
        [
            *(f"{name}={value}" for name, value in given.items()),
            f"--output_dir={folder}",
            "--nojit_compile",
            "--resume",
        ]
    )
    # Without the other flags it would be the training of another line-up.
    with pytest.raises(SystemExit, match="`configuration.learner` is ..lola_"):
        run_command(ipd.COMMAND, *TINY, f"--output_dir={folder}", "--resume")
    assert os.listdir(folder) == [".checkpoints"]
    epochs = calls_of(monkeypatch, trainings.ProgressBar, "on_epoch_end")
    run_command(ipd.COMMAND, *command[3:])
    assert set(os.listdir(folder)) == FILES
    # Fifteen epochs of three iterations.
    assert len(epochs) == 14
    peaceful = tmp_path / "peaceful"
    run_command(ipd.COMMAND, f"--output_dir={peaceful}", *flags)
    expected = (peaceful / "curves.csv").read_bytes()
    assert (folder / "curves.csv").read_bytes() == expected


def test_output_that_nobody_reads_leaves_a_checkpoint(tmp_path) -> None:
    command = [sys.executable, "-m", "experiments.ipd", *TINY]
    done = subprocess.run(
        [
            "bash",
            "-c",
            '"$@" | head -1; exit ${PIPESTATUS[0]}',
            "-",
            *command,
            "--num_iterations=2000",
            f"--output_dir={tmp_path}",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 141, done.stderr
    assert "Traceback" not in done.stderr
    assert "Continue with --resume:\n  python -m experiments" in done.stderr
    assert METHOD in os.listdir(tmp_path / ".checkpoints")


@pytest.mark.parametrize(
    ("owner", "name", "missing"),
    [
        (dice_tf.export, "export_policy", {"saved_model"}),
        (result_files, "policy_tables", {"policies.png"}),
        (result_files, "plot_curves", {"learning_curves.png"}),
        (result_files, "plot_states", {"state_diagram.png"}),
    ],
)
def test_curves_and_summary_are_written_whatever_the_rest_does(
    tmp_path, monkeypatch, capsys, owner, name: str, missing: set[str]
) -> None:
    def fail(*_, **__) -> None:
        raise RuntimeError("this cannot be drawn or exported")

    monkeypatch.setattr(owner, name, fail)
    folder = _run(tmp_path)
    assert set(os.listdir(folder)) == FILES - missing
    config = json.loads((folder / "config.json").read_text())
    assert set(config["files"]) == FILES - missing
    (name,) = missing
    assert f"Warning: {name} was left out" in capsys.readouterr().err


def test_a_folder_of_pictures_is_refused_and_stays(tmp_path) -> None:
    """As the folder docs of this repository."""
    pictures = ("learning_curves.png", "policies.png", "mine.png")
    for name in pictures:
        (tmp_path / name).write_text("mine")
    with pytest.raises(SystemExit, match="holds an earlier run .learning_cur"):
        _run(tmp_path)
    for name in pictures[:2]:
        (tmp_path / name).rename(tmp_path / f"my_{name}")
    _run(tmp_path, "--learner=naive", "--num_iterations=1")
    mine = {"mine.png", *(f"my_{name}" for name in pictures[:2])}
    assert set(os.listdir(tmp_path)) == FILES | mine
    assert all((tmp_path / name).read_text() == "mine" for name in mine)


def test_a_run_killed_while_it_writes_its_results_trains_no_more(
    tmp_path, monkeypatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(OutputFolder, "collect", lambda _: _raise(_Killed))
        with pytest.raises(_Killed):
            _run(tmp_path, *LONGER)
    monkeypatch.delattr(trainings.dice_tf.Trainer, "fit")
    _run(tmp_path, *LONGER, "--resume")
    assert set(os.listdir(tmp_path)) == FILES


def _raise(error: type[BaseException]) -> None:
    raise error


def test_a_mistake_that_the_library_finds_is_one_line(tmp_path) -> None:
    with pytest.raises(SystemExit, match="Error: tit_for_tat needs"):
        _run(
            tmp_path,
            "--payoffs=[[[1,2,3],[3,2,1]],[[1,2,3],[3,2,1]]]",
            "--learner=naive,tit_for_tat",
        )


def test_an_argument_that_is_no_flag_is_refused(tmp_path) -> None:
    with (
        parsed_flags(f"--output_dir={tmp_path}"),
        pytest.raises(SystemExit, match="Received: 'naive'"),
    ):
        ipd.COMMAND.main(["ipd", "naive"])


def test_a_strategy_trains_the_same(finished, tmp_path, monkeypatch) -> None:
    # A second one on the same devices would take the keys of the first.
    monkeypatch.setattr(builders, "build_strategy", lambda name: mirrored())
    folder = _run(tmp_path, "--strategy=mirrored")
    assert {path.name for path in folder.iterdir()} == FILES
    flags = json.loads((folder / "config.json").read_text())["flags"]
    assert flags["strategy"] == "mirrored"
    assert flags["jit_compile"] is False
    expected = read_curves(finished / "curves.csv")[METHOD]
    np.testing.assert_allclose(
        read_curves(folder / "curves.csv")[METHOD], expected, rtol=1e-4
    )


def test_workers_without_a_cluster_are_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(SystemExit, match="--strategy=multi_worker needs the"):
        _run(tmp_path, "--strategy=multi_worker")
    assert list(tmp_path.iterdir()) == []


def test_only_the_chief_writes(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(dice_tf.Trainer, "is_chief", False)
    _run(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert "The first worker writes the results" in capsys.readouterr().out


def test_iterations_that_do_not_divide_evenly_are_all_made(tmp_path) -> None:
    folder = _run(
        tmp_path,
        "--num_iterations=23",
        "--learner=naive,random",
        "--nojit_compile",
    )
    curves = read_curves(folder / "curves.csv")
    assert curves["naive_vs_random_batch_4"].shape == (23, 2, 2)


def test_the_file_of_a_program_can_be_run() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "experiments" / "ipd.py", "--help"],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"PYTHONPATH": ""},
        check=False,
    )
    assert "Trains the players" in done.stdout, done.stderr


def _shell(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_help_shows_our_flags_and_no_others() -> None:
    shown = _shell("-m", "experiments.ipd", "--help").stdout
    for flag in ("--learner:", "--num_lookaheads:", "--output_dir:"):
        assert flag in shown
    assert "--logtostderr" not in shown


def test_a_bad_flag_is_answered_without_a_stack_trace() -> None:
    done = _shell("-m", "experiments.ipd", "--batch_size=0", "--output_dir=x")
    assert done.returncode != 0
    assert "--batch_size=0: 0 is not a positive integer" in done.stderr
    assert "Traceback" not in done.stderr


def test_tensorflow_is_imported_only_when_it_is_needed() -> None:
    code = (
        "import sys, experiments.ipd; "
        "print({'tensorflow', 'matplotlib', 'dice_tf'} & set(sys.modules))"
    )
    assert _shell("-c", code).stdout.strip() == "set()"
