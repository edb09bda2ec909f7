"""Arrays that a run has measured so far: whole, and nobody else's."""

import hashlib
import io
import json
import os
import resource

import numpy as np
import pytest

from experiments.results import outputs, partial_results
from experiments.results.partial_results import PartialResults
from tests.experiments.kills import Killed, kill_at

SETTINGS = {"rate": 0.1, "sizes": (4, 4), "critic": None}


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {
        "curves": rng.normal(size=(3, 2)).astype(np.float32),
        "count": np.array(7, np.int32),
        "none": np.zeros([0, 2]),
    }


def test_arrays_are_found_again_bit_by_bit(arrays, tmp_path) -> None:
    path = tmp_path / "a" / "own.npz"
    first = PartialResults(path, SETTINGS)
    assert first.load() == {}
    first.save({"curves": arrays["count"]})
    first.save(arrays)
    assert os.listdir(path.parent) == ["own.npz"]
    found = PartialResults(path, SETTINGS).load()
    assert list(found) == list(arrays)
    for name, values in arrays.items():
        assert found[name].dtype == values.dtype
        np.testing.assert_array_equal(found[name], values)


def test_the_time_of_the_run_that_is_continued_counts(
    arrays, tmp_path, monkeypatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(partial_results.time, "monotonic", lambda: now[0])
    first = PartialResults(tmp_path / "own.npz", SETTINGS, every_seconds=5.0)
    now[0] += 4.0
    assert first.seconds == 4.0 and not first.is_due
    now[0] += 2.0
    assert first.is_due
    first.save(arrays)
    assert not first.is_due
    again = PartialResults(tmp_path / "own.npz", SETTINGS)
    now[0] += 1.0
    again.load()
    assert again.seconds == 7.0


def test_the_file_of_another_configuration_is_refused(arrays, tmp_path) -> None:
    PartialResults(tmp_path / "own.npz", SETTINGS).save(arrays)
    other = PartialResults(
        tmp_path / "own.npz", {"rate": 0.2, "sizes": [4, 4], "tau": 1}
    )
    with pytest.raises(
        ValueError,
        match="own.npz' is that of another run: `configuration.rate` is 0.1 "
        "there and 0.2 here; `configuration.tau` is None there and 1 here",
    ):
        other.load()


def _resealed(body: bytes) -> bytes:
    """Returns a file whose digest fits."""
    return body + hashlib.sha256(body).hexdigest().encode()


def _archive(write=np.savez, **arrays) -> bytes:
    buffer = io.BytesIO()
    write(buffer, **arrays)
    return _resealed(buffer.getvalue())


_DEEP = '{"rate": ' + "[" * 900 + "]" * 900 + "}"
_FORGED = {
    "nothing": _resealed(b""),
    "another archive": _archive(notes=np.zeros(1)),
    "no mapping": _archive(configuration="[]", seconds=1.0),
    "deep": _archive(configuration="[" * 10**5, seconds=1.0),
    "negative": _archive(configuration="{}", seconds=-1.0),
    "not finite": _archive(configuration="{}", seconds=np.nan),
    "text": _archive(configuration="{}", seconds="x"),
    "pickle": _archive(
        configuration="{}", seconds=1.0, x=np.array([{}], object)
    ),
    "bomb": _archive(
        np.savez_compressed, configuration="{}", seconds=1.0, x=np.zeros(10**6)
    ),
}


@pytest.mark.parametrize("kind", _FORGED)
def test_a_forged_file_is_refused(tmp_path, kind: str) -> None:
    path = tmp_path / "own.npz"
    path.write_bytes(_FORGED[kind])
    with pytest.raises(ValueError, match="no results of a run, or is damaged"):
        PartialResults(path, SETTINGS).load()


def test_a_message_about_a_forged_file_has_an_end(tmp_path) -> None:
    names = {f"{number}{'x' * 10**5}": 1 for number in range(100)}
    for configuration in (_DEEP, json.dumps(names)):
        content = _archive(configuration=configuration, seconds=1.0)
        (tmp_path / "own.npz").write_bytes(content)
        with pytest.raises(ValueError, match="Remove it|remove it") as error:
            PartialResults(tmp_path / "own.npz", SETTINGS).load()
        assert len(str(error.value)) < 4000


@pytest.mark.parametrize("kind", ["cut", "empty", "foreign", "npy"])
def test_a_damaged_file_is_refused(arrays, tmp_path, kind: str) -> None:
    path = tmp_path / "own.npz"
    kept = PartialResults(path, SETTINGS)
    kept.save(arrays)
    content = path.read_bytes()
    if kind == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "npy":
        with open(path, "wb") as file:
            np.save(file, np.zeros(1))
    else:
        np.savez(path, notes=np.zeros(1))
    with pytest.raises(ValueError, match="holds no results of a run, or is da"):
        kept.load()


def test_every_flipped_byte_is_found(arrays, tmp_path) -> None:
    """Of the archive, of the arrays, and of the digest."""
    path = tmp_path / "own.npz"
    kept = PartialResults(path, SETTINGS)
    kept.save(arrays)
    content = path.read_bytes()
    for place in range(len(content)):
        flipped = bytes([content[place] ^ 1 << place % 8])
        path.write_bytes(content[:place] + flipped + content[place + 1 :])
        with pytest.raises(ValueError, match="does not match its digest"):
            kept.load()


def test_a_file_that_cannot_be_read_is_not_called_damaged(tmp_path) -> None:
    with pytest.raises(ValueError, match="cannot be read: .*directory"):
        PartialResults(tmp_path, SETTINGS).load()


def test_a_configuration_with_nan_matches_itself(arrays, tmp_path) -> None:
    settings = SETTINGS | {"rate": float("nan")}
    PartialResults(tmp_path / "own.npz", settings).save(arrays)
    assert list(PartialResults(tmp_path / "own.npz", settings).load())


def test_a_full_disk_leaves_the_earlier_file_and_the_run(
    arrays, tmp_path, capsys
) -> None:
    kept = PartialResults(tmp_path / "own.npz", SETTINGS)
    kept.save(arrays)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        kept.save({"curves": arrays["count"]})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    said = capsys.readouterr().err
    assert "own.npz' could not be written: [Errno 27]" in said
    assert os.listdir(tmp_path) == ["own.npz"]
    np.testing.assert_array_equal(kept.load()["curves"], arrays["curves"])


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_file_is_whole_whenever_writing_it_ends(
    arrays, tmp_path, monkeypatch, step: str
) -> None:
    kept = PartialResults(tmp_path / "own.npz", SETTINGS)
    kept.save(arrays)
    with monkeypatch.context() as patch:
        kill_at(patch, outputs.os, step, 1)
        with pytest.raises(Killed):
            kept.save({"curves": arrays["count"]})
    np.testing.assert_array_equal(kept.load()["curves"], arrays["curves"])
