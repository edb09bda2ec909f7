"""Parses command lines as the experiments do."""

import contextlib
from collections.abc import Iterator

from absl import flags
from absl.testing import flagsaver

from experiments import ipd
from experiments.settings.line_up import LineUp
from experiments.settings.settings import Settings, resolve

del ipd  # Imported for the flags that it defines.


@contextlib.contextmanager
def parsed_flags(*arguments: str) -> Iterator[flags.FlagValues]:
    """Yields the flags as this command line sets them."""
    with flagsaver.flagsaver():
        if not any(text.startswith("--output_dir") for text in arguments):
            arguments = ("--output_dir=unused", *arguments)
        flags.FLAGS(["ipd", *arguments])
        yield flags.FLAGS


def settings_of(*arguments: str) -> Settings:
    """Returns the settings of a command line."""
    with parsed_flags(*arguments) as values:
        line_up = LineUp(tuple(values.learner), values.num_lookaheads)
        return resolve(values, line_up)
