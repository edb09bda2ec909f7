"""Files and folders that are made to run a program, or to lead elsewhere.

What runs leaves a mark. SavedModels are not among them: they are programs, and
--learner and --entrants say so.
"""

import json
import os
import pathlib
import pickle
import sys
import zipfile
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks.damaged_checkpoints import digested, sealed
from benchmarks.disturbed_training import (
    Training,
    change_of,
    checkpoints,
    content_of,
)
from benchmarks.trials import (
    EXECUTED,
    LOST,
    REFUSED,
    SURVIVED,
    Trial,
    judged,
)
from experiments.results.folder_lock import LOCK
from experiments.results.outputs import SUMMARY, OutputFolder, open_folder
from experiments.results.partial_results import PartialResults
from experiments.results.run_record import RunRecord

_PART = "hostile_files"
_NOT_A_CHECKPOINT = "is not a checkpoint of a trainer, or is damaged"


class _Payload:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: pathlib.Path):
        self._command = f"touch '{mark}'"

    def __reduce__(self) -> tuple:
        return os.system, (self._command,)


class Attack(NamedTuple):
    """A file, and what reads it.

    Attributes:
      name: of the fault.
      write: writes the file, given its path and that of the mark.
      read: reads it, and raises a `ValueError`.
    """

    name: str
    write: Callable[[pathlib.Path, pathlib.Path], None]
    read: Callable[[pathlib.Path], Any]


def hostile_files(training: Training) -> list[Trial]:
    """Lets the library read each file, and commands some of them."""
    place = training.place / "hostile"
    place.mkdir()
    trials = []
    for attack in attacks():
        folder = place / attack.name
        folder.mkdir()
        trials.append(attempt(attack, folder))
    print(f"  {len(trials)} files.", flush=True)
    trials += _links(place / "links")
    return [*trials, *_commands(training, place)]


def attempt(attack: Attack, folder: pathlib.Path) -> Trial:
    mark = folder / "mark"
    path = folder / "policy.keras"
    attack.write(path, mark)
    # Whoever writes such a model has called it.
    mark.unlink(missing_ok=True)
    before = content_of(folder)
    outcome, detail = LOST, "it was taken"
    try:
        attack.read(path)
    except ValueError as error:
        outcome, detail = REFUSED, str(error)
    except Exception as error:
        detail = f"{type(error).__name__}: {error}"
    if difference := change_of(before, folder):
        outcome, detail = EXECUTED, difference
    return Trial(_PART, attack.name, outcome, detail)


def attacks() -> list[Attack]:
    from experiments.building.builders import load_policy
    from experiments.settings.matrix_games import read_payoffs

    def load(path: pathlib.Path) -> None:
        load_policy(str(path))

    def read_pickled(path: pathlib.Path) -> None:
        read_payoffs(str(path.with_suffix(".npy")))

    return [
        Attack("Lambda layer", _write_lambda, load),
        Attack("Lambda layer in HDF5", _write_hdf5, load),
        Attack("SavedPolicy layer", _write_saved_policy, load),
        Attack("SavedPolicy in a model", _write_nested_policy, load),
        Attack("TFSMLayer", _write_saved_model_layer, load),
        *(
            Attack(f"calls {function}", _calling(*call), load)
            for function, call in _CALLS.items()
        ),
        Attack("pickle as Keras file", _write_pickle, load),
        Attack("pickle in .npy", _write_object_array, read_pickled),
        Attack("pickle as checkpoint", _write_pickle, _restore),
        Attack("pickle in checkpoint", _write_pickled_member, _restore),
        Attack("pickle in partial results", _write_results, _load_results),
        Attack("pickle as partial results", _write_pickle, _load_results),
    ]


def _marking_layer(mark: pathlib.Path) -> Any:
    import keras

    # The name of the mark must be part of the code.
    code = f"lambda x: open({str(mark)!r}, 'w').close() or x"
    return keras.layers.Lambda(eval(code), output_shape=(2,))


def _write_lambda(path: pathlib.Path, mark: pathlib.Path) -> None:
    import keras

    inputs = keras.Input([5])
    outputs = _marking_layer(mark)(keras.layers.Dense(2)(inputs))
    keras.Model(inputs, outputs).save(path)


def _write_hdf5(path: pathlib.Path, mark: pathlib.Path) -> None:
    import keras

    inputs = keras.Input([5])
    outputs = _marking_layer(mark)(keras.layers.Dense(2)(inputs))
    keras.Model(inputs, outputs).save(path.with_suffix(".h5"))
    path.with_suffix(".h5").rename(path)


