"""One training, started again and again as processes that are disturbed.

Each of them trains a moment only: what takes its time is to start. How long a
process may take follows from how long the first one took, which nothing
disturbs.
"""

import contextlib
import functools
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from benchmarks.held_training import BETWEEN, NEVER
from experiments.results.outputs import CURVES, SAVED_MODELS

ROOT = pathlib.Path(__file__).resolve().parents[1]
FLAGS = (
    "--num_iterations=40",
    "--num_seeds=1",
    "--episode_length=4",
    "--batch_size=4",
    "--nojit_compile",
    # What remembers: critics, slots, the number of steps.
    "--learner=naive",
    "--baseline=critic",
    "--optimizer=adam",
    "--learning_rate=0.1",
    "--final_learning_rate=0.01",
)
# `experiments.ipd` makes a twentieth of its iterations in an epoch.
EPOCHS = 20

# Which run the checkpoints belong to lies beside them.
_RECORD = "run.json"
_HUNG = "it did not end"
_IN_PEACE = ("experiments.ipd",)
# The longest time of a process, in times that of the first, and in seconds.
_TIMES, _LEAST, _MOST = 12.0, 60.0, 900.0


class Ended(NamedTuple):
    """How a process ended.

    Attributes:
      status: its exit status, minus the number of a signal; `None` if it did
        not end in time.
      said: what it wrote to standard output and error.
    """

    status: int | None
    said: str

    def wrong(self, statuses: Sequence[int], *words: str) -> str:
        """Says what is not as expected, `""` if nothing is.

        Args:
          statuses: exit statuses of which it must have one.
          *words: what it must have said.
        """
        last = self.said.strip()[-1000:]
        if self.status is None:
            return f"{_HUNG}: {last}"
        if "Traceback (most recent call last)" in self.said:
            return f"a traceback: {last}"
        if self.status not in statuses:
            return f"exit status {self.status}: {last}"
        missing = [word for word in words if word not in self.said]
        return f"nothing about {missing[0]!r}: {last}" if missing else ""


