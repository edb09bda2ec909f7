"""Repeats a run from its config.json alone: same version, same curves.csv.

  python -m experiments.rerun runs/ipd --output_dir=runs/again
  python -m experiments.rerun runs/ipd --output_dir=runs/again --resume

The run is started with the flags that it was given, also those that it took
from a --flagfile, which is no longer needed. Flags that say where results go
come after the folder: --output_dir, --overwrite, --resume, --checkpoint_every.
Other flags are refused if they make another run, and so are defaults that have
changed since. Files that the flags name, such as policies, must still be there;
relative paths count from the folder where this command is started.
"""

# `python experiments/...` starts a file outside of its package.
__package__ = __package__ or "experiments"

import importlib
import json
import pathlib
import sys
from typing import Any, NamedTuple

from absl import flags

from .command_line.commands import Command, name_program, user_errors
from .command_line.console import summaries
from .command_line.stopping import guard_streams
from .results.outputs import ARGUMENTS, CONFIG, DIGEST, EXPERIMENT, VERSIONS

# What comes of files that are not those of a run.
_MISREAD = (AttributeError, KeyError, RecursionError, TypeError, ValueError)


class FinishedRun(NamedTuple):
    """What config.json says of a run.

    Attributes:
      path: of the file.
      experiment: name of the program, such as `ipd`.
      arguments: flags that the run was given.
      digest: of the experiment and its settings.
      version: of dice_tf, which made the run.
    """

    path: pathlib.Path
    experiment: str
    arguments: list[str]
    digest: str
    version: str


def read_run(folder: str) -> FinishedRun:
    """Reads the config.json of a folder.

    Raises:
      ValueError: if there is none, or it does not say how the run was started.
    """
    path = pathlib.Path(folder, CONFIG)
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        package, _, name = config[EXPERIMENT].rpartition(".")
        arguments, digest = config[ARGUMENTS], config[DIGEST]
        if not all(isinstance(text, str) for text in [digest, *arguments]):
            raise TypeError("its flags are not texts")
        version = str(config[VERSIONS]["dice_tf"])
    except FileNotFoundError:
        raise ValueError(
            f"{folder!r} must be the folder of a run that has finished. It has "
            f"no {CONFIG}."
        ) from None
    except _MISREAD as error:
        raise ValueError(
            f"{str(path)!r} does not say how a run was started, or is damaged "
            f"({error}): earlier versions of dice_tf did not write that."
        ) from error
    if package != "experiments" or name not in summaries().keys() - {
        "rerun",
        "sweep",
    }:
        raise ValueError(
            f"{str(path)!r} must be that of an experiment. Received: "
            f"{config[EXPERIMENT]!r}."
        )
    return FinishedRun(path, name, arguments, digest, version)


def repeating(command: Command, run: FinishedRun) -> Command:
    """Returns a command that refuses to make any other run than this one."""

    def resolve(values: flags.FlagValues) -> Any:
        settings = command.resolve(values)
        if command.record(settings).digest != run.digest:
            raise ValueError(
                f"These flags make another run than that of {str(run.path)!r}, "
                f"which dice_tf {run.version} made, whose defaults may be "
                "others. Give only flags that say where the results go."
            )
        return settings

    return command._replace(resolve=resolve)


def main() -> None:
    """Repeats the run that the first argument names."""
    arguments = sys.argv[1:]
    if not arguments or {"--help", "-h"} & {*arguments}:
        guard_streams()
        name_program(sys.modules["__main__"])
        print(sys.modules["__main__"].__doc__)
        return
    with user_errors():
        if arguments[0].startswith("-"):
            raise ValueError(
                "The folder of a run comes first, then flags. Received: "
                f"{arguments[0]!r}."
            )
        run = read_run(arguments[0])
    module = importlib.import_module(f".{run.experiment}", __package__)
    sys.argv = [module.__file__, *run.arguments, *arguments[1:]]
    repeating(module.COMMAND, run).start()


if __name__ == "__main__":
    main()