def _saved_policy(path: pathlib.Path, mark: pathlib.Path) -> Any:
    """Returns a policy of a SavedModel that leaves a mark when it acts."""
    import tensorflow as tf

    import dice_tf

    class Marking(tf.Module):
        @tf.function(
            input_signature=[
                tf.TensorSpec([None, 5], tf.float32, "observation")
            ]
        )
        def probabilities(self, observation: tf.Tensor) -> dict:
            with tf.control_dependencies([tf.io.write_file(str(mark), "")]):
                shares = tf.fill([tf.shape(observation)[0], 2], 0.5)
            return {"probabilities": shares}

    module = Marking()
    folder = path.with_name("program")
    tf.saved_model.save(
        module, folder, signatures={"probabilities": module.probabilities}
    )
    return dice_tf.policies.from_saved_model(folder)


def _write_saved_policy(path: pathlib.Path, mark: pathlib.Path) -> None:
    _saved_policy(path, mark).save(path)


def _write_nested_policy(path: pathlib.Path, mark: pathlib.Path) -> None:
    import keras

    policy = _saved_policy(path, mark)
    keras.Sequential([keras.Input([5]), policy]).save(path)


def _write_saved_model_layer(path: pathlib.Path, mark: pathlib.Path) -> None:
    import keras

    _saved_policy(path, mark)
    layer = keras.layers.TFSMLayer(
        str(path.with_name("program")), call_endpoint="probabilities"
    )
    keras.Sequential([keras.Input([5], name="observation"), layer]).save(path)


# Functions that a forged configuration names in place of layers, so that
# loading calls them. "MARK" and "FOLDER" stand for paths.
_CALLS = {
    "os.system": ("os", "system", ["touch 'MARK'"], {}),
    "subprocess.run": ("subprocess", "run", [["touch", "MARK"]], {}),
    "builtins.exec": ("builtins", "exec", ["open('MARK', 'w').close()"], {}),
    "pathlib.Path.touch": ("pathlib", "Path.touch", ["MARK"], {}),
    "keras.utils.get_file": (
        "keras.utils",
        "get_file",
        ["mark", "file:///etc/hostname"],
        {"cache_dir": "FOLDER", "cache_subdir": ""},
    ),
    "keras.saving.load_model": (
        "keras.saving",
        "load_model",
        ["FOLDER/inner.keras"],
        {"safe_mode": False},
    ),
    "keras.config.enable_unsafe_deserialization": (
        "keras.config",
        "enable_unsafe_deserialization",
        [],
        {},
    ),
}


def _calling(
    module: str, function: str, arguments: list, options: dict
) -> Callable[[pathlib.Path, pathlib.Path], None]:
    """Returns what writes a file whose configuration calls a function."""

    def write(path: pathlib.Path, mark: pathlib.Path) -> None:
        inner = path.with_name("inner.keras")
        _write_lambda(inner, mark)
        with zipfile.ZipFile(inner) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        config = json.loads(members["config.json"])
        node = {"args": arguments, "kwargs": options}
        text = json.dumps(
            {
                "module": module,
                "class_name": "function",
                "config": function,
                "registered_name": "function",
                "name": "called",
                "inbound_nodes": [node],
            }
        )
        text = text.replace("MARK", str(mark))
        text = text.replace("FOLDER", str(path.parent))
        # It comes before the Lambda layer, which it may let pass.
        config["config"]["layers"].insert(0, json.loads(text))
        members["config.json"] = json.dumps(config).encode()
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)

    return write


def _write_pickle(path: pathlib.Path, mark: pathlib.Path) -> None:
    path.write_bytes(pickle.dumps(_Payload(mark)))


def _write_object_array(path: pathlib.Path, mark: pathlib.Path) -> None:
    payload = np.array([_Payload(mark)], object)
    np.save(path.with_suffix(".npy"), payload, allow_pickle=True)


def _write_pickled_member(path: pathlib.Path, mark: pathlib.Path) -> None:
    """Writes a checkpoint of which one array is a pickle, and all else fits."""
    checkpoint, trainer = _checkpoint_of(path)
    checkpoint.save(trainer, 1)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["values/0"] = pickle.dumps(_Payload(mark))
    path.write_bytes(sealed(members))


def _restore(path: pathlib.Path) -> None:
    checkpoint, trainer = _checkpoint_of(path)
    checkpoint.restore(trainer)


