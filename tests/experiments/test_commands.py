"""The runner that all commands share."""

import importlib.util
import json

import pytest
from absl import flags

from experiments.command_line.commands import Command
from experiments.results.check_list import at_least, summary
from experiments.results.outputs import OutputFolder
from experiments.settings.training_flags import (
    define_output_flags,
    define_resume_flags,
)
from tests.experiments.parsed_flags import run_command


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
        ("matplotlib", r"The pictures need matplotlib: .*'\.\[experiments\]'"),
        ("axelrod", r"The strategies need axelrod: .*'\.\[axelrod\]'"),
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


def test_a_mistake_in_the_flags_is_one_line(tmp_path) -> None:
    def refuse(values: flags.FlagValues) -> None:
        raise ValueError("--this does not fit --that.")

    command = _command(_interrupt)._replace(resolve=refuse)
    with pytest.raises(SystemExit, match="^Error: --this does not fit --that"):
        run_command(command, f"--output_dir={tmp_path}")


def test_an_interrupted_command_says_what_is_left(tmp_path) -> None:
    def leave_checkpoint(_, folder: OutputFolder) -> None:
        folder.checkpoints.mkdir()
        (folder.checkpoints / "naive").touch()
        raise KeyboardInterrupt

    for run, message in (
        (_interrupt, "Interrupted. Nothing was written"),
        (leave_checkpoint, "Interrupted. Continue with --resume"),
    ):
        with pytest.raises(SystemExit, match=message):
            run_command(_command(run), f"--output_dir={tmp_path}")


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


def test_settings_and_the_folder_reach_the_command(tmp_path) -> None:
    seen = []

    def run(values: flags.FlagValues, folder: OutputFolder) -> None:
        seen.append((values.overwrite, folder.path, folder.checkpoint_every))

    arguments = (f"--output_dir={tmp_path}", "--checkpoint_every=2.5")
    run_command(_command(run), *arguments, "--overwrite")
    assert seen == [(True, tmp_path, 2.5)]
