"""Files of a run that are damaged or forged, by the hundreds in one process.

Each kind of file is flipped, cut, extended and forged. What reads it must
either refuse it with a `ValueError`, or get from it what was in the whole file.
Nothing else that is in the folder, or in the trainer, may have changed then.
"""

import io
import json
import pathlib
import random
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.damaged_checkpoints import Fault, cuts, digested, flips, fuzz
from benchmarks.disturbed_training import change_of, content_of
from benchmarks.trials import LOST, REFUSED, SURVIVED, Trial
from experiments.results.check_list import (
    as_table,
    at_least,
    read_checks,
    summary,
)
from experiments.results.outputs import (
    CONFIG,
    SUMMARY,
    OutputFolder,
    write_json,
)
from experiments.results.partial_results import PartialResults
from experiments.results.run_record import RunRecord

_PART = "damaged_files"
_LONGEST_MESSAGE = 4000
_DEEP = "[" * 10**5 + "]" * 10**5


def damaged_files(num: int, seed: int) -> list[Trial]:
    """Damages each kind of file.

    Args:
      num: number of flipped bits, and of cuts, of each kind of file.
      seed: of their places.
    """
    trials = []
    for kind in (
        _checkpoints,
        _partial_results,
        _records,
        _lists_of_files,
        _summaries,
        _payoffs,
        _policies,
    ):
        with tempfile.TemporaryDirectory() as name:
            found = kind(pathlib.Path(name), num, seed)
        print(f"  {len(found)} faults:{kind.__name__.replace('_', ' ')}.")
        trials += found
    return trials


def judge(
    kind: str,
    faults: Iterator[Fault],
    read: Callable[[bytes], Any],
    expected: Any,
    changed: Callable[[], str] = str,
) -> list[Trial]:
    """Reads each file, and says what came of it.

    Args:
      kind: of the file.
      faults: the files.
      read: reads a file of this content.
      expected: what the whole file holds, and a damaged one that is taken.
      changed: says what else has changed, `""` if nothing has.
    """
    trials = []
    for name, content in faults:
        outcome, detail = SURVIVED, ""
        try:
            found = read(content)
            if not _equal(found, expected):
                outcome, detail = LOST, f"was taken for {str(found)[:200]}"
        except ValueError as error:
            outcome, detail = REFUSED, str(error)
            if len(detail) > _LONGEST_MESSAGE:
                outcome, detail = LOST, "a message without end"
        except Exception as error:
            outcome, detail = LOST, f"{type(error).__name__}: {error}"
        if difference := changed():
            outcome, detail = LOST, difference
        trials.append(Trial(_PART, f"{kind}, {name}", outcome, detail))
    return trials


def _equal(found: Any, expected: Any) -> bool:
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(
            np.array_equal(found[name], expected[name]) for name in expected
        )
    return np.array_equal(found, expected)


def _damages(content: bytes, num: int, seed: int) -> Iterator[Fault]:
    rng = random.Random(seed)
    yield from flips(content, num, rng)
    yield from cuts(content, num, rng)
    yield Fault("empty", b"")


def _checkpoints(place: pathlib.Path, num: int, seed: int) -> list[Trial]:
    """Damages the checkpoint of a trainer."""
    import dice_tf

    trainer, fresh = _trainer(), _trainer()
    path = place / "checkpoint"
    checkpoint = dice_tf.callbacks.Checkpoint(path, keep=True)
    trainer.fit(epochs=2, steps_per_epoch=1, verbose=0, callbacks=[checkpoint])
    content = path.read_bytes()

    def restore(damaged: bytes) -> None:
        path.write_bytes(damaged)
        checkpoint.restore(fresh)

    trials = []
    outcomes = fuzz(content, restore, lambda: _state(fresh), num=num, seed=seed)
    for kind, outcome in outcomes.items():
        refused = Trial(_PART, f"checkpoint, {kind}", REFUSED)
        trials += [refused] * outcome.refused
        trials += [
            refused._replace(outcome=LOST, detail=text)
            for text in outcome.escaped
        ]
    # The faults prove nothing if the whole file is refused, too.
    restore(content)
    are_same = all(map(np.array_equal, _state(fresh), _state(trainer)))
    outcome = SURVIVED if are_same else LOST
    return [*trials, Trial(_PART, "checkpoint, whole", outcome)]