def _checkpoint_of(path: pathlib.Path) -> tuple:
    import dice_tf

    game = dice_tf.games.iterated_prisoners_dilemma(episode_length=4)
    policies = [dice_tf.policies.tabular(game, i) for i in range(2)]
    objective = dice_tf.objectives.ExactObjective(game, policies, 0.96)
    trainer = dice_tf.Trainer(objective, [dice_tf.learners.Naive()] * 2)
    trainer.compile("sgd", jit_compile=False)
    return dice_tf.callbacks.Checkpoint(path), trainer


def _write_results(path: pathlib.Path, mark: pathlib.Path) -> None:
    with open(path, "wb") as file:
        np.savez(
            file,
            configuration="{}",
            seconds=1.0,
            x=np.array([_Payload(mark)], object),
        )
    path.write_bytes(digested(path.read_bytes()))


def _load_results(path: pathlib.Path) -> None:
    PartialResults(path, {}).load()


def _links(place: pathlib.Path) -> list[Trial]:
    """Puts links to a user's folder where a run writes and removes things."""
    trials = []
    record = RunRecord("experiments.ipd", {}, "me")
    for name, link, options in (
        ("lock", LOCK, {}),
        ("checkpoints", ".checkpoints", {"overwrite": True}),
        ("record", ".checkpoints/run.json", {"overwrite": True}),
        ("stage", ".unfinished-x", {"resume": True}),
        ("summary", SUMMARY, {"overwrite": True}),
        ("saved_model", "saved_model", {"overwrite": True}),
    ):
        folder, mine = place / name / "run", place / name / "mine"
        for path in (folder, mine):
            path.mkdir(parents=True)
        (mine / "mine.txt").write_text("mine")
        if name == "stage":
            (folder / ".checkpoints").mkdir()
            (folder / ".checkpoints" / "naive").touch()
        (folder / link).parent.mkdir(exist_ok=True)
        is_file = name in ("lock", "record", "summary")
        (folder / link).symlink_to(mine / "mine.txt" if is_file else mine)
        before = content_of(mine)
        wrong, good = "", SURVIVED
        try:
            _run_in(folder, record, options)
        except ValueError:
            good = REFUSED
        except Exception as error:
            wrong = f"{type(error).__name__}: {error}"
        wrong = wrong or change_of(before, mine)
        fault = f"a link in place of the {name}"
        trials.append(judged(_PART, fault, wrong, good))
    return trials


def _run_in(
    folder: pathlib.Path, record: RunRecord, options: dict[str, bool]
) -> None:
    """Does what a run does to its folder."""
    if options.get("resume"):
        opened = OutputFolder(folder, **options)
        with opened.collect() as stage:
            (stage / SUMMARY).write_text("{}")
        return
    with open_folder(folder, record, **options) as opened:
        opened.checkpoint_path("naive").write_text("checkpoint")
        with opened.collect() as stage:
            (stage / SUMMARY).write_text("{}")
            (stage / "saved_model").mkdir()


def _commands(training: Training, place: pathlib.Path) -> list[Trial]:
    """Gives files to commands, as a user would."""
    interrupted = training.copy_of(training.interrupted, "forged checkpoint")
    mark = place / "mark of commands"
    for path in checkpoints(interrupted):
        _write_pickle(path, mark)
    policy, payoffs = (
        place / name / "policy" for name in ("Lambda layer", "pickle in .npy")
    )
    folder = place / "run"
    trials = []
    for name, command, words in (
        (
            "--policy with a Lambda layer",
            _command(folder, f"--policy={policy}.keras"),
            "cannot be loaded",
        ),
        (
            "--payoffs with a pickle",
            _command(folder, f"--payoffs={payoffs}.npy"),
            "--payoffs must be one array",
        ),
        (
            "--resume with a pickle as checkpoint",
            training.command(interrupted),
            _NOT_A_CHECKPOINT,
        ),
    ):
        print(f"  {name}.", flush=True)
        before = content_of(interrupted)
        wrong = training.run(folder, command).wrong([1], words)
        wrong = wrong or change_of(before, interrupted)
        trial = judged(_PART, name, wrong, REFUSED)
        marks = [path for path in place.rglob("mark*") if path.is_file()]
        if marks:
            trial = trial._replace(outcome=EXECUTED, detail=str(marks))
        trials.append(trial)
    return trials


def _command(folder: pathlib.Path, *arguments: str) -> list[str]:
    program = (sys.executable, "-m", "experiments.ipd")
    tiny = ("--num_iterations=2", "--num_seeds=1", "--nojit_compile")
    return [*program, f"--output_dir={folder}", *tiny, *arguments]
