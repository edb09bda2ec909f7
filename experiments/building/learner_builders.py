"""From the name of a learner to the learner."""

from collections.abc import Callable
from typing import NamedTuple

import dice_tf
from experiments.settings.line_up import (
    HOLA,
    IMAGINING,
    LOLA_DICE,
    LOLA_DICE_OPPONENT_MODEL,
    POLA,
)

Learner = dice_tf.learners.Learner

# Learners of one setting: the rate of what they imagine.
_IMAGINING: dict[str, Callable[[float], Learner]] = {
    "look_ahead": dice_tf.learners.LookAhead,
    "lola": dice_tf.learners.LOLA,
    "lola_full_gradient": dice_tf.learners.LOLAFullGradient,
    # What makes it a control is the objective.
    "lola_surrogate": lambda rate: dice_tf.learners.LOLADiCE(1, rate),
    "sos": dice_tf.learners.SOS,
    "competitive": dice_tf.learners.CompetitiveGradientDescent,
    "extragradient": dice_tf.learners.Extragradient,
}
# Their own defaults are those of the literature.
_OTHERS: dict[str, Callable[[], Learner]] = {
    "naive": dice_tf.learners.Naive,
    "consensus": dice_tf.learners.Consensus,
    "symplectic": dice_tf.learners.SymplecticGradientAdjustment,
    "locally_stable": dice_tf.learners.LocalSymplecticSurgery,
}


class Proximal(NamedTuple):
    """How POLA solves its problem, beside the rate of what it imagines.

    Attributes:
      num_outer_steps: of its own problem.
      outer_learning_rate: of each.
      outer_penalty: weight of the divergence from its policy.
    """

    num_outer_steps: int
    outer_learning_rate: float
    outer_penalty: float


# As for rates, a step moves a network much further than a table.
_PROXIMAL_TABLE = Proximal(20, 1.0, 0.3)
_PROXIMAL_NETWORK = Proximal(50, 0.02, 0.5)


def learner_of(
    name: str,
    number: int | None,
    inner_learning_rate: float | None,
    is_network: bool = False,
) -> Learner | None:
    """Returns a learner by its name, one that knows its opponents.

    Args:
      name: one of `LEARNERS`, or what does not learn.
      number: look-aheads of `lola_dice`, with or without models, or order of
        `hola`.
      inner_learning_rate: of learners that imagine steps.
      is_network: whether its policy is a network, and no table.

    Returns:
      The learner; `None` for what does not learn.
    """
    if name in (LOLA_DICE, LOLA_DICE_OPPONENT_MODEL):
        return dice_tf.learners.LOLADiCE(number, inner_learning_rate)
    if name == HOLA:
        return dice_tf.learners.HOLA(number, inner_learning_rate)
    if name == POLA:
        proximal = _PROXIMAL_NETWORK if is_network else _PROXIMAL_TABLE
        return dice_tf.learners.POLA(
            *proximal, inner_learning_rate=inner_learning_rate
        )
    if name in IMAGINING:
        return _IMAGINING[name](inner_learning_rate)
    return _OTHERS[name]() if name in _OTHERS else None
