"""Settings of `experiments.phase_portrait`, one for each learner."""

from typing import Any, NamedTuple

from ..settings.line_up import (
    COLA,
    LOLA_DICE_OPPONENT_MODEL,
    LOLA_SURROGATE,
    POLA,
    STEPWISE,
    exact_methods,
)
from ..settings.training_flags import PARAMETERS

# They need play, or remember something, or make a whole move of many steps.
_OTHERS = {
    COLA,
    LOLA_DICE_OPPONENT_MODEL,
    LOLA_SURROGATE,
    POLA,
    *STEPWISE,
}


class PortraitSettings(NamedTuple):
    """All that determines the portrait of a learner.

    A tuple holds one value, that of both players, as `build_learner` reads it.
    """

    discount: float
    num_iterations: int
    learning_rate: tuple[float]
    inner_learning_rate: tuple[float]
    learner: tuple[str]
    num_lookaheads: tuple[int | None]
    look_ahead_weight: tuple[float]
    policy: tuple[None] = (None,)
    step_space: tuple[str] = (PARAMETERS,)


def resolve(values: Any) -> dict[str, PortraitSettings]:
    """Returns the settings of each learner, by its name.

    Raises:
      ValueError: as of `exact_methods`, or if players differ.
    """
    settings = {}
    for name, line_up in exact_methods(values, _OTHERS).items():
        if len(line_up.learners) > 1:
            raise ValueError(
                "--learners must hold learners that sit as both players. "
                f"Received: {name!r}."
            )
        settings[name] = PortraitSettings(
            values.discount,
            values.num_iterations,
            (values.learning_rate,),
            (values.inner_learning_rate,),
            line_up.learners,
            line_up.numbers,
            line_up.weights,
        )
    return settings
