"""The runner of all commands: reads flags, prepares the folder, reports.

A module of `experiments/` says which flags it has, what they come to and what
is done. Whatever a user meets alike in all of them is here.
"""

import atexit
import contextlib
import importlib.util
import json
import os
import pathlib
import re
import shlex
import sys
import tempfile
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from absl import app, flags, logging

from ..results.check_list import Check, as_table, read_checks
from ..results.json_files import plain
from ..results.outputs import SUMMARY, OutputFolder, open_folder
from ..results.run_record import RunRecord
from .console import INSTALLED, started_by
from .stopping import (
    INTERRUPTED,
    OUTPUT_CLOSED,
    TERMINATED,
    end_status,
    guard_streams,
    guard_termination,
)

# Libraries that only experiments need: why, and the extra that installs them.
_EXTRAS = {
    "matplotlib": ("The pictures need", "experiments"),
    "axelrod": ("The strategies need", "axelrod"),
    "mlflow": ("--log_to=mlflow needs", "mlflow"),
    "optuna": ("A sweep needs", "sweep"),
    "tensorboard": ("--log_to=tensorboard needs", "tensorboard"),
    "wandb": ("--log_to=wandb needs", "wandb"),
}
# C++ writes these lines before there is a way to ask for silence.
_CHATTER = ("I0000", "W0000", "E0000", "WARNING: All log messages before")
# They define flags, too, which are not those of a command.
_LIBRARIES = ("absl.", "tensorflow.")
# Flags that say where results go and how, but not what they are.
_OF_FOLDERS = (
    "output_dir",
    "overwrite",
    "resume",
    "checkpoint_every",
    "log_to",
)

# Why a run ends, by exit status.
_REASONS = {
    INTERRUPTED: "\nInterrupted.",
    OUTPUT_CLOSED: "\nStopped: the output can no longer be written.",
    TERMINATED: "\nTerminated.",
}


class Command(NamedTuple):
    """A program that `python -m experiments.<name>` or `dice-tf <name>` starts.

    Attributes:
      define_flags: defines the flags. Commands share names of flags, so that
        none are defined when a command is imported.
      resolve: from the parsed flags to the settings. Raises a `ValueError` if
        the flags do not fit each other.
      run: does the work, given the settings and the folder (`None` without
        --output_dir), and returns the checks that it made, if any. TensorFlow
        is imported just before.
      libraries: optional libraries that the command needs.
      operands: name of the flag that lists the arguments which are not flags;
        `""` if all arguments must be flags.
    """

    define_flags: Callable[[], None]
    resolve: Callable[[flags.FlagValues], Any]
    run: Callable[[Any, OutputFolder | None], Sequence[Check] | None]
    libraries: tuple[str, ...] = ("matplotlib",)
    operands: str = ""

    def start(self) -> None:
        """Runs the command with the arguments of this process."""
        guard_streams()
        guard_termination()
        name_program(sys.modules["__main__"])
        self.define_flags()
        # Operands may stand before and between flags.
        flags.FLAGS.set_gnu_getopt(bool(self.operands))
        try:
            app.run(self.main)
        except KeyboardInterrupt:
            status = end_status()
            raise _end(_REASONS[status], status) from None

    def main(self, argv: Sequence[str]) -> None:
        """Runs the command once the flags are parsed.

        The exit status is 1 if a check fails, and that of a shell after
        Ctrl-C or SIGTERM.

        Args:
          argv: the name of the program, and arguments that are not flags.
        """
        folder = None
        with contextlib.ExitStack() as stack:
            try:
                with user_errors():
                    settings = self._settings(argv)
                    folder = stack.enter_context(
                        _opened_folder(flags.FLAGS, self.record(settings))
                    )
                checks = self._checks(settings, folder)
            except KeyboardInterrupt:
                status = end_status()
                raise _end(interrupted(folder, status), status) from None
            _conclude(folder, checks or [])

    def record(self, settings: Any) -> RunRecord:
        """Returns what tells this run from others, in its folder."""
        return _record(_module_name(self.run), settings, flags.FLAGS)

    def _settings(self, argv: Sequence[str]) -> Any:
        """Returns the settings, if there is all that the command needs."""
        if self.operands and len(argv) > 1:
            flags.FLAGS[self.operands].parse([*argv[1:]])
        elif len(argv) > 1:
            raise ValueError(f"Flags start with --. Received: {argv[1]!r}.")
        trackers = _EXTRAS.keys() & {*_trackers(flags.FLAGS)}
        for library in (*self.libraries, *sorted(trackers)):
            require(library)
        return self.resolve(flags.FLAGS)

    def _checks(
        self, settings: Any, folder: OutputFolder | None
    ) -> Sequence[Check] | None:
        """Does the work, and returns the checks that were made."""
        if folder is not None and folder.has_finished:
            print(
                f"The run in {folder.path} has finished. Another one needs "
                "another folder, or --overwrite."
            )
            with user_errors():
                return read_checks(folder.path / SUMMARY)
        import_tensorflow()
        return self.run(settings, folder)


def name_program(program: types.ModuleType) -> None:
    """Lets the examples of --help be commands that the user can type."""
    spec = program.__spec__
    if program.__doc__ and spec is not None and spec.parent == INSTALLED:
        program.__doc__ = program.__doc__.replace(
            "python -m experiments.", "dice-tf "
        )


def _record(program: str, settings: Any, values: flags.FlagValues) -> RunRecord:
    given = _given(values)
    return RunRecord(
        # A run goes on whichever way it is started again.
        re.sub(f"^{INSTALLED}\\.", "experiments.", program),
        json.loads(json.dumps(plain(_configuration(settings)))),
        _command_line(program, values, given),
        values.overwrite,
        [text for name, text in given.items() if name not in _OF_FOLDERS],
    )


