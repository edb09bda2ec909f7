"""Results on a disk that is full: what is kept, and what is said."""

import errno
import os

import pytest

from experiments.results import provenance
from experiments.results.outputs import OutputFolder, write_json
from experiments.results.provenance import collect_results
from experiments.results.run_record import RunRecord


@pytest.fixture
def full_disk(monkeypatch):
    """There is room for records only if there is no picture."""

    def write(path, content) -> None:
        path.write_text("{")
        if any(path.parent.glob("*.png")):
            raise OSError(errno.ENOSPC, "No space left on device")
        write_json(path, content)

    monkeypatch.setattr(provenance, "write_json", write)


def test_pictures_make_room_for_the_summary(
    full_disk, tmp_path, capsys
) -> None:
    with collect_results(OutputFolder(tmp_path), {}, {"seconds": 1}) as stage:
        (stage / "curves.csv").write_text("curves")
        (stage / "curves.png").write_text("picture")
        (stage / "saved_model").mkdir()
    found = sorted(os.listdir(tmp_path))
    assert found == ["config.json", "curves.csv", "summary.json"]
    assert '"seconds": 1' in (tmp_path / "summary.json").read_text()
    assert "saved_model" not in (tmp_path / "config.json").read_text()
    said = capsys.readouterr().err
    assert "Warning: curves.png was left out, since writing it" in said
    assert "Warning: saved_model was left out, since writing it" in said


@pytest.mark.parametrize("has_checkpoint", [False, True])
def test_an_error_says_how_to_go_on(
    monkeypatch, tmp_path, has_checkpoint
) -> None:
    def write(*_) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    record = RunRecord("experiments.ipd", {}, "python -m experiments.ipd")
    folder = OutputFolder(tmp_path, record=record)
    message = "No checkpoint of the run is left."
    if has_checkpoint:
        folder.checkpoint_path("naive").touch()
        message = "To go on from there:\n  python -m experiments.ipd"
    monkeypatch.setattr(provenance, "write_json", write)
    with (
        pytest.raises(
            SystemExit,
            match=f"^Error: The results could not be written: .*No space left "
            f"on device. .*{message}",
        ),
        collect_results(folder, {}, {}),
    ):
        pass
    assert folder.has_checkpoints == has_checkpoint
