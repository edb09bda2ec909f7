"""The folder of results: complete or untouched."""

import json
import os

import pytest

from experiments.command_line.commands import interrupted
from experiments.results.check_list import at_most
from experiments.results.outputs import OutputFolder, write_json


def _publish(folder: OutputFolder, text: str) -> None:
    with folder.collect() as stage:
        (stage / "summary.json").write_text(text)
        (stage / "curves.csv").write_text(text)
        (stage / "saved_model").mkdir()
        (stage / "saved_model" / text).write_text(text)


def test_a_folder_is_made_and_filled(tmp_path) -> None:
    folder = OutputFolder(tmp_path / "a" / "b")
    _publish(folder, "one")
    assert sorted(os.listdir(folder.path)) == [
        "curves.csv",
        "saved_model",
        "summary.json",
    ]
    assert (folder.path / "summary.json").read_text() == "one"


@pytest.mark.parametrize(
    "mark", ["config.json", "curves.csv", "summary.json", "saved_model"]
)
def test_an_earlier_run_is_refused(tmp_path, mark: str) -> None:
    (tmp_path / mark).touch()
    with pytest.raises(ValueError, match=f"holds an earlier run .{mark}.*--ov"):
        OutputFolder(tmp_path)


def test_other_files_are_left_alone(tmp_path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    _publish(OutputFolder(tmp_path), "one")
    _publish(OutputFolder(tmp_path, overwrite=True), "two")
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_overwriting_leaves_nothing_of_the_earlier_run(tmp_path) -> None:
    _publish(OutputFolder(tmp_path), "one")
    (tmp_path / "policies.png").touch()
    _publish(OutputFolder(tmp_path, overwrite=True), "two")
    assert os.listdir(tmp_path / "saved_model") == ["two"]
    assert not (tmp_path / "policies.png").exists()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_interrupted_run_leaves_nothing(tmp_path, error: type) -> None:
    folder = OutputFolder(tmp_path)
    with pytest.raises(error), folder.collect() as stage:
        (stage / "curves.csv").write_text("half")
        raise error
    assert os.listdir(tmp_path) == []


def test_an_interrupted_run_leaves_the_earlier_one(tmp_path) -> None:
    _publish(OutputFolder(tmp_path), "one")
    folder = OutputFolder(tmp_path, overwrite=True)
    with pytest.raises(RuntimeError), folder.collect() as stage:
        (stage / "curves.csv").write_text("half")
        raise RuntimeError
    assert (tmp_path / "curves.csv").read_text() == "one"
    assert os.listdir(tmp_path / "saved_model") == ["one"]


def test_a_run_that_finishes_later_does_not_replace_another(tmp_path) -> None:
    slow, fast = OutputFolder(tmp_path), OutputFolder(tmp_path)
    _publish(fast, "fast")
    with pytest.raises(ValueError, match="holds an earlier run"):
        _publish(slow, "slow")
    assert (tmp_path / "curves.csv").read_text() == "fast"


def test_the_summary_is_published_last(tmp_path, monkeypatch) -> None:
    moved = []
    replace = os.replace

    def record(source, target) -> None:
        moved.append(os.path.basename(target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", record)
    _publish(OutputFolder(tmp_path), "one")
    assert moved[-1] == "summary.json"


def test_files_are_on_the_disk_before_they_get_their_names(
    tmp_path, monkeypatch
) -> None:
    events = []
    for name in ("fsync", "replace"):
        function = getattr(os, name)

        def call(*arguments, name=name, function=function) -> None:
            events.append(name)
            function(*arguments)

        monkeypatch.setattr(os, name, call)
    _publish(OutputFolder(tmp_path), "one")
    # Two files, and a folder with one.
    assert events == ["fsync", "replace"] * 3


def test_a_file_is_no_folder(tmp_path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="is a file"):
        OutputFolder(tmp_path / "file")


def test_a_folder_needs_a_name() -> None:
    with pytest.raises(ValueError, match="must name a folder"):
        OutputFolder("")


def _leave_checkpoint(folder: OutputFolder) -> None:
    folder.checkpoints.mkdir()
    (folder.checkpoints / "naive").touch()


def test_what_was_interrupted_is_resumed_and_its_checkpoints_go(
    tmp_path,
) -> None:
    first = OutputFolder(tmp_path, resume=True)
    assert not first.is_resumed
    _leave_checkpoint(first)
    assert "--resume" in interrupted(first)
    # Killed while files were being moved.
    (tmp_path / ".unfinished-abc").mkdir()
    (tmp_path / "config.json").touch()
    again = OutputFolder(tmp_path, resume=True)
    assert again.is_resumed and not again.has_finished
    _publish(again, "one")
    assert sorted(os.listdir(tmp_path)) == [
        "curves.csv",
        "saved_model",
        "summary.json",
    ]


def test_what_was_interrupted_is_not_lost_unasked(tmp_path) -> None:
    _leave_checkpoint(OutputFolder(tmp_path))
    with pytest.raises(ValueError, match="Continue it with --resume, start"):
        OutputFolder(tmp_path)
    assert not OutputFolder(tmp_path, overwrite=True).has_checkpoints


def test_what_has_finished_is_not_resumed(tmp_path) -> None:
    _publish(OutputFolder(tmp_path), "one")
    folder = OutputFolder(tmp_path, resume=True)
    assert folder.has_finished
    assert "Nothing was written" in interrupted(folder)


def test_a_run_is_resumed_or_replaced(tmp_path) -> None:
    with pytest.raises(ValueError, match="one of --overwrite and --resume"):
        OutputFolder(tmp_path, overwrite=True, resume=True)


def test_named_tuples_are_objects_in_json(tmp_path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"checks": [at_most("share", 0.5, 1.0)]})
    (check,) = json.loads(path.read_text())["checks"]
    assert check == {
        "name": "share",
        "measured": 0.5,
        "required": "<= 1",
        "passed": True,
    }


def test_json_has_null_for_what_is_not_finite(tmp_path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"a": [float("nan"), 1.5], "b": (float("inf"), None)})
    assert json.loads(path.read_text()) == {"a": [None, 1.5], "b": [None, None]}
