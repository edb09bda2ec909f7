"""The folder of results: complete or untouched."""

import json
import os
import pathlib
import shutil

import numpy as np
import pytest

from experiments.command_line.commands import interrupted
from experiments.results import outputs
from experiments.results.check_list import at_most
from experiments.results.outputs import OutputFolder, optional, write_json


def _publish(folder: OutputFolder, text: str, *pictures: str) -> None:
    """Publishes files, with a list of them if there are pictures."""
    with folder.collect() as stage:
        for name in pictures:
            (stage / name).write_text(text)
        if pictures:
            files = ["summary.json", "curves.csv", "saved_model", "config.json"]
            write_json(
                stage / "config.json",
                {"files": [*files, *pictures], "versions": {"dice_tf": "1"}},
            )
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


def test_a_folder_that_was_removed_meanwhile_is_made_again(tmp_path) -> None:
    folder = OutputFolder(tmp_path / "run")
    folder.path.rmdir()
    _publish(folder, "one")
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
    _publish(OutputFolder(tmp_path), "one", "policies.png", "curves.png")
    _publish(OutputFolder(tmp_path, overwrite=True), "two", "curves.png")
    assert os.listdir(tmp_path / "saved_model") == ["two"]
    assert not (tmp_path / "policies.png").exists()
    assert (tmp_path / "curves.png").read_text() == "two"


@pytest.mark.parametrize("is_listed", [True, False])
def test_pictures_of_a_user_stay(tmp_path, is_listed: bool) -> None:
    """With and without --overwrite, and beside those of an earlier run."""
    (tmp_path / "mine.png").write_text("mine")
    pictures = ("curves.png",) if is_listed else ()
    _publish(OutputFolder(tmp_path), "one", *pictures)
    _publish(OutputFolder(tmp_path, overwrite=True), "two")
    assert (tmp_path / "mine.png").read_text() == "mine"
    assert not (tmp_path / "curves.png").exists()


def test_a_picture_of_a_user_that_is_in_the_way_is_not_replaced(
    tmp_path,
) -> None:
    """Before the training if its name is known, else at the end."""
    picture = tmp_path / "policies_naive.png"
    picture.write_text("mine")
    with pytest.raises(ValueError, match=r"\(policies_naive.png\), or"):
        OutputFolder(tmp_path)
    picture.unlink()
    folder = OutputFolder(tmp_path)
    (tmp_path / "other.png").write_text("mine")
    with pytest.raises(ValueError, match="results of this run are in") as error:
        _publish(folder, "one", "other.png")
    assert (tmp_path / "other.png").read_text() == "mine"
    kept = pathlib.Path(str(error.value).split("'")[-2])
    assert (kept / "curves.csv").read_text() == "one"
    assert not list(tmp_path.glob(".unfinished-*"))


@pytest.mark.parametrize(
    "listed", [["../mine.png", "..", "", "/etc/hosts", 1, None], "mine.png", {}]
)
def test_a_list_that_was_forged_reaches_nothing_outside(
    tmp_path, listed
) -> None:
    (tmp_path / "mine.png").write_text("mine")
    folder = tmp_path / "run"
    folder.mkdir()
    config = {"files": listed, "versions": {"dice_tf": "1"}}
    (folder / "config.json").write_text(json.dumps(config))
    _publish(OutputFolder(folder, overwrite=True), "one")
    assert (tmp_path / "mine.png").read_text() == "mine"
    assert (folder / "curves.csv").read_text() == "one"


def test_the_list_of_another_program_is_not_ours(tmp_path) -> None:
    (tmp_path / "index.js").write_text("mine")
    config = {"files": ["index.js"], "versions": ["1"]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    _publish(OutputFolder(tmp_path, overwrite=True), "one")
    assert (tmp_path / "index.js").read_text() == "mine"


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 10**5, "\udcff"])
def test_a_configuration_that_is_damaged_lists_nothing(
    tmp_path, text: str
) -> None:
    content = text.encode(errors="surrogateescape")
    (tmp_path / "config.json").write_bytes(content)
    _publish(OutputFolder(tmp_path, overwrite=True), "one")
    assert (tmp_path / "curves.csv").read_text() == "one"


def test_what_a_link_leads_to_stays(tmp_path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "weights").write_text("mine")
    folder = tmp_path / "run"
    _publish(OutputFolder(folder), "one")
    shutil.rmtree(folder / "saved_model")
    (folder / "saved_model").symlink_to(elsewhere)
    _publish(OutputFolder(folder, overwrite=True), "two")
    assert (elsewhere / "weights").read_text() == "mine"
    assert os.listdir(folder / "saved_model") == ["two"]
    assert (folder / "summary.json").read_text() == "two"


