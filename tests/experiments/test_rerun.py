"""A run that is repeated from its config.json."""

import hashlib
import json
import pathlib

import pytest
from absl import flags

from experiments import rerun
from experiments.command_line.commands import Command
from experiments.results.provenance import collect_results
from experiments.settings.training_flags import define_output_flags
from tests.experiments.commands import shell
from tests.experiments.parsed_flags import run_command

WHOLE = {
    "experiment": "experiments.ipd",
    "arguments": ["--seed=3"],
    "digest": "abc",
    "versions": {"dice_tf": "0.1.0"},
}


def test_a_run_from_a_file_of_flags_is_repeated_without_it(tmp_path) -> None:
    file = tmp_path / "flags.txt"
    file.write_text(
        "--num_iterations=3\n--num_seeds=2\n--batch_size=4\n--nojit_compile\n"
        "--episode_length=5\n--learner=lola_dice,naive\n"
    )
    first, second = tmp_path / "first", tmp_path / "second"
    done = shell(
        "ipd", f"--flagfile={file}", "--seed=3", f"--output_dir={first}"
    )
    assert done.returncode == 0, done.stderr
    file.unlink()
    done = shell("rerun", str(first), f"--output_dir={second}")
    assert done.returncode == 0, done.stderr
    curves = [folder / "curves.csv" for folder in (first, second)]
    assert curves[0].read_bytes() == curves[1].read_bytes()
    configs = [
        json.loads((folder / "config.json").read_text())
        for folder in (first, second)
    ]
    for name in ("experiment", "arguments", "digest", "files"):
        assert configs[0][name] == configs[1][name]
    assert sorted(configs[0]["arguments"]) == [
        "--batch_size=4",
        "--episode_length=5",
        "--learner=lola_dice,naive",
        "--nojit_compile",
        "--num_iterations=3",
        "--num_seeds=2",
        "--seed=3",
    ]


def test_a_run_is_repeated_by_the_flags_beside_it(tmp_path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    done = shell(
        "play",
        "--policy=grim_trigger",
        "--batch_size=2",
        "--num_moves=3",
        "--payoffs=[[[-1, -3], [0, -2]], [[-1, 0], [-3, -2]]]",
        f"--output_dir={first}",
    )
    assert done.returncode == 0, done.stderr
    note, command, *lines = (first / "flags.txt").read_text().splitlines()
    assert note.startswith("# To repeat this run")
    assert command.endswith(
        "python -m experiments.play --flagfile=flags.txt --output_dir=FOLDER"
    )
    assert sorted(lines) == [
        "--batch_size=2",
        "--num_moves=3",
        "--payoffs=[[[-1, -3], [0, -2]], [[-1, 0], [-3, -2]]]",
        "--policy=grim_trigger",
    ]
    flags = f"--flagfile={first / 'flags.txt'}"
    done = shell("play", flags, f"--output_dir={second}")
    assert done.returncode == 0, done.stderr
    for name in ("summary.json", "flags.txt"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    digests = [
        json.loads((folder / "config.json").read_text())["digest"]
        for folder in (first, second)
    ]
    assert digests[0] == digests[1]


def _finished(folder: pathlib.Path, *arguments: str) -> dict:
    """Runs a command that leaves two files, and returns its config.json."""

    def define_flags() -> None:
        define_output_flags()
        flags.DEFINE_string("payoffs", None, "Payoffs.")

    def run(_, opened) -> None:
        with collect_results(opened, {}, {"done": True}) as stage:
            (stage / "saved_model").mkdir()
            (stage / "saved_model" / "weights").write_bytes(b"12")

    command = Command(define_flags, lambda _: {}, run, libraries=())
    run_command(command, f"--output_dir={folder}", *arguments)
    return json.loads((folder / "config.json").read_text())


@pytest.mark.parametrize("payoffs", ["[[1],\n[2]]", "[1] "])
def test_flags_that_a_file_would_change_stand_in_none(
    tmp_path, payoffs
) -> None:
    config = _finished(tmp_path, f"--payoffs={payoffs}")
    assert not (tmp_path / "flags.txt").exists()
    assert "flags.txt" not in config["files"]
    assert config["arguments"] == [f"--payoffs={payoffs}"]


def test_the_manifest_holds_hashes_versions_and_environment(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=false")
    monkeypatch.delenv("TF_XLA_FLAGS", raising=False)
    config = _finished(tmp_path)
    assert config["files"] == [
        "config.json",
        "flags.txt",
        "saved_model",
        "summary.json",
    ]
    assert config["sha256"] == {
        name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
        for name in ("flags.txt", "saved_model/weights", "summary.json")
    }
    environment = config["environment"]
    assert environment["XLA_FLAGS"] == "--xla_cpu_enable_fast_math=false"
    assert environment["TF_XLA_FLAGS"] is None
    for name in ("python", "dice_tf", "tensorflow", "keras", "numpy"):
        assert config["versions"][name][0].isdecimal()


def test_a_finished_run_says_how_it_was_started(tmp_path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(WHOLE))
    assert rerun.read_run(str(tmp_path)) == rerun.FinishedRun(
        path, "ipd", ["--seed=3"], "abc", "0.1.0"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "must be the folder of a run that has finished. It has no"),
        ("{", "does not say how a run was started, or is damaged"),
        ("[]", "is damaged"),
        ("[" * 10**5, "is damaged"),
        ("{}", "'experiment'.: earlier versions of dice_tf did not write"),
        (json.dumps({**WHOLE, "arguments": [3]}), "its flags are not texts"),
        (json.dumps({**WHOLE, "versions": 3}), "is damaged"),
        (
            json.dumps({**WHOLE, "experiment": "benchmarks.memory"}),
            "must be that of an experiment. Received: 'benchmarks.memory'",
        ),
        (
            json.dumps({**WHOLE, "experiment": "experiments.rerun"}),
            "must be that of an experiment",
        ),
    ],
)
def test_a_folder_without_a_finished_run_is_refused(
    tmp_path, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        rerun.read_run(str(tmp_path))


def _finish(_, folder) -> None:
    with collect_results(folder, {}, {}):
        pass


def test_another_run_than_the_recorded_one_is_refused(tmp_path) -> None:
    def command(rate: float) -> Command:
        return Command(
            define_output_flags, lambda _: {"rate": rate}, _finish, libraries=()
        )

    first, second = tmp_path / "first", tmp_path / "second"
    run_command(command(0.1), f"--output_dir={first}")
    config = json.loads((first / "config.json").read_text())
    run = rerun.FinishedRun(
        pathlib.Path("config.json"), "ipd", [], config["digest"], "0.1.0"
    )
    with pytest.raises(SystemExit, match="make another run than that of"):
        run_command(
            rerun.repeating(command(0.2), run), f"--output_dir={second}"
        )
    assert not second.exists()
    run_command(rerun.repeating(command(0.1), run), f"--output_dir={second}")
    assert (second / "config.json").exists()


def test_the_folder_comes_first() -> None:
    done = shell("rerun", "--output_dir=x", "runs/ipd")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: The folder of a run comes first")


@pytest.mark.parametrize("arguments", [(), ("--help",), ("runs", "--help")])
def test_help_needs_no_run(arguments) -> None:
    done = shell("rerun", *arguments)
    assert done.returncode == 0
    assert "python -m experiments.rerun runs/ipd" in done.stdout
