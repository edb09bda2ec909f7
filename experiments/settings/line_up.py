"""Line-ups: learners and fixed opponents by seat, and names of methods."""

import os
import re
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from ..command_line.flag_parsers import (
    LARGEST_SIZE,
    MOST_UNROLLED,
    check_some,
)

NAIVE = "naive"
LOLA_DICE = "lola_dice"
# LOLA-DiCE against models of the opponents, fitted to their play.
LOLA_DICE_OPPONENT_MODEL = "lola_dice_opponent_model"
LOLA_SURROGATE = "lola_surrogate"
HOLA = "hola"
# Its direction is a whole move, made of several steps with another rate.
POLA = "pola"
# It fits the updates of all players, to exact values.
COLA = "cola"

# Learners that weigh what was played by its advantages, each step alike.
ACTOR_CRITIC = "actor_critic"
ADVANTAGE_ALIGNMENT = "advantage_alignment"
# It needs critics of action values, or exact values.
LOQA = "loqa"
STEPWISE = (ACTOR_CRITIC, ADVANTAGE_ALIGNMENT, LOQA)

# Learners that imagine a step of their opponents, or of all players.
IMAGINING = (
    "look_ahead",
    "lola",
    "lola_full_gradient",
    LOLA_SURROGATE,
    LOLA_DICE,
    LOLA_DICE_OPPONENT_MODEL,
    "sos",
    "competitive",
    "extragradient",
    POLA,
    HOLA,
    COLA,
)
LEARNERS = (
    NAIVE,
    *IMAGINING,
    "consensus",
    "symplectic",
    "locally_stable",
    *STEPWISE,
)
# Learners with a number: their look-aheads, or their order.
NUMBERED = (LOLA_DICE, LOLA_DICE_OPPONENT_MODEL, HOLA)

# `dice_tf.policies.<name>` builds each of them.
OPPONENTS = (
    "always_cooperate",
    "always_defect",
    "tit_for_tat",
    "grim_trigger",
    "win_stay_lose_shift",
    "random",
)

# What the help of flags says that take SavedModels.
PROGRAMS = (
    "A SavedModel is a program, which runs with your rights: give only those "
    "of people whom you trust."
)

# That of the published curves. Other batch sizes are part of a method's name.
_USUAL_BATCH_SIZE = 64

_AGAINST = "_vs_"
_NAME = re.compile(r"(?P<seats>.+?)(_batch_(?P<batch>[1-9]\d*))?")
_NUMBERED_NAME = re.compile(
    rf"(?P<dice>{LOLA_DICE})_(?P<lookaheads>\d+)_lookaheads?"
    r"(?P<model>_opponent_model|_mixed_(?P<weight>0(\.\d+)?))?"
    rf"|(?P<hola>{HOLA})_(?P<order>\d+)"
)


class LineUp(NamedTuple):
    """The players: one entry for each, or a single one for all.

    Attributes:
      learners: learners, opponents, or paths of SavedModels.
      numbers: look-aheads of `lola_dice`, order of `hola`; unused by others.
      weights: of the direction of `lola_dice` beside the naive one, which has
        the rest; unused by others.
    """

    learners: tuple[str, ...]
    numbers: tuple[int | None, ...]
    weights: tuple[float, ...] = (1.0,)


def exact_methods(values: Any, refused: Collection[str]) -> dict[str, LineUp]:
    """Returns by name the line-ups of --learners over an infinite horizon.

    Args:
      values: parsed flags, of which --learners and --discount count.
      refused: learners that cannot learn there.

    Raises:
      ValueError: if there is no such method, or it does not learn there from
        exact values, or it is given twice; or if the discount is 1.
    """
    if values.discount == 1.0:
        raise ValueError(
            "--discount must be below 1, as the horizon is infinite. "
            "Received: 1."
        )
    found = {}
    for name in check_some("learners", values.learners):
        line_up, batch_size = parse_method(name)
        learns = all(
            learner in LEARNERS and learner not in refused
            for learner in line_up.learners
        )
        if batch_size is not None or not learns:
            raise ValueError(
                "--learners must hold learners that ascend exact values, "
                f"and none of {', '.join(sorted(refused))}. "
                f"Received: {name!r}."
            )
        if name in found:
            raise ValueError(f"--learners must differ. Received twice: {name}.")
        found[name] = line_up
    return found


