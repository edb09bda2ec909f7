"""The search space of a sweep: a JSON file with a range or choices by flag.

  {
    "learning_rate": {"low": 0.1, "high": 10, "log": true},
    "batch_size": {"low": 16, "high": 128, "step": 16},
    "optimizer": {"choices": ["sgd", "adam"]}
  }

A range whose ends are whole numbers holds whole numbers only.
"""

import difflib
import importlib
import json
import math
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from absl import flags

# Flags that a sweep sets itself.
_OF_SWEEPS = ("output_dir", "overwrite", "resume")
_LONGEST = 200

Value = str | int | float | bool


class Range(NamedTuple):
    """The values of one flag.

    Attributes:
      choices: the values, empty if they are an interval.
      low: the lowest value of an interval.
      high: its highest value.
      log: whether to search on a logarithmic scale.
      step: distance of neighbouring values, `None` for all in between.
    """

    choices: tuple[Value, ...] = ()
    low: float | None = None
    high: float | None = None
    log: bool = False
    step: float | None = None

    @property
    def is_whole(self) -> bool:
        """Whether values are whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def examples(self) -> tuple[Value, ...]:
        """Returns all choices, or both ends."""
        return self.choices or (self.low, self.high)


def read_space(path: str) -> dict[str, Range]:
    """Reads a search space, by name of the flag.

    Raises:
      ValueError: if the file is not a search space.
    """
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8")
        content = json.loads(text)
    except (OSError, RecursionError, ValueError) as error:
        raise ValueError(
            f"--space={path!r} cannot be read as JSON: {error}."
        ) from error
    if not isinstance(content, dict) or not content:
        raise ValueError(
            f"--space={path!r} must hold an object with a range for each flag. "
            f"Received: {text[:_LONGEST]}."
        )
    return {name: _read_range(name, entry) for name, entry in content.items()}


def _read_range(name: str, entry: Any) -> Range:
    if isinstance(entry, dict) and entry.keys() == {"choices"}:
        choices = entry["choices"]
        if isinstance(choices, list) and choices:
            if all(isinstance(x, str | int | float) for x in choices):
                return Range(choices=tuple(choices))
    elif isinstance(entry, dict) and {"low", "high"} <= entry.keys():
        if entry.keys() <= set(Range._fields) - {"choices"}:
            found = Range(**entry)
            if _is_range(found):
                return found
    raise ValueError(
        f"The range of --{name} must be like "
        '{"low": 0.1, "high": 10, "log": true}, {"low": 1, "high": 9, '
        '"step": 2} or {"choices": ["a", "b"]}, with low < high, and above 0 '
        f"with log. Received: {json.dumps(entry)[:_LONGEST]}."
    )


def _is_range(found: Range) -> bool:
    numbers = [found.low, found.high]
    if found.step is not None:
        numbers.append(found.step)
    if not all(_is_number(x) for x in numbers):
        return False
    if found.is_whole and not isinstance(found.step, int | None):
        return False
    is_on_grid = found.step is None or (found.step > 0 and not found.log)
    is_on_scale = not found.log or found.low > 0
    return (
        isinstance(found.log, bool)
        and found.low < found.high
        and is_on_grid
        and is_on_scale
    )


def _is_number(value: Any) -> bool:
    is_real = isinstance(value, int | float) and not isinstance(value, bool)
    return is_real and math.isfinite(value)


def arguments_of(params: Mapping[str, Value]) -> list[str]:
    """Returns the flags of a trial, as typed."""
    # Truth values are written as absl reads them, in lower case or not.
    return [f"--{name}={value}" for name, value in params.items()]


def check_sweep(
    package: str,
    experiment: str,
    arguments: Sequence[str],
    space: Mapping[str, Range],
) -> tuple[str, ...]:
    """Refuses a sweep whose trials could not start.

    The flags of this process must not be defined: commands share their names.

    Args:
      package: where the experiments are.
      experiment: the experiment.
      arguments: flags that all trials share.
      space: by flag.

    Returns:
      The trackers of --log_to that all trials share.

    Raises:
      ValueError: if there is no such flag, a flag belongs to the sweep, or
        the experiment refuses the ends of the ranges or one of the choices.
    """
    command = importlib.import_module(f"{package}.{experiment}").COMMAND
    trackers: tuple[str, ...] = ()
    for params in _examples(space):
        known = set(flags.FLAGS)
        command.define_flags()
        defined = set(flags.FLAGS) - known
        try:
            _check_names(experiment, defined, space)
            line = [*arguments, *arguments_of(params)]
            trackers = _parsed(command, experiment, line)
        finally:
            flags.FLAGS.remove_flag_values(defined)
    return trackers


def _examples(space: Mapping[str, Range]) -> Iterator[dict[str, Value]]:
    """Yields settings in which each end and choice occurs."""
    examples = {name: entry.examples() for name, entry in space.items()}
    for index in range(max(map(len, examples.values()))):
        yield {
            name: values[index % len(values)]
            for name, values in examples.items()
        }


def _check_names(
    experiment: str, defined: set[str], space: Mapping[str, Range]
) -> None:
    if "log_to" not in defined:
        raise ValueError(
            f"{experiment} logs no metric to search by. Experiments that do "
            "have the flag --log_to."
        )
    for name in space:
        if name in _OF_SWEEPS:
            raise ValueError(f"--{name} is set by the sweep.")
        if name not in defined:
            near = difflib.get_close_matches(name, defined)
            hint = f" Did you mean --{' or --'.join(near)}?" if near else ""
            raise ValueError(
                f"--space names a flag that {experiment} does not have: "
                f"--{name}.{hint}"
            )


def _parsed(
    command: Any, experiment: str, line: Sequence[str]
) -> tuple[str, ...]:
    """Parses a command line as the trial does, and returns its trackers."""
    try:
        rest = flags.FLAGS([experiment, *line, "--output_dir=trial"])[1:]
    except flags.Error as error:
        raise ValueError(f"{experiment} refuses a trial: {error}") from error
    for name in _OF_SWEEPS[1:]:
        if flags.FLAGS[name].present:
            raise ValueError(f"--{name} is set by the sweep.")
    if rest:
        raise ValueError(f"Flags start with --. Received: {rest[0]!r}.")
    settings = command.resolve(flags.FLAGS)
    if isinstance(settings, dict) and len(settings) != 1:
        raise ValueError(
            "A sweep is on one method, and these are several: "
            f"{', '.join(settings)}."
        )
    return flags.FLAGS.log_to or ()