def _trainer() -> Any:
    import keras

    import dice_tf

    game = dice_tf.games.iterated_prisoners_dilemma(episode_length=4)
    policies = [dice_tf.policies.tabular(game, i) for i in range(2)]
    objective = dice_tf.objectives.DiCEObjective(
        game, policies, 0.96, 4, baseline="leave_one_out"
    )
    trainer = dice_tf.Trainer(objective, [dice_tf.learners.Naive()] * 2)
    trainer.compile(keras.optimizers.Adam(0.1), jit_compile=False)
    return trainer


def _state(trainer: Any) -> list[np.ndarray]:
    snapshot = trainer.take_snapshot()
    return [*snapshot.values, snapshot.curves]


def _partial_results(place: pathlib.Path, num: int, seed: int) -> list[Trial]:
    """Damages the arrays that a run has measured so far."""
    path = place / "runs.npz"
    settings = {"rate": 0.1, "sizes": (4, 4), "bound": float("nan")}
    arrays = {
        "curves": np.random.default_rng(seed).normal(size=(3, 2)),
        "count": np.array(7, np.int32),
    }
    PartialResults(path, settings).save(arrays)
    content = path.read_bytes()

    def read(damaged: bytes) -> dict[str, np.ndarray]:
        path.write_bytes(damaged)
        return PartialResults(path, settings).load()

    whole = iter([Fault("whole", content)])
    return [
        *judge("partial results", whole, read, arrays),
        *judge("partial results", _damages(content, num, seed), read, arrays),
        *judge("partial results", _forged_results(), read, None),
    ]


def _forged_results() -> Iterator[Fault]:
    """Yields archives whose digest fits, and which hold something odd."""
    good = {"configuration": "{}", "seconds": 1.0}
    for name, changes in {
        "no configuration": {"configuration": "null"},
        "a deep configuration": {"configuration": _DEEP},
        "negative time": {"seconds": -1.0},
        "no time": {"seconds": np.nan},
        "an object": {"x": np.array([{}], object)},
    }.items():
        yield Fault(f"forged: {name}", _archive(np.savez, good | changes))
    bomb = good | {"x": np.zeros(10**6)}
    yield Fault("forged: a bomb", _archive(np.savez_compressed, bomb))
    yield Fault("forged: no archive", digested(b"nothing"))
    yield Fault("forged: only a digest", digested(b""))


