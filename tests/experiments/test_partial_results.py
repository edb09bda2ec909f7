"""Arrays that a run has measured so far: whole, and nobody else's."""

import os

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


@pytest.mark.parametrize("kind", ["cut", "flipped", "empty", "foreign", "npy"])
def test_a_damaged_file_is_refused(arrays, tmp_path, kind: str) -> None:
    path = tmp_path / "own.npz"
    kept = PartialResults(path, SETTINGS)
    kept.save(arrays)
    content = path.read_bytes()
    middle = content.index(arrays["curves"].tobytes())
    if kind == "cut":
        path.write_bytes(content[:middle])
    elif kind == "flipped":
        flipped = bytes([content[middle] ^ 1])
        path.write_bytes(content[:middle] + flipped + content[middle + 1 :])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "npy":
        with open(path, "wb") as file:
            np.save(file, np.zeros(1))
    else:
        np.savez(path, notes=np.zeros(1))
    with pytest.raises(ValueError, match="holds no results of a run, or is da"):
        kept.load()


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
