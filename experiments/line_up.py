"""Who sits where: learners, fixed opponents, and the names of methods."""

import os
from collections.abc import Sequence

NAIVE = "naive"
LOLA_DICE = "lola_dice"
LEARNERS = (NAIVE, LOLA_DICE)

# `dice_tf.policies.<name>` builds each of them.
OPPONENTS = (
    "always_cooperate",
    "always_defect",
    "tit_for_tat",
    "grim_trigger",
    "win_stay_lose_shift",
    "random",
)

# What the published curves used: other batch sizes are part of the name.
_USUAL_BATCH_SIZE = 64


def check_seat(name: str) -> str:
    """Returns the name of who sits in a seat, or raises if it is unknown."""
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
    batch_size: int,
) -> str:
    """Returns the name that files use for a line-up.

    Args:
      learners: who sits in each seat.
      num_lookaheads: look-aheads of each seat, `None` where it has none.
      batch_size: number of episodes.

    Returns:
      A name such as `naive`, `lola_dice_2_lookaheads_batch_128` or
      `lola_dice_1_lookahead_vs_tit_for_tat`.
    """
    seats = [
        seat_name(learner, count)
        for learner, count in zip(learners, num_lookaheads, strict=True)
    ]
    name = seats[0] if len(set(seats)) == 1 else "_vs_".join(seats)
    if batch_size != _USUAL_BATCH_SIZE:
        name += f"_batch_{batch_size}"
    return name


def seat_name(learner: str, num_lookaheads: int | None) -> str:
    """Returns what files and pictures call who sits in a seat."""
    if learner == LOLA_DICE:
        plural = "" if num_lookaheads == 1 else "s"
        return f"{learner}_{num_lookaheads}_lookahead{plural}"
    if learner in LEARNERS or learner in OPPONENTS:
        return learner
    return "saved_model"
