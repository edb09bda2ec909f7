"""Kills a training again and again, and compares it with one left in peace.

  python -m benchmarks.kill_resume --output_dir=runs/kill_resume

Trains once without interruption. Then starts the same training in another
folder, kills it (SIGKILL) at a random moment, continues it with --resume, and
so on, the moments spread over its iterations; every third of them while a
checkpoint is being written, one before the first checkpoint and one while the
results are written. No training goes further than the epoch after its moment,
so that the kills are as far apart on a fast machine as on a slow one. At the
end curves.csv and the weights of the policies must be those of the first
training, byte for byte. summary.json holds every check; the exit status is 1 if
one fails.
"""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf
from absl import app, flags

from benchmarks.held_training import BETWEEN, IN_WRITING, epoch_of_kill
from experiments.command_line.commands import held_folder, user_errors
from experiments.results.check_list import (
    Check,
    as_table,
    at_least,
    at_most,
    summary,
)
from experiments.results.outputs import (
    CURVES,
    SAVED_MODELS,
    SUMMARY,
    write_json,
)

FLAGS = flags.FLAGS
flags.DEFINE_string("output_dir", None, "Folder of the results.", required=True)
flags.DEFINE_bool("overwrite", False, "Whether to replace earlier results.")
flags.DEFINE_integer("num_kills", 20, "How often to kill.", lower_bound=3)
flags.DEFINE_integer("seed", 0, "Of the moments.", lower_bound=0)
flags.DEFINE_list(
    "flags",
    [
        "--num_iterations=200",
        "--num_seeds=1",
        "--episode_length=10",
        "--batch_size=4",
        "--nojit_compile",
        # What remembers: critics, slots, the number of steps.
        "--learner=lola_dice,naive",
        "--baseline=critic",
        "--optimizer=adam",
        "--learning_rate=0.1",
        "--final_learning_rate=0.01",
    ],
    "Flags of experiments.ipd. An epoch is a twentieth of its iterations.",
)

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_EPOCHS = 20
# Which run the checkpoints belong to lies beside them.
_RECORD = "run.json"
# In seconds: of an epoch and its checkpoint; results take longer to write.
_LONGEST_DELAY = 0.5
_PATIENCE = 600.0


class Kill(NamedTuple):
    """How one attempt ended.

    Attributes:
      in_writing: whether an unfinished checkpoint was left.
      epochs: number of epochs in the checkpoint that is there, or 0.
      died_of: exit status, if it ended before it was killed.
    """

    in_writing: bool
    epochs: int
    died_of: int | None


def command(folder: pathlib.Path, *program: str) -> list[str]:
    return [
        sys.executable,
        *("-m", *program, f"--output_dir={folder}", "--resume"),
        "--checkpoint_every=0",
        *FLAGS.flags,
    ]


def run(folder: pathlib.Path) -> int:
    """Trains to the end; returns the exit status."""
    with open(folder.with_suffix(".log"), "ab") as log:
        done = subprocess.run(
            command(folder, "experiments.ipd"),
            cwd=_ROOT,
            stdout=log,
            stderr=log,
            check=False,
        )
    return done.returncode


def kill_once(folder: pathlib.Path, number: int, rng: random.Random) -> Kill:
    """Starts or continues a training, and kills it at its moment.

    Args:
      folder: its results.
      number: of the kill, from 0; the first comes before a checkpoint.
      rng: draws the moment.
    """
    epoch = epoch_of_kill(number, FLAGS.num_kills, _EPOCHS)
    in_writing = number % 3 == 1 and epoch < _EPOCHS
    where = IN_WRITING if in_writing else BETWEEN
    program = ("benchmarks.held_training", str(epoch), where)
    with open(folder.with_suffix(".log"), "ab") as log:
        child = subprocess.Popen(
            command(folder, *program), cwd=_ROOT, stdout=log, stderr=log
        )
    try:
        if number == 0:
            time.sleep(rng.uniform(0.0, 8.0))
        else:
            _wait(child, lambda: epochs_saved(folder) >= epoch)
            if in_writing:
                _wait(child, lambda: bool(_unfinished(folder)))
            else:
                if epoch == _EPOCHS:
                    _wait(child, lambda: any(folder.glob(".unfinished-*")))
                time.sleep(rng.uniform(0.0, _LONGEST_DELAY))
    finally:
        died_of = child.poll()
        child.send_signal(signal.SIGKILL)
        child.wait()
    return Kill(bool(_unfinished(folder)), epochs_saved(folder), died_of)


