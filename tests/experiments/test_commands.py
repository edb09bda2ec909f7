"""The runner that all commands share."""

import importlib
import importlib.util
import json
import os
import subprocess
import sys

import pytest
from absl import flags

from experiments.command_line.commands import Command
from experiments.results.check_list import at_least, summary
from experiments.results.outputs import OutputFolder, open_folder
from experiments.results.provenance import collect_results
from experiments.results.run_record import RunRecord
from experiments.settings.training_flags import (
    define_output_flags,
    define_resume_flags,
)
from tests.experiments.commands import ROOT
from tests.experiments.parsed_flags import parsed_flags, run_command

COMMANDS = sorted(
    path.stem
    for path in (ROOT / "experiments").glob("*.py")
    if path.stem
    not in ("__init__", "__main__", "experiments", "rerun", "sweep")
)
# The flags of commands that take policies from files.
_TRAINING = ("policy", "trust_policy_files")
TAKE_PROGRAMS = {
    "axelrod_tournament": ("entrants",),
    "coin_league": ("entrants",),
    "compare_learners": _TRAINING,
    "ipd": ("learner", *_TRAINING),
    "learner_facts": _TRAINING,
    "lola_dice_figure": _TRAINING,
    "play": ("policy", "opponent"),
    "tournament": ("entrants",),
}


def _define_flags() -> None:
    define_output_flags(required=False)
    define_resume_flags()


def _command(run) -> Command:
    return Command(_define_flags, lambda values: values, run, libraries=())