class Training:
    """The training.

    Args:
      place: a folder for its results and logs.
      arguments: its flags.
      num_past_selves: size of the buffer of past selves that players learn
        against; 0 for none.

    Attributes:
      limit: seconds that a process may take.
    """

    def __init__(
        self,
        place: pathlib.Path,
        arguments: Sequence[str] = FLAGS,
        num_past_selves: int = 0,
    ):
        self.place = place
        self._arguments = tuple(arguments)
        self._num_past_selves = num_past_selves
        self._children: list[subprocess.Popen] = []
        self.limit = _MOST

    def close(self) -> None:
        """Ends all processes that are still there."""
        for child in self._children:
            child.kill()
            child.wait()

    @functools.cached_property
    def undisturbed(self) -> pathlib.Path:
        """The results of a run that nothing disturbs.

        Raises:
          RuntimeError: if it fails.
        """
        folder = self.place / "undisturbed"
        start = time.monotonic()
        ended = self.end(self.start(folder), folder)
        if wrong := ended.wrong([0]):
            raise RuntimeError(f"The undisturbed training failed: {wrong}")
        longest = _TIMES * (time.monotonic() - start)
        self.limit = min(max(_LEAST, longest), _MOST)
        return folder

    @functools.cached_property
    def interrupted(self) -> pathlib.Path:
        """A folder with the checkpoint of a run that was ended."""
        folder = self.place / "interrupted"
        child = self.start_held(folder, EPOCHS // 2)
        self.wait(child, lambda: epochs_saved(folder) > EPOCHS // 2)
        child.terminate()
        self.end(child, folder)
        return folder

    def copy_of(self, folder: pathlib.Path, name: str) -> pathlib.Path:
        """Returns a new folder with the same content."""
        return pathlib.Path(
            shutil.copytree(folder, self.place / name, symlinks=True)
        )

    def command(
        self, folder: pathlib.Path, *program: str, more: Sequence[str] = ()
    ) -> list[str]:
        """Returns the command that starts or continues it."""
        more = more or ("--resume", "--checkpoint_every=0")
        if not program:
            program = self._held(NEVER) if self._num_past_selves else _IN_PEACE
        return [
            *(sys.executable, "-m", *program),
            f"--output_dir={folder}",
            *self._arguments,
            *more,
        ]

    def start(
        self,
        folder: pathlib.Path,
        command: Sequence[str] | None = None,
        **options: Any,
    ) -> subprocess.Popen:
        """Starts a process, by default of the whole training.

        Args:
          folder: of the results. The log lies beside it.
          command: what is started instead.
          **options: of `subprocess.Popen`.
        """
        with open(_log(folder), "wb") as log, _heeded_interrupts():
            child = subprocess.Popen(
                command or self.command(folder),
                cwd=ROOT,
                **{"stdout": log, "stderr": log, **options},
            )
        self._children.append(child)
        return child

    def start_held(
        self, folder: pathlib.Path, epoch: int, where: str = BETWEEN
    ) -> subprocess.Popen:
        """Starts one that stands still after an epoch."""
        program = self._held(epoch, where)
        return self.start(folder, self.command(folder, *program))

    def _held(self, epoch: int, where: str = BETWEEN) -> tuple[str, ...]:
        number = str(self._num_past_selves)
        return "benchmarks.held_training", str(epoch), where, number

    def wait(
        self, child: subprocess.Popen, is_there: Callable[[], bool]
    ) -> bool:
        """Waits until something is there, or a process has ended."""
        end = time.monotonic() + self.limit
        while child.poll() is None and time.monotonic() < end:
            if is_there():
                return True
            time.sleep(0.002)
        return is_there()

    def end(self, child: subprocess.Popen, folder: pathlib.Path) -> Ended:
        """Waits for the end of a process, and kills it if that is too late."""
        try:
            status = child.wait(self.limit)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            child.kill()
            child.wait()
        return Ended(status, _log(folder).read_text(errors="replace"))

    def run(
        self,
        folder: pathlib.Path,
        command: Sequence[str] | None = None,
        **options: Any,
    ) -> Ended:
        """Runs a process to its end, see `start`."""
        return self.end(self.start(folder, command, **options), folder)

    def finish(self, folder: pathlib.Path) -> str:
        """Continues a run to its end, and says what is different, if so."""
        wrong = self.run(folder).wrong([0])
        return wrong or self.difference(folder)

    def difference(self, folder: pathlib.Path) -> str:
        """Says in what results differ from those of the undisturbed run."""
        expected = self.undisturbed
        names = set(os.listdir(folder)) ^ set(os.listdir(expected))
        if names:
            return f"files that only one has: {sorted(names)}"
        if (folder / CURVES).read_bytes() != (expected / CURVES).read_bytes():
            return f"another {CURVES}"
        number = differing_weights(expected, folder)
        return f"{number} arrays of weights differ" if number else ""


@contextlib.contextmanager
def _heeded_interrupts() -> Iterator[None]:
    """Lets processes that are started meanwhile react to Ctrl-C.

    What a shell starts in the background ignores it, and so would they.
    """
    usual = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)


def _log(folder: pathlib.Path) -> pathlib.Path:
    return folder.with_name(f"{folder.name}.log")


def unfinished_checkpoints(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns what was being written when a run was killed."""
    return [
        path
        for path in folder.glob(".checkpoints/*-unfinished*")
        if not path.name.startswith(_RECORD)
    ]


def checkpoints(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the whole checkpoints of a run."""
    return [
        path
        for path in folder.glob(".checkpoints/*")
        if "-unfinished" not in path.name and path.name != _RECORD
    ]


def epochs_saved(folder: pathlib.Path) -> int:
    """Returns the number of epochs in the checkpoint, 0 without one."""
    with contextlib.suppress(FileNotFoundError):
        for path in checkpoints(folder):
            with zipfile.ZipFile(path) as archive:
                metadata = json.loads(archive.read("metadata.json"))
            return metadata["progress"]["epoch"]
    return 0


def differing_weights(first: pathlib.Path, second: pathlib.Path) -> int:
    """Counts arrays of the policies that are not the same, byte for byte."""
    import tensorflow as tf

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


def content_of(folder: pathlib.Path) -> dict[str, str]:
    """Returns digests of all files below a folder, and targets of links."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"link to {os.readlink(path)}"
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            found[name] = "folder"
    return found


def change_of(
    before: dict[str, str], folder: pathlib.Path, but: Sequence[str] = ()
) -> str:
    """Says what has changed below a folder, `""` if nothing has.

    Args:
      before: its content, as of `content_of`.
      folder: the folder.
      but: names that may come and go.
    """
    after = content_of(folder)
    names = [
        name
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name) and name not in but
    ]
    return f"changed: {names[:8]}" if names else ""