def parse_method(name: str) -> tuple[LineUp, int | None]:
    """Returns the line-up and the batch size of a method by its name.

    The batch size is `None` if the name, such as `method_name` returns, does
    not say it.

    Raises:
      ValueError: if there is no such method.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise ValueError("A method must have a name. Received: ''.")
    seats = [_parse_seat(seat) for seat in match["seats"].split(_AGAINST)]
    line_up = LineUp(*map(tuple, zip(*seats, strict=True)))
    if set(line_up.weights) == {1.0}:
        line_up = line_up._replace(weights=(1.0,))
    batch = match["batch"]
    return line_up, batch and _number(name, batch, LARGEST_SIZE)


def _number(name: str, digits: str, most: int) -> int:
    """Returns a number in the name of a method."""
    # Python reads no numbers of more than 4300 digits.
    if len(digits) > len(str(most)) or int(digits) > most:
        raise ValueError(
            f"A number in the name of a method must be at most {most}. "
            f"Received: {name!r}."
        )
    return int(digits)


def _parse_seat(name: str) -> tuple[str, int | None, float]:
    match = _NUMBERED_NAME.fullmatch(name)
    if match is not None:
        if match["dice"]:
            is_mixed = match["weight"] is not None
            has_model = match["model"] is not None and not is_mixed
            return (
                LOLA_DICE_OPPONENT_MODEL if has_model else LOLA_DICE,
                _number(name, match["lookaheads"], MOST_UNROLLED),
                float(match["weight"]) if is_mixed else 1.0,
            )
        return HOLA, _number(name, match["order"], MOST_UNROLLED), 1.0
    if name in NUMBERED or not (name in LEARNERS or name in OPPONENTS):
        plain = [name for name in LEARNERS if name not in NUMBERED]
        raise ValueError(
            "A method must be one of "
            f"{', '.join(plain)}, {LOLA_DICE}_1_lookahead, "
            f"{LOLA_DICE}_<K>_lookaheads, either with _opponent_model or "
            f"_mixed_<weight>, {HOLA}_<n>, or several such and "
            f"fixed opponents ({', '.join(OPPONENTS)}) in seat order, joined "
            f"by {_AGAINST}; _batch_<B> at the end sets the batch size. "
            f"Received: {name!r}."
        )
    return name, None, 1.0


def check_seat(name: str) -> str:
    """Returns the name of a player, or raises if there is no such player."""
    if name in LEARNERS or name in OPPONENTS or is_saved_model(name):
        return name
    raise ValueError(
        f"--learner must hold learners ({', '.join(LEARNERS)}), opponents "
        f"({', '.join(OPPONENTS)}) or paths of SavedModels. Received: "
        f"{name!r}."
    )


def is_saved_model(name: str) -> bool:
    """Tells whether this is the path of a SavedModel."""
    return os.path.isfile(os.path.join(name, "saved_model.pb"))


def method_name(
    learners: Sequence[str],
    num_lookaheads: Sequence[int | None],
    batch_size: int | None,
    weights: Sequence[float | None] = (),
) -> str:
    """Returns the name that files use for a line-up.

    Args:
      learners: one per player.
      num_lookaheads: one per player.
      batch_size: that of the play, if it is sampled.
      weights: one per player, as of `LineUp`. Default: 1 for all.

    Returns:
      A name such as `naive`, `lola_dice_2_lookaheads_batch_128` or
      `lola_dice_1_lookahead_vs_tit_for_tat`.
    """
    seats = [
        seat_name(learner, count, weight)
        for learner, count, weight in zip(
            learners,
            num_lookaheads,
            weights or [None] * len(learners),
            strict=True,
        )
    ]
    name = seats[0] if len(set(seats)) == 1 else _AGAINST.join(seats)
    if batch_size not in (None, _USUAL_BATCH_SIZE):
        name += f"_batch_{batch_size}"
    return name


def seat_name(
    learner: str, num_lookaheads: int | None, weight: float | None = None
) -> str:
    """Returns the name of a player in files and pictures."""
    if learner in (LOLA_DICE, LOLA_DICE_OPPONENT_MODEL):
        plural = "" if num_lookaheads == 1 else "s"
        rest = learner.removeprefix(LOLA_DICE)
        if weight not in (None, 1.0):
            rest = f"_mixed_{weight:g}"
        return f"{LOLA_DICE}_{num_lookaheads}_lookahead{plural}{rest}"
    if learner == HOLA:
        return f"{learner}_{num_lookaheads}"
    if learner in LEARNERS or learner in OPPONENTS:
        return learner
    return "saved_model"
