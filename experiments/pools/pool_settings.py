"""Settings of `experiments.common_pool`, one for each method."""

from typing import Any, NamedTuple

from ..command_line.flag_parsers import check_some, per_seat
from ..settings.line_up import (
    COLA,
    LEARNERS,
    LOLA_DICE_OPPONENT_MODEL,
    LOLA_SURROGATE,
    STEPWISE,
    parse_method,
)
from ..settings.training_flags import PARAMETERS

NUM_PLAYERS = 2
# They learn from play, or need an episode length, or compile for minutes in a
# game of this size.
_OTHERS = {COLA, LOLA_DICE_OPPONENT_MODEL, LOLA_SURROGATE, *STEPWISE}


class PoolSettings(NamedTuple):
    """All that determines a training. A tuple holds one value per player."""

    discount: float
    episode_length: int
    num_seeds: int
    seed: int
    num_iterations: int
    learning_rate: tuple[float, ...]
    inner_learning_rate: tuple[float, ...]
    learner: tuple[str, ...]
    num_lookaheads: tuple[int | None, ...]
    look_ahead_weight: tuple[float, ...]
    policy: tuple[None, ...] = (None,) * NUM_PLAYERS
    step_space: tuple[str, ...] = (PARAMETERS,) * NUM_PLAYERS


def resolve(values: Any) -> dict[str, PoolSettings]:
    """Returns the settings of each method, by its name.

    Raises:
      ValueError: if there is no such method, or it does not learn here from
        exact values, or the discount is 1.
    """
    if values.discount == 1.0:
        raise ValueError(
            "--discount must be below 1, as the horizon is infinite. "
            "Received: 1."
        )
    settings = {}
    for name in check_some("learners", values.learners):
        line_up, batch_size = parse_method(name)
        learns = all(
            learner in LEARNERS and learner not in _OTHERS
            for learner in line_up.learners
        )
        if batch_size is not None or not learns:
            raise ValueError(
                "--learners must hold learners that ascend exact values, "
                f"and none of {', '.join(sorted(_OTHERS))}. "
                f"Received: {name!r}."
            )
        if name in settings:
            raise ValueError(f"--learners must differ. Received twice: {name}.")
        learners, numbers, weights = (
            per_seat("learners", values_of_seats, NUM_PLAYERS)
            for values_of_seats in line_up
        )
        settings[name] = PoolSettings(
            values.discount,
            values.episode_length,
            values.num_seeds,
            values.seed,
            values.num_iterations,
            (values.learning_rate,) * NUM_PLAYERS,
            (values.inner_learning_rate,) * NUM_PLAYERS,
            learners,
            numbers,
            weights,
        )
    return settings