def _module_name(function: Callable) -> str:
    """Returns the module of a function, also if it is the program."""
    if function.__module__ != "__main__":
        return function.__module__
    program = sys.modules["__main__"]
    if program.__spec__ is not None:
        return program.__spec__.name
    return f"experiments.{pathlib.Path(program.__file__).stem}"


def _configuration(settings: Any) -> Any:
    """Returns by name what determines the results of a run."""
    if not isinstance(settings, flags.FlagValues):
        return settings
    return {
        flag.name: flag.value
        for module, known in settings.flags_by_module_dict().items()
        if not module.startswith(_LIBRARIES)
        for flag in known
        if flag.name not in _OF_FOLDERS
    }


def _command_line(
    experiment: str, values: flags.FlagValues, given: dict[str, str]
) -> str:
    """Returns the whole command, and --resume if the command has that."""
    again = ["--resume"] if "resume" in values else []
    return shlex.join([*started_by(experiment), *given.values(), *again])


def _given(values: flags.FlagValues) -> dict[str, str]:
    """Returns the flags that a user gave, those from a --flagfile too."""
    return {
        flag.name: flag.serialize()
        for flag in (values[name] for name in values)
        if flag.present and flag.name not in ("overwrite", "resume", "flagfile")
    }


@contextlib.contextmanager
def user_errors() -> Iterator[None]:
    """Ends the program with the message of an error, without a stack trace.

    It is for the part of a program that reads and checks what the user gave.
    The errors of the library name the argument, what came and what was
    expected.
    """
    try:
        yield
    except (ValueError, TypeError, OSError) as error:
        sys.exit(f"Error: {error}")


def import_tensorflow() -> None:
    """Imports TensorFlow and finds the devices, hiding what it logs.

    Users see a screen of notes on CUDA and oneDNN otherwise, most of all if
    there is no GPU. Lines that are not log lines are shown. A user who sets
    TF_CPP_MIN_LOG_LEVEL or --verbosity sees everything.
    """
    if not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(logging.WARNING)
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        import tensorflow  # noqa: F401

        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    sys.stderr.flush()
    shown = os.dup(2)
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
        finally:
            sys.stderr.flush()
            os.dup2(shown, 2)
            os.close(shown)
            hidden.seek(0)
            for line in hidden.read().decode(errors="replace").splitlines():
                if not line.startswith(_CHATTER):
                    print(line, file=sys.stderr)


def _trackers(values: flags.FlagValues) -> tuple[str, ...]:
    """Returns what --log_to names, if the command has that flag."""
    return values.log_to or () if "log_to" in values else ()


def require(library: str) -> None:
    """Raises a `ValueError` that names the extra if a library is missing."""
    if importlib.util.find_spec(library) is None:
        need, extra = _EXTRAS[library]
        raise ValueError(f'{need} {library}: pip install "dice_tf[{extra}]".')


@contextlib.contextmanager
def _opened_folder(
    values: flags.FlagValues, record: RunRecord
) -> Iterator[OutputFolder | None]:
    """Yields the folder of --output_dir, made and ready to be written to."""
    if values.output_dir is None:
        yield None
        return
    options = {"overwrite": values.overwrite}
    if "resume" in values:
        options["resume"] = values.resume
        options["checkpoint_every"] = values.checkpoint_every
    if not _is_first_worker(values):
        # The first one holds the folder, and writes.
        yield OutputFolder(values.output_dir, **options)
        return
    options["log_to"] = _trackers(values)
    with open_folder(values.output_dir, record, **options) as folder:
        yield folder


def held_folder(program: str) -> OutputFolder | None:
    """Returns the folder of --output_dir, which this process holds to its end.

    It is for programs that are not a `Command`.

    Args:
      program: the module that is run, such as `benchmarks.memory`.

    Returns:
      The folder, or `None` without --output_dir.
    """
    values = flags.FLAGS
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    with user_errors():
        record = _record(program, values, values)
        return stack.enter_context(_opened_folder(values, record))


def _is_first_worker(values: flags.FlagValues) -> bool:
    """Tells whether this process is the one of its cluster that writes."""
    if "strategy" not in values or values.strategy != "multi_worker":
        return True
    cluster = json.loads(os.environ.get("TF_CONFIG") or "{}")
    task = cluster.get("task", {"type": "chief"})
    has_chief = "chief" in cluster.get("cluster", {})
    is_first = task.get("type") == "worker" and task.get("index") == 0
    return task.get("type") == "chief" or (is_first and not has_chief)


def interrupted(folder: OutputFolder | None, status: int = INTERRUPTED) -> str:
    """Returns what to say when a run has been stopped."""
    reason = _REASONS[status]
    if folder is None:
        return reason
    if not folder.has_checkpoints:
        return f"{reason} Nothing was written to {folder.path}."
    if folder.record is None:
        return f"{reason} Continue with --resume: {folder.path}."
    return f"{reason} Continue with --resume:\n  {folder.record.command}"


def _end(message: str, status: int) -> SystemExit:
    """Says why the program ends, and returns what ends it with a status."""
    print(message, file=sys.stderr)
    end = SystemExit(message)
    end.code = status
    return end


def _conclude(folder: OutputFolder | None, checks: Sequence[Check]) -> None:
    """Prints the checks and where the files are; exits with 1 if one failed."""
    if checks:
        print(f"\n{as_table(checks)}")
    if folder is not None and (folder.path / SUMMARY).exists():
        print(f"\nFiles: {folder.path}")
    failed = sum(not check.passed for check in checks)
    if failed:
        print(f"{failed} of {len(checks)} checks failed.")
        sys.exit(1)