def _archive(save: Callable[..., None], arrays: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    save(buffer, **arrays)
    return digested(buffer.getvalue())


def _records(place: pathlib.Path, num: int, seed: int) -> list[Trial]:
    """Damages the record of the run that checkpoints belong to."""
    record = RunRecord("experiments.ipd", {"rate": 0.1, "seeds": [1, 2]}, "me")
    folder = OutputFolder(place, record=record)
    folder.checkpoint_path("naive").write_bytes(b"checkpoint")
    path = folder.checkpoints / "run.json"
    content = path.read_bytes()
    before = content_of(place)

    def read(damaged: bytes) -> bool:
        path.write_bytes(damaged)
        return OutputFolder(place, resume=True, record=record).is_resumed

    def changed() -> str:
        return change_of(before, place, [str(path.relative_to(place))])

    faults = [
        *_damages(content, num, seed),
        *_odd_json(json.loads(content)),
    ]
    return judge("record", iter(faults), read, True, changed)


def _odd_json(content: dict[str, Any]) -> Iterator[Fault]:
    """Yields JSON in the place of an object with these entries."""
    for text in ("null", "3", "[]", "{}", '"x"', _DEEP, '{"a":' * 10**5):
        yield Fault(f"forged: {text[:10]}", text.encode())
    for key in content:
        lacking = {name: x for name, x in content.items() if name != key}
        yield Fault(f"forged: no {key}", json.dumps(lacking).encode())
        for value in (None, 3.5, "x", [], [None], {"": []}, float("nan")):
            odd = json.dumps(content | {key: value}).encode()
            yield Fault(f"forged: {key} is {value!r}", odd)


def _lists_of_files(place: pathlib.Path, num: int, seed: int) -> list[Trial]:
    """Damages the list of what an earlier run wrote, which is then replaced.

    Whatever it says, no file of the user's is touched.
    """
    folder = place / "results"
    (folder / "pictures").mkdir(parents=True)
    for name in ("results/mine.txt", "results/pictures/a.png", "outside"):
        (place / name).write_text("mine")
    before = content_of(place)
    config = {
        "files": [CONFIG, SUMMARY, "curves.csv"],
        "versions": {"dice_tf": "1"},
    }
    content = json.dumps(config).encode()
    ours = [f"results/{name}" for name in (CONFIG, SUMMARY, "curves.csv")]

    def replace(damaged: bytes) -> str:
        for name in (SUMMARY, "curves.csv"):
            (folder / name).write_text("old")
        (folder / CONFIG).write_bytes(damaged)
        with OutputFolder(folder, overwrite=True).collect() as stage:
            (stage / SUMMARY).write_text("new")
        return (folder / SUMMARY).read_text()

    names = ["../outside", str(place / "outside"), "..", ".", "", "pictures/x"]
    names += ["../results/mine.txt", "pictures/../mine.txt", "\0", "\ud800"]
    forged = [
        Fault(
            f"forged: lists {name!r}",
            json.dumps(config | {"files": [name]}).encode(),
        )
        for name in (*names, None, 3, ["mine.txt"], {"mine.txt": 1})
    ]
    faults = [*_damages(content, num, seed), *_odd_json(config), *forged]
    return judge(
        "list of files",
        iter(faults),
        replace,
        "new",
        lambda: change_of(before, place, ours),
    )


def _summaries(place: pathlib.Path, num: int, seed: int) -> list[Trial]:
    """Damages the summary of a finished run. As it is JSON, bits may flip."""
    checks = [at_least("share", 0.5, 0.9), at_least("gain", 2.0, 1.0)]
    path = place / SUMMARY
    write_json(path, summary(checks))
    content = path.read_bytes()

    def read(damaged: bytes) -> str:
        path.write_bytes(damaged)
        return as_table(read_checks(path))[:5]

    faults = [*_damages(content, num, seed), *_odd_json(json.loads(content))]
    return judge(SUMMARY, iter(faults), read, as_table(checks)[:5])


def _payoffs(place: pathlib.Path, num: int, seed: int) -> list[Trial]:
    """Cuts files of payoffs. They have no digest, so that bits may flip."""
    from experiments.settings.matrix_games import read_payoffs

    payoffs = np.random.default_rng(seed).normal(size=(2, 2, 2))
    np.save(place / "payoffs.npy", payoffs)
    (place / "payoffs.json").write_text(json.dumps(payoffs.tolist()))
    trials = []
    for name in ("payoffs.npy", "payoffs.json"):
        path = place / name
        content = path.read_bytes()

        def read(damaged: bytes) -> list:
            path.write_bytes(damaged)  # noqa: B023
            return read_payoffs(str(path))  # noqa: B023

        faults = cuts(content, num, random.Random(seed))
        trials += judge(name, faults, read, payoffs)
    return trials


def _policies(place: pathlib.Path, num: int, seed: int) -> list[Trial]:
    """Damages the Keras file of a policy."""
    import dice_tf
    from experiments.building.builders import load_policy

    path = place / "policy.keras"
    game = dice_tf.games.iterated_prisoners_dilemma()
    policy = dice_tf.policies.mlp(game, 0, hidden_units=[3])
    policy.save(path)

    def read(damaged: bytes) -> dict[str, np.ndarray]:
        path.write_bytes(damaged)
        return _weights(load_policy(str(path)))

    # Each takes some hundredths of a second.
    faults = _damages(path.read_bytes(), max(1, num // 3), seed)
    return judge("Keras file", faults, read, _weights(policy))


def _weights(policy: Any) -> dict[str, np.ndarray]:
    return {str(i): weight for i, weight in enumerate(policy.get_weights())}
