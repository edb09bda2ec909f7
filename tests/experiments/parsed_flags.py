"""Parses command lines as the experiments do."""

import contextlib
from collections.abc import Iterator

from absl import flags
from absl.testing import flagsaver

from experiments import ipd
from experiments.command_line.commands import Command
from experiments.settings.training_settings import TrainingSettings


@contextlib.contextmanager
def parsed_flags(
    *arguments: str, command: Command = ipd.COMMAND
) -> Iterator[flags.FlagValues]:
    """Yields the flags of a command as this command line sets them."""
    known = set(flags.FLAGS)
    command.define_flags()
    try:
        with flagsaver.flagsaver():
            if not any(text.startswith("--output_dir") for text in arguments):
                arguments = ("--output_dir=unused", *arguments)
            flags.FLAGS(["command", *arguments])
            yield flags.FLAGS
    finally:
        # Other commands define flags of the same names.
        flags.FLAGS.remove_flag_values(set(flags.FLAGS) - known)


def run_command(command: Command, *arguments: str) -> None:
    """Runs a command in this process."""
    with parsed_flags(*arguments, command=command):
        command.main(["command"])


def settings_of(*arguments: str) -> TrainingSettings:
    """Returns the settings of a command line of experiments.ipd."""
    with parsed_flags(*arguments) as values:
        return ipd.COMMAND.resolve(values)
