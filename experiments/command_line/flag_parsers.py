"""Flags with checked values, and flags that may differ by player.

A flag that may differ by player is a comma list in seat order; one value
means all seats. Errors show up while the command line is parsed, before
anything slow happens.
"""

import math
import os
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

from absl import flags

NONE = "none"

# Of float32, rounded down.
_LARGEST = 3.4e38

# Flags defined here belong to the module that asks for them.
flags.disclaim_key_flags()


class ItemType(NamedTuple):
    """How one value is written.

    Attributes:
      parse: from text to value; raises a `ValueError` that says what is
        expected.
      syntax: what is expected, in a few words.
    """

    parse: Callable[[str], Any]
    syntax: str


def number(minimum: float = 0.0, maximum: float = math.inf) -> ItemType:
    """A number in a range, the bounds included, that is finite in float32."""
    syntax = f"a number, at least {minimum:g} and below 3.4e38"
    if maximum < math.inf:
        syntax = f"a number from {minimum:g} to {maximum:g}"

    def parse(text: str) -> float:
        value = float(text)
        if not (minimum <= value <= maximum and abs(value) < _LARGEST):
            raise ValueError
        return value

    return ItemType(_with_message(parse, syntax), syntax)


def whole_number(minimum: int, maximum: float = math.inf) -> ItemType:
    """A whole number that is not below a minimum."""
    syntax = f"a whole number, at least {minimum}"
    if maximum < math.inf:
        syntax = f"a whole number from {minimum} to {maximum}"

    def parse(text: str) -> int:
        value = int(text)
        if not minimum <= value <= maximum:
            raise ValueError
        return value

    return ItemType(_with_message(parse, syntax), syntax)


def choice(choices: Collection[str]) -> ItemType:
    """One of several words."""
    syntax = f"one of {', '.join(choices)}"

    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError
        return text

    return ItemType(_with_message(parse, syntax), syntax)


def choice_or_file(choices: Collection[str], suffix: str) -> ItemType:
    """One of several words, or the path of a file that is there."""
    syntax = f"one of {', '.join(choices)}, or the path of a {suffix} file"

    def parse(text: str) -> str:
        is_file = text.endswith(suffix) and os.path.isfile(text)
        if text not in choices and not is_file:
            raise ValueError
        return text

    return ItemType(_with_message(parse, syntax), syntax)


def widths() -> ItemType:
    """Widths of layers, such as 64x64."""
    syntax = "whole numbers joined by x, such as 64x64"

    def parse(text: str) -> tuple[int, ...]:
        values = tuple(int(part) for part in text.split("x"))
        if min(values) < 1:
            raise ValueError
        return values

    return ItemType(_with_message(parse, syntax), syntax)


def optional(item: ItemType) -> ItemType:
    """Another type, or the word none."""
    syntax = f"{item.syntax}, or {NONE}"

    def parse(text: str) -> Any:
        return None if text == NONE else item.parse(text)

    return ItemType(_with_message(parse, syntax), syntax)


def define(name: str, default: str | None, item: ItemType, text: str) -> None:
    """Defines a flag of one value."""
    flags.DEFINE(_Parser(item), name, default, text, serializer=_Serializer())


def define_per_seat(
    name: str, default: str | None, item: ItemType, text: str
) -> None:
    """Defines a flag that may differ by player: a tuple, see `per_seat`."""
    flags.DEFINE(
        _PerSeatParser(item), name, default, text, serializer=_Serializer()
    )


def per_seat(name: str, values: Sequence[Any], num_players: int) -> tuple:
    """Returns one value per player, repeating a single one.

    Args:
      name: of the flag.
      values: what it holds.
      num_players: number of players.

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


class _Parser(flags.ArgumentParser):
    def __init__(self, item: ItemType):
        self._item = item
        self.syntactic_help = item.syntax

    def parse(self, argument: Any) -> Any:
        if not isinstance(argument, str):
            return argument
        return self._item.parse(argument.strip())

    def flag_type(self) -> str:
        return self._item.syntax


class _PerSeatParser(_Parser):
    def __init__(self, item: ItemType):
        super().__init__(item)
        self.syntactic_help = f"per player: {item.syntax}"

    def parse(self, argument: Any) -> Any:
        if not isinstance(argument, str):
            return argument
        return tuple(
            self._item.parse(part.strip()) for part in argument.split(",")
        )


class _Serializer(flags.ArgumentSerializer):
    """Writes values as a user would."""

    def serialize(self, value: Any) -> str:
        if not isinstance(value, tuple):
            return _as_text(value)
        return ",".join(_as_text(item) for item in value)


def _as_text(value: Any) -> str:
    if isinstance(value, tuple):
        return "x".join(map(str, value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return NONE if value is None else str(value)


def _with_message(
    parse: Callable[[str], Any], syntax: str
) -> Callable[[str], Any]:
    def checked(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise ValueError(
                f"Expected {syntax}. Received: {text!r}"
            ) from error

    return checked
