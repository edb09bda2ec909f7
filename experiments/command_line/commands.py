"""The runner of all commands: reads flags, prepares the folder, reports.

A module of `experiments/` says which flags it has, what they come to and what
is done. Whatever a user meets alike in all of them is here.
"""

import contextlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from absl import app, flags, logging

from experiments.results.check_list import Check, as_table, read_checks
from experiments.results.outputs import SUMMARY, OutputFolder

# Libraries that only experiments need: why, and the extra that installs them.
_EXTRAS = {
    "matplotlib": ("The pictures need", "experiments"),
    "axelrod": ("The strategies need", "axelrod"),
}
# C++ writes these lines before there is a way to ask for silence.
_CHATTER = ("I0000", "W0000", "E0000", "WARNING: All log messages before")


class Command(NamedTuple):
    """A program that a user starts with `python -m experiments.<name>`.

    Attributes:
      define_flags: defines the flags. Commands share names of flags, so that
        none are defined when a command is imported.
      resolve: from the parsed flags to the settings. Raises a `ValueError` if
        the flags do not fit each other.
      run: does the work, given the settings and the folder (`None` without
        --output_dir), and returns the checks that it made, if any. TensorFlow
        is imported just before.
      libraries: optional libraries that the command needs.
    """

    define_flags: Callable[[], None]
    resolve: Callable[[flags.FlagValues], Any]
    run: Callable[[Any, OutputFolder | None], Sequence[Check] | None]
    libraries: tuple[str, ...] = ("matplotlib",)

    def start(self) -> None:
        """Runs the command with the arguments of this process."""
        self.define_flags()
        app.run(self.main)

    def main(self, argv: Sequence[str]) -> None:
        """Runs the command once the flags are parsed.

        The exit status is 1 if a check fails.

        Args:
          argv: the name of the program, and arguments that are not flags.
        """
        with user_errors():
            if len(argv) > 1:
                raise ValueError(f"Flags start with --. Received: {argv[1]!r}.")
            for library in self.libraries:
                _require(library)
            settings = self.resolve(flags.FLAGS)
            folder = _output_folder(flags.FLAGS)
        if folder is not None and folder.has_finished:
            print(
                f"The run in {folder.path} has finished. Another one needs "
                "another folder, or --overwrite."
            )
            checks = read_checks(folder.path / SUMMARY)
        else:
            import_tensorflow()
            try:
                checks = self.run(settings, folder)
            except KeyboardInterrupt:
                sys.exit(interrupted(folder))
        _conclude(folder, checks or [])


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


def _require(library: str) -> None:
    if importlib.util.find_spec(library) is None:
        need, extra = _EXTRAS[library]
        raise ValueError(f"{need} {library}: pip install -e '.[{extra}]'.")


def _output_folder(values: flags.FlagValues) -> OutputFolder | None:
    """Returns the folder of --output_dir, made and ready to be written to."""
    if values.output_dir is None:
        return None
    if "resume" not in values:
        return OutputFolder(values.output_dir, values.overwrite)
    return OutputFolder(
        values.output_dir,
        values.overwrite,
        values.resume,
        values.checkpoint_every,
    )


def interrupted(folder: OutputFolder | None) -> str:
    """Returns what to say when a user has interrupted a run."""
    if folder is None:
        return "\nInterrupted."
    if folder.has_checkpoints:
        return f"\nInterrupted. Continue with --resume: {folder.path}."
    return f"\nInterrupted. Nothing was written to {folder.path}."


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