def _interrupt(*_) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("library", "message"),
    [
        (
            "matplotlib",
            r'The pictures need matplotlib: .*"dice_tf\[experiments\]"',
        ),
        ("axelrod", r'The strategies need axelrod: .*"dice_tf\[axelrod\]"'),
    ],
)
def test_a_missing_library_is_named_with_its_extra(
    monkeypatch, tmp_path, library: str, message: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    command = _command(_interrupt)._replace(libraries=(library,))
    with pytest.raises(SystemExit, match=message):
        run_command(command, f"--output_dir={tmp_path / 'out'}")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", COMMANDS)
def test_flags_say_that_saved_models_are_programs(name) -> None:
    command = importlib.import_module(f"experiments.{name}").COMMAND
    given = ["--policy=random"] if name == "play" else []
    with parsed_flags(*given, command=command) as values:
        texts = {flag: values[flag].help or "" for flag in values}
    takes_programs = {
        flag
        for flag, text in texts.items()
        if "SavedModel" in text or "trust_policy_files" in text
    }
    assert takes_programs == set(TAKE_PROGRAMS.get(name, ()))
    for flag in takes_programs:
        warns = "which runs with your rights" in texts[flag]
        assert warns or "See also --trust_policy_files" in texts[flag]


def test_a_mistake_in_the_flags_is_one_line(tmp_path) -> None:
    def refuse(values: flags.FlagValues) -> None:
        raise ValueError("--this does not fit --that.")

    command = _command(_interrupt)._replace(resolve=refuse)
    with pytest.raises(SystemExit, match="^Error: --this does not fit --that"):
        run_command(command, f"--output_dir={tmp_path}")


def test_an_interrupted_command_says_what_is_left(tmp_path, capsys) -> None:
    def leave_checkpoint(_, folder: OutputFolder) -> None:
        folder.checkpoints.mkdir()
        (folder.checkpoints / "naive").touch()
        raise KeyboardInterrupt

    for run, message in (
        (_interrupt, "Interrupted. Nothing was written"),
        (leave_checkpoint, "Interrupted. Continue with --resume"),
    ):
        with pytest.raises(SystemExit, match=message) as end:
            run_command(_command(run), f"--output_dir={tmp_path}")
        assert end.value.code == 130
        assert message in capsys.readouterr().err


def test_sigterm_ends_a_command_as_ctrl_c_does(tmp_path) -> None:
    """Schedulers send it; the checkpoint and the hint are there."""
    done = subprocess.run(
        [sys.executable, "-c", _TERMINATED, f"--output_dir={tmp_path}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 143, done.stderr
    assert "Terminated. Continue with --resume:\n  python -m" in done.stderr
    assert "Traceback" not in done.stderr
    kept = sorted(os.listdir(tmp_path / ".checkpoints"))
    assert kept == ["naive", "run.json"]


_TERMINATED = """
import os, signal
from experiments.command_line import commands, stopping
from experiments.settings import training_flags

def define_flags():
    training_flags.define_output_flags()
    training_flags.define_resume_flags()

def run(_, folder):
    with stopping.deferred_interrupts():
        os.kill(os.getpid(), signal.SIGTERM)
        assert stopping.stop_requested()
        folder.checkpoint_path("naive").touch()
        raise KeyboardInterrupt

# It takes a while, and nothing is trained.
commands.import_tensorflow = lambda: None
__spec__ = type("Spec", (), {"name": "experiments.ipd"})
commands.Command(define_flags, lambda _: {}, run, libraries=()).start()
"""


def _train(_, folder: OutputFolder) -> None:
    """Leaves a checkpoint, and is interrupted."""
    folder.checkpoint_path("naive").touch()
    raise KeyboardInterrupt


def _train_to_the_end(_, folder: OutputFolder) -> None:
    with folder.collect() as stage:
        (stage / "summary.json").write_text("{}")


def test_the_hint_is_the_whole_command(tmp_path) -> None:
    with pytest.raises(SystemExit) as end:
        run_command(
            _command(_train), f"--output_dir={tmp_path}/a b", "--overwrite"
        )
    command = str(end.value).splitlines()[-1].split()
    assert command[:3] == ["python", "-m", __name__]
    assert f"'--output_dir={tmp_path}/a b'" in str(end.value)
    assert command[-1] == "--resume" and "--overwrite" not in command


def test_a_resumed_run_has_the_settings_of_the_interrupted_one(
    tmp_path,
) -> None:
    """Nothing is trained, published or deleted otherwise."""
    trained = []

    def command(**settings) -> Command:
        def run(_, folder: OutputFolder) -> None:
            trained.append(settings)
            train = _train if len(trained) == 1 else _train_to_the_end
            train(_, folder)

        return _command(run)._replace(resolve=lambda values: settings)

    folder = f"--output_dir={tmp_path}"
    first = {"learner": ("lola_dice", "naive"), "rate": 0.1}
    with pytest.raises(SystemExit, match="Interrupted"):
        run_command(command(**first), folder)
    kept = sorted(os.listdir(tmp_path / ".checkpoints"))
    for settings, message in (
        (
            first | {"learner": ("lola_dice", "lola_dice")},
            r"`configuration.learner` is \['lola_dice', 'naive'\] there and",
        ),
        (first | {"rate": 0.2}, "`configuration.rate` is 0.1 there and 0.2"),
        ({"rate": 0.1}, "`configuration.learner` is .* there and None here"),
    ):
        with pytest.raises(SystemExit, match=message) as end:
            run_command(command(**settings), folder, "--resume")
        assert "python -m" in str(end.value)
        with pytest.raises(SystemExit, match="Continue it with --resume"):
            run_command(command(**settings), folder)
        assert os.listdir(tmp_path) == [".checkpoints"]
        assert sorted(os.listdir(tmp_path / ".checkpoints")) == kept
    assert len(trained) == 1
    run_command(command(**first), folder, "--resume")
    assert trained == [first] * 2
    assert os.listdir(tmp_path) == ["summary.json"]


def test_another_experiment_does_not_resume_a_run(tmp_path) -> None:
    with pytest.raises(SystemExit):
        run_command(_command(_train), f"--output_dir={tmp_path}")
    record = tmp_path / ".checkpoints" / "run.json"
    content = json.loads(record.read_text())
    record.write_text(json.dumps(content | {"experiment": "experiments.maml"}))
    with pytest.raises(SystemExit, match="`experiment` is 'experiments.maml'"):
        run_command(_command(_train), f"--output_dir={tmp_path}", "--resume")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "do not say which run they belong to: an earlier version"),
        ("", "is damaged"),
        ("[]", "is damaged"),
        ("[" * 10**5, "is damaged"),
        ('{"experiment": 1}', "is damaged"),
        (
            '{"experiment": "a", "configuration": 1, "command": "b"}',
            "is damaged: it has no configuration",
        ),
    ],
)
def test_checkpoints_of_an_unknown_run_are_left_alone(
    tmp_path, content: str | None, message: str
) -> None:
    (tmp_path / ".checkpoints").mkdir()
    (tmp_path / ".checkpoints" / "naive").touch()
    if content is not None:
        (tmp_path / ".checkpoints" / "run.json").write_text(content)
    with pytest.raises(SystemExit, match=message):
        run_command(_command(_train), f"--output_dir={tmp_path}", "--resume")
    assert (tmp_path / ".checkpoints" / "naive").exists()


def test_a_finished_run_of_other_settings_is_not_taken_for_this_one(
    tmp_path,
) -> None:
    def run(_, folder: OutputFolder) -> None:
        with collect_results(folder, {}, {}):
            pass

    def command(rate: float) -> Command:
        return _command(run)._replace(resolve=lambda values: {"rate": rate})

    folder = f"--output_dir={tmp_path}"
    run_command(command(0.1), folder)
    run_command(command(0.1), folder, "--resume")
    with pytest.raises(SystemExit, match="results of another run, which has"):
        run_command(command(0.2), folder, "--resume")


