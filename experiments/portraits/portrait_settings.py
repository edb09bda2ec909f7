"""Settings of `experiments.phase_portrait`, one for each learner."""

from typing import Any, NamedTuple

from ..command_line.flag_parsers import check_some
from ..settings.line_up import (
    COLA,
    LEARNERS,
    LOLA_DICE_OPPONENT_MODEL,
    LOLA_SURROGATE,
    POLA,
    STEPWISE,
    parse_method,
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
      ValueError: if there is no such learner, or it cannot be drawn, or the
        discount is 1.
    """
    if values.discount == 1.0:
        raise ValueError(
            "--discount must be below 1, as the horizon is infinite. "
            "Received: 1."
        )
    settings = {}
    for name in check_some("learners", values.learners):
        line_up, batch_size = parse_method(name)
        (learner, *others) = line_up.learners
        is_drawn = learner in LEARNERS and learner not in _OTHERS
        if others or batch_size is not None or not is_drawn:
            raise ValueError(
                "--learners must hold learners that ascend exact values "
                f"without a memory, as both players. Received: {name!r}."
            )
        if name in settings:
            raise ValueError(f"--learners must differ. Received twice: {name}.")
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
