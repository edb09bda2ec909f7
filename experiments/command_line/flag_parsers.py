"""Parsers of flags beyond those of absl, and flags that may differ by player.

A flag that may differ by player is a comma list in seat order; one value
means all seats. Mistakes are found while the command line is parsed, before
anything slow happens.
"""

import math
import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from absl import flags

NONE = "none"
# The largest number of float32, rounded down.
_LARGEST = 3.4e38
# TensorFlow counts in int32: larger sizes would wrap around.
LARGEST_SIZE = 2**31 - 1
# Each step that is unrolled makes the program longer.
MOST_UNROLLED = 1000

# Flags defined here belong to the module that asks for them.
flags.disclaim_key_flags()


class Number(flags.FloatParser):
    """Parses a number in a range, the bounds included, finite in float32."""

    def __init__(self, lower_bound: float = 0.0, upper_bound: float = _LARGEST):
        super().__init__(lower_bound, upper_bound)

    def is_outside_bounds(self, val: float) -> bool:
        # NaN compares as false, so that it is outside of all bounds.
        return not self.lower_bound <= val <= self.upper_bound


class Size(flags.IntegerParser):
    """Parses a whole number that counts something."""

    def __init__(self, least: int = 1, most: int = LARGEST_SIZE):
        super().__init__(least, None if least == 1 else most)
        self._most = most

    def convert(self, argument: Any) -> int:
        size = super().convert(argument)
        # Other ranges than the positive numbers are told in full.
        if self.upper_bound is None and size > self._most:
            raise ValueError(f"{size} is more than {self._most}, the largest")
        return size


class ChoiceOrFile(flags.ArgumentParser):
    """Parses one of several words, or the path of a file that is there."""

    def __init__(self, choices: Collection[str], suffix: str):
        self._choices, self._suffix = choices, suffix
        self.syntactic_help = (
            f"one of {', '.join(choices)}, or the path of a {suffix} file"
        )

    def parse(self, argument: str) -> str:
        is_file = argument.endswith(self._suffix) and os.path.isfile(argument)
        if argument not in self._choices and not is_file:
            raise ValueError(f"{argument!r} is not {self.syntactic_help}")
        return argument


class Choices(flags.ArgumentParser):
    """Parses a comma list of some of several words."""

    def __init__(self, choices: Collection[str]):
        self._choices = choices
        self.syntactic_help = f"a comma list of {', '.join(choices)}"

    def parse(self, argument: str) -> tuple[str, ...]:
        names = tuple(part.strip() for part in argument.split(","))
        if not set(names) <= {*self._choices}:
            raise ValueError(f"{argument!r} is not {self.syntactic_help}")
        return names


class Widths(flags.ArgumentParser):
    """Parses the widths of layers, such as 64x64."""

    syntactic_help = "a list of whole numbers joined by x, such as 64x64"

    def parse(self, argument: str) -> tuple[int, ...]:
        parts = argument.split("x")
        if not all(part.isdecimal() and int(part) > 0 for part in parts):
            raise ValueError(f"{argument!r} is not {self.syntactic_help}")
        widths = tuple(map(int, parts))
        sizes = map(math.prod, zip((1, *widths), widths, strict=False))
        if max(sizes) > LARGEST_SIZE:
            raise ValueError(
                f"{argument!r} has a layer of more than {LARGEST_SIZE} weights"
            )
        return widths


class OrNone(flags.ArgumentParser):
    """Parses what another parser does, or the word none."""

    def __init__(self, parser: flags.ArgumentParser):
        self._parser = parser
        self.syntactic_help = f"{parser.syntactic_help}, or {NONE}"

    def parse(self, argument: Any) -> Any:
        if argument == NONE:
            return None
        try:
            return self._parser.parse(argument)
        except ValueError as error:
            raise ValueError(
                f"{argument!r} is not {self.syntactic_help} ({error})"
            ) from error


class _PerSeat(flags.ArgumentParser):
    """Parses a comma list, in seat order, into a tuple."""

    def __init__(self, parser: flags.ArgumentParser):
        self._parser = parser
        syntax = parser.syntactic_help
        if isinstance(parser, flags.EnumParser):
            syntax = f"one of {', '.join(parser.enum_values)}"
        self.syntactic_help = f"per player: {syntax}"

    def parse(self, argument: Any) -> tuple:
        if not isinstance(argument, str):
            return argument
        return tuple(
            self._parser.parse(part.strip()) for part in argument.split(",")
        )


class _Serializer(flags.ArgumentSerializer):
    """Writes values as a user would."""

    def serialize(self, value: Any) -> str:
        if isinstance(value, tuple):
            return ",".join(map(self.serialize_item, value))
        return self.serialize_item(value)

    def serialize_item(self, value: Any) -> str:
        if isinstance(value, tuple):
            return "x".join(map(str, value))
        if isinstance(value, float):
            short = f"{value:g}"
            return short if float(short) == value else repr(value)
        return NONE if value is None else str(value)


def define(
    name: str,
    default: str | int | None,
    parser: flags.ArgumentParser,
    text: str,
) -> None:
    """Defines a flag of one value."""
    flags.DEFINE(parser, name, default, text, serializer=_Serializer())


def define_size(
    name: str,
    default: int | None,
    text: str,
    least: int = 1,
    most: int = LARGEST_SIZE,
) -> None:
    """Defines a flag that counts something."""
    define(name, default, Size(least, most), text)


def define_seed(text: str) -> None:
    """Defines --seed: a whole number of any size, not negative."""
    define("seed", 0, flags.IntegerParser(lower_bound=0), text)


def check_product(**sizes: int) -> None:
    """Refuses sizes that make one tensor too large.

    Args:
      **sizes: by flag.

    Raises:
      ValueError: if their product is more than a tensor can hold.
    """
    if math.prod(sizes.values()) > LARGEST_SIZE:
        raise ValueError(
            f"{' times '.join(f'--{name}' for name in sizes)} must be at most "
            f"{LARGEST_SIZE}, as one tensor holds so many numbers. Received: "
            f"{' * '.join(map(str, sizes.values()))}."
        )


def check_some(name: str, values: Sequence[str]) -> Sequence[str]:
    """Returns the entries of a list, or refuses an empty one.

    Args:
      name: of the flag.
      values: the entries.

    Raises:
      ValueError: if there is none: there would be nothing to do.
    """
    if not values:
        raise ValueError(f"--{name} must hold at least one entry.")
    return values


def define_per_seat(
    name: str, default: str | None, parser: flags.ArgumentParser, text: str
) -> None:
    """Defines a flag that may differ by player: a tuple, see `per_seat`."""
    define(name, default, _PerSeat(parser), text)


def per_seat(name: str, values: Sequence[Any], num_players: int) -> tuple:
    """Returns one value per player, repeating a single one.

    Raises:
      ValueError: if there are several values, but not one per player.
    """
    if len(values) == 1:
        return tuple(values) * num_players
    if len(values) != num_players:
        raise ValueError(
            f"--{name} must have one value, or one for each of the "
            f"{num_players} players. Received {len(values)} values."
        )
    return tuple(values)


def read_settings(
    kind: type,
    values: Any,
    defaults: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Any:
    """Returns flags as a named tuple.

    Args:
      kind: class of the named tuple, whose fields are names of flags.
      values: parsed flags.
      defaults: by name, values of flags that are not given.
      **changes: fields that are not what the flags say.
    """
    given = {
        name: getattr(values, name)
        for name in kind._fields
        if name not in changes
    }
    for name, default in (defaults or {}).items():
        if given[name] is None:
            given[name] = default
    return kind(**given, **changes)