def test_a_folder_is_used_by_one_run_at_a_time(tmp_path) -> None:
    folder = f"--output_dir={tmp_path}"
    seen = []

    def run(_, __) -> None:
        seen.append(os.getpid())
        with pytest.raises(SystemExit) as end:
            main([])
        seen.append(str(end.value))

    with parsed_flags(folder, command=_command(run)) as values:
        main = _command(run).main
        assert values.output_dir == str(tmp_path)
        main([])
    process, message = seen
    assert f"is in use by process {process} on " in message
    assert "python -m" in message
    assert os.listdir(tmp_path) == []


_PROGRAM = """
import sys
from absl import app, flags
from experiments.command_line.commands import held_folder
from experiments.settings.training_flags import define_output_flags

define_output_flags()

def main(_):
    folder = held_folder("benchmarks.memory")
    print("held", flush=True)
    sys.stdin.read()
    with folder.collect() as stage:
        (stage / "summary.json").write_text("{}")

app.run(main)
"""


def test_other_programs_hold_their_folder_to_their_end(tmp_path) -> None:
    command = [sys.executable, "-c", _PROGRAM, f"--output_dir={tmp_path}"]
    options = {
        "cwd": ROOT,
        "stdin": subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }
    with subprocess.Popen(command, **options) as first:
        assert first.stdout.readline() == "held\n"
        with subprocess.Popen(command, **options) as second:
            _, said = second.communicate()
        assert second.returncode == 1
        assert f"is in use by process {first.pid} on" in said
        assert "python -m benchmarks.memory --output_dir=" in said
        assert "Traceback" not in said
        first.communicate()
    assert first.returncode == 0
    assert os.listdir(tmp_path) == ["summary.json"]


def test_only_the_first_worker_holds_the_folder(tmp_path, monkeypatch) -> None:
    def define() -> None:
        _define_flags()
        flags.DEFINE_string("strategy", "multi_worker", "")

    command = _command(lambda *_: None)._replace(define_flags=define)
    folder = f"--output_dir={tmp_path}"

    def task(kind: str, index: int) -> str:
        cluster = {"worker": ["a:1", "b:1"]}
        return json.dumps(
            {"cluster": cluster, "task": {"type": kind, "index": index}}
        )

    with open_folder(tmp_path, RunRecord("a", {}, "b")):
        monkeypatch.setenv("TF_CONFIG", task("worker", 1))
        run_command(command, folder)
        for first in (task("worker", 0), task("chief", 0), ""):
            monkeypatch.setenv("TF_CONFIG", first)
            with pytest.raises(SystemExit, match="is in use by process"):
                run_command(command, folder)


def test_settings_are_the_flags_that_shape_the_results(tmp_path) -> None:
    arguments = (f"--output_dir={tmp_path}", "--checkpoint_every=1")
    with pytest.raises(SystemExit):
        run_command(_command(_train), *arguments)
    record = json.loads((tmp_path / ".checkpoints" / "run.json").read_text())
    assert record["configuration"] == {}


def test_checks_of_a_finished_run_are_told_again(tmp_path, capsys) -> None:
    checks = [at_least("share", 0.5, 0.9), at_least("gain", 0.5, 0.1)]
    written = summary([check._asdict() for check in checks])
    (tmp_path / "summary.json").write_text(json.dumps(written))
    with pytest.raises(SystemExit) as end:
        run_command(
            _command(_interrupt), f"--output_dir={tmp_path}", "--resume"
        )
    assert end.value.code == 1
    told = capsys.readouterr().out
    assert "has finished" in told and f"Files: {tmp_path}" in told
    assert "1 of 2 checks failed." in told


@pytest.mark.parametrize(
    "content",
    ["", "[]", '{"checks": 3}', '{"checks": [{}]}', "[" * 10**5, "\0", "\n"],
)
def test_a_damaged_summary_of_a_finished_run_is_told(
    tmp_path, content: str
) -> None:
    (tmp_path / "summary.json").write_text(content)
    with pytest.raises(SystemExit, match="not the summary of a run, or is da"):
        run_command(
            _command(_interrupt), f"--output_dir={tmp_path}", "--resume"
        )
    assert (tmp_path / "summary.json").read_text() == content


def test_settings_and_the_folder_reach_the_command(tmp_path) -> None:
    seen = []

    def run(values: flags.FlagValues, folder: OutputFolder) -> None:
        seen.append((values.overwrite, folder.path, folder.checkpoint_every))

    arguments = (f"--output_dir={tmp_path}", "--checkpoint_every=2.5")
    run_command(_command(run), *arguments, "--overwrite")
    assert seen == [(True, tmp_path, 2.5)]
