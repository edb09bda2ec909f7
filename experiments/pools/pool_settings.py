"""Settings of `experiments.common_pool`, one for each method."""

from typing import Any, NamedTuple

from ..command_line.flag_parsers import per_seat
from ..settings.line_up import (
    COLA,
    LOLA_DICE_OPPONENT_MODEL,
    LOLA_SURROGATE,
    STEPWISE,
    exact_methods,
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
      ValueError: as of `exact_methods`.
    """
    settings = {}
    for name, line_up in exact_methods(values, _OTHERS).items():
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