@pytest.mark.parametrize("call", range(1, 9))
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_an_error_while_publishing_leaves_the_earlier_run(
    tmp_path, monkeypatch, call: int, error: type
) -> None:
    """Whichever of four removals and four publications fails."""
    _publish(OutputFolder(tmp_path), "one", "curves.png")
    replace, calls = os.replace, []

    def fail(source, target) -> None:
        calls.append(source)
        if len(calls) == call:
            raise error(28, "No space left on device")
        replace(source, target)

    folder = OutputFolder(tmp_path, overwrite=True)
    with monkeypatch.context() as patch:
        patch.setattr(outputs.os, "replace", fail)
        with pytest.raises((ValueError, KeyboardInterrupt)):
            _publish(folder, "two")
    assert (tmp_path / "summary.json").read_text() == "one"
    assert (tmp_path / "curves.csv").read_text() == "one"
    assert (tmp_path / "curves.png").read_text() == "one"
    assert os.listdir(tmp_path / "saved_model") == ["one"]
    kept = list(tmp_path.glob("unpublished-*/curves.csv"))
    assert len(kept) == (error is OSError)


def test_what_cannot_be_written_is_left_out_with_a_warning(
    tmp_path, capsys
) -> None:
    folder = OutputFolder(tmp_path)
    with folder.collect() as stage:
        (stage / "summary.json").write_text("one")
        with optional(stage / "policies.png"):
            (stage / "policies.png").write_text("half")
            raise RuntimeError("no such colour")
        with optional(stage / "saved_model"):
            (stage / "saved_model").mkdir()
            raise UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates")
    assert os.listdir(tmp_path) == ["summary.json"]
    said = capsys.readouterr().err
    assert "Warning: policies.png was left out, since writing it failed" in said
    assert "no such colour" in said and "Warning: saved_model" in said


def test_an_interrupt_is_not_an_error_of_a_picture(tmp_path) -> None:
    with pytest.raises(KeyboardInterrupt), optional(tmp_path / "policies.png"):
        raise KeyboardInterrupt


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


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("file", "must be a folder. .*/file' is a file"),
        ("file/run", "must be a folder. .*/file' is a file"),
        ("file/a/run", "must be a folder. .*/file' is a file"),
        ("dangling", "dangling' is a symbolic link to 'nowhere', which is not"),
        ("dangling/run", "dangling' is a symbolic link to 'nowhere', which"),
        ("circle", "circle' is a symbolic link to 'circle', which is not"),
        ("\udcff", r"path in UTF-8: .*Received: '/.*/\\udcff'"),
        ("\udcff/run", r"path in UTF-8: .*Received: '/.*/\\udcff/run'"),
        ("a" * 300, "--output_dir=.*a' cannot be made or written: File name"),
    ],
)
def test_a_path_that_is_no_folder_is_refused(
    tmp_path, name: str, message: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(ValueError, match=message):
        OutputFolder(tmp_path / name)
    assert len(os.listdir(tmp_path)) == 3


def test_a_working_folder_must_be_utf_8_too(tmp_path, monkeypatch) -> None:
    folder = tmp_path / "\udcff"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with pytest.raises(ValueError, match="path in UTF-8"):
        OutputFolder("run")


def test_a_folder_that_cannot_be_written_is_refused(
    tmp_path, monkeypatch
) -> None:
    """The superuser of a test may write everywhere."""

    def refuse(**_) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(outputs.tempfile, "TemporaryFile", refuse)
    with pytest.raises(ValueError, match="made or written: Permission denied"):
        OutputFolder(tmp_path)


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
    # Killed while files were being moved, and while one was written.
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


def test_json_takes_whatever_settings_are_made_of(tmp_path) -> None:
    path = tmp_path / "a.json"
    content = {
        1: np.float32(0.5),
        "n": np.int64(3),
        "nan": np.float32("nan"),
        "flag": True,
        "path": pathlib.Path("\udcff"),
    }
    write_json(path, content)
    assert json.loads(path.read_text()) == {
        "1": 0.5,
        "n": 3,
        "nan": None,
        "flag": True,
        "path": "\udcff",
    }


def test_json_has_null_for_what_is_not_finite(tmp_path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"a": [float("nan"), 1.5], "b": (float("inf"), None)})
    assert json.loads(path.read_text()) == {"a": [None, 1.5], "b": [None, None]}


def test_a_link_in_place_of_leftovers_stays(tmp_path) -> None:
    mine, folder = tmp_path / "mine", tmp_path / "run"
    mine.mkdir()
    (mine / "mine.txt").write_text("mine")
    (folder / ".checkpoints").mkdir(parents=True)
    (folder / ".checkpoints" / "naive").touch()
    (folder / ".unfinished-x").symlink_to(mine)
    assert OutputFolder(folder, resume=True).is_resumed
    assert (mine / "mine.txt").read_text() == "mine"