def _wait(child: subprocess.Popen, is_there: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE
    while not is_there() and child.poll() is None and time.monotonic() < end:
        time.sleep(0.002)


def _unfinished(folder: pathlib.Path) -> list[pathlib.Path]:
    return [
        path
        for path in folder.glob(".checkpoints/*-unfinished*")
        if not path.name.startswith(_RECORD)
    ]


def epochs_saved(folder: pathlib.Path) -> int:
    """Returns the number of epochs in the checkpoint, 0 without one."""
    paths = [
        path
        for path in folder.glob(".checkpoints/*")
        if "-unfinished" not in path.name and path.name != _RECORD
    ]
    if not paths:
        return 0
    with zipfile.ZipFile(paths[0]) as archive:
        return json.loads(archive.read("metadata.json"))["progress"]["epoch"]


def differing_weights(first: pathlib.Path, second: pathlib.Path) -> int:
    """Counts arrays of the policies that are not the same, byte for byte."""
    found = []
    for folder in (first, second):
        arrays = {}
        for path in sorted((folder / SAVED_MODELS).iterdir()):
            reader = tf.train.load_checkpoint(path / "variables" / "variables")
            for name, shape in reader.get_variable_to_shape_map().items():
                if "OBJECT_GRAPH" not in name:
                    value = reader.get_tensor(name).tobytes()
                    arrays[path.name, name] = (tuple(shape), value)
        found.append(arrays)
    names = found[0].keys() | found[1].keys()
    return sum(found[0].get(name) != found[1].get(name) for name in names)


def measure(folder: pathlib.Path) -> list[Check]:
    """Trains in peace and in trouble, and compares."""
    peaceful, troubled = folder / "peaceful", folder / "troubled"
    print("Training without interruption.", flush=True)
    statuses = [run(peaceful)]
    rng = random.Random(FLAGS.seed)
    kills = []
    for number in range(FLAGS.num_kills):
        kill = kill_once(troubled, number, rng)
        kills.append(kill)
        where = ", while a checkpoint was written" if kill.in_writing else ""
        if kill.died_of is not None:
            where = f": it had ended before, with status {kill.died_of}"
        print(
            f"Kill {number + 1} of {FLAGS.num_kills}, {kill.epochs} of "
            f"{_EPOCHS} epochs saved{where}.",
            flush=True,
        )
    statuses.append(run(troubled))
    killed = [kill for kill in kills if kill.died_of is None]
    if any(statuses):
        logs = [path.read_text() for path in sorted(folder.glob("*.log"))]
        sys.exit("\n".join([*logs, f"A training failed: {statuses}."]))
    is_same = (peaceful / CURVES).read_bytes() == (
        troubled / CURVES
    ).read_bytes()
    litter = set(os.listdir(troubled)) - set(os.listdir(peaceful))
    return [
        at_least("kills", len(killed), FLAGS.num_kills),
        at_most(
            "attempts that failed",
            sum(kill.died_of not in (None, 0) for kill in kills),
            0,
        ),
        at_least(
            "kills while a checkpoint was written",
            sum(kill.in_writing for kill in killed),
            FLAGS.num_kills // 4,
        ),
        at_least(
            "epochs after which it was killed",
            len({kill.epochs for kill in killed}),
            min(FLAGS.num_kills, _EPOCHS) // 2,
        ),
        at_most("files that kills have left", len(litter), 0),
        at_most("differing curves.csv", int(not is_same), 0),
        at_most(
            "differing weight arrays", differing_weights(peaceful, troubled), 0
        ),
    ]


def main(argv: Sequence[str]) -> None:
    with user_errors():
        if len(argv) > 1:
            raise ValueError(f"Flags start with --. Received: {argv[1]!r}.")
    folder = held_folder("benchmarks.kill_resume")
    start = time.monotonic()
    with folder.collect() as stage:
        checks = measure(stage.resolve())
        write_json(
            stage / SUMMARY,
            summary(checks) | {"seconds": time.monotonic() - start},
        )
    print(f"\n{as_table(checks)}\n\nFiles: {folder.path}")
    if not all(check.passed for check in checks):
        sys.exit(1)


if __name__ == "__main__":
    app.run(main)
