"""A weighted sum of the directions of several learners."""

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from dice_tf.checks import check_kind, check_number
from dice_tf.learners.derivatives import weighted_sum
from dice_tf.learners.learner import (
    FittedModel,
    Learner,
    LearnerStep,
    check_state,
    check_step,
)
from dice_tf.objectives.objective import Objective, Params
from dice_tf.seeds import Seed


class MixtureState(NamedTuple):
    """What a `Mixture` remembers.

    Attributes:
      learners: one nest of tensors per learner, what each remembers.
    """

    learners: tuple[Any, ...]


class Mixture(Learner):
    """Moves along a weighted sum of what several learners would do.

    The direction is `sum_m w_m direction_m`. Each learner remembers what it
    would remember alone, and gets the seed itself, so that all share the play
    of the parameters that they start from.

    A player that meets many kinds of opponents moves along a mean over them.
    A mixture of a learner that looks ahead and of `Naive` is such a mean: over
    opponents that learn from its play, and opponents that do not. With many
    look-aheads alone, LOLA-DiCE can turn to extortion.

    Args:
      parts: pairs of a weight, at least 0, and a learner.

    Raises:
      TypeError, ValueError: if they are not such pairs, if there is none, or
        if two learners log a metric of the same name.

    Example:
      >>> learner = dice_tf.learners.Mixture(
      ...     [
      ...         (0.6, dice_tf.learners.LOLADiCE(10, 5.0)),
      ...         (0.4, dice_tf.learners.Naive()),
      ...     ]
      ... )
      >>> direction = learner.gradient(objective, params, 0, seed)

    References:
      Meulemans et al. 2025 (Multi-agent cooperation through learning-aware
      policy gradients), section 4.3, for LOLA-DiCE with `Naive`.
    """

    def __init__(self, parts: Sequence[tuple[float, Learner]]):
        expected = "a list of pairs of a weight and a learner"
        check_kind("parts", parts, (list, tuple), expected)
        if not parts:
            raise ValueError(f"`parts` must be {expected}. Received none.")
        weights, learners = [], []
        for index, part in enumerate(parts):
            name = f"parts[{index}]"
            check_kind(name, part, (list, tuple), "a weight and a learner")
            if len(part) != 2:
                raise ValueError(
                    f"`{name}` must be a weight and a learner. Received "
                    f"{len(part)} entries."
                )
            weights.append(check_number(f"{name}[0]", part[0]))
            check_kind(
                f"{name}[1]", part[1], Learner, "a dice_tf.learners.Learner"
            )
            learners.append(part[1])
        self.weights = tuple(weights)
        self.learners = tuple(learners)
        self.metric_names = tuple(
            name for learner in learners for name in learner.metric_names
        )
        if len(set(self.metric_names)) != len(self.metric_names):
            raise ValueError(
                "`parts` must not hold two learners that log a metric of the "
                f"same name. Received: {', '.join(self.metric_names)}."
            )

    def init(self, params: Params) -> MixtureState:
        return MixtureState(
            tuple(learner.init(params) for learner in self.learners)
        )

    def metrics(self, state: MixtureState) -> tuple[tf.Tensor, ...]:
        return tuple(
            metric
            for learner, learner_state in self._with(state)
            for metric in learner.metrics(learner_state)
        )

    def fitted_models(self, state: MixtureState) -> list[FittedModel]:
        return [
            fitted
            for learner, learner_state in self._with(state)
            for fitted in learner.fitted_models(learner_state)
        ]

    def hoisted(self, states: MixtureState) -> "Mixture":
        hoisted = copy.copy(self)
        hoisted.learners = tuple(
            learner.hoisted(learner_states)
            for learner, learner_states in self._with(states, "states")
        )
        return hoisted

    def step(
        self,
        objective: Objective,
        params: Params,
        player_id: int,
        seed: Seed | None,
        state: MixtureState,
    ) -> LearnerStep:
        params = check_step(objective, params, player_id)
        steps = [
            learner.step(objective, params, player_id, seed, learner_state)
            for learner, learner_state in self._with(state)
        ]
        directions = [step.direction for step in steps]
        return LearnerStep(
            weighted_sum(*zip(self.weights, directions, strict=True)),
            MixtureState(tuple(step.state for step in steps)),
        )

    def _with(
        self, state: MixtureState, name: str = "state"
    ) -> list[tuple[Learner, Any]]:
        """Pairs the learners with what each remembers."""
        memories = check_state(state, MixtureState, name).learners
        return list(zip(self.learners, memories, strict=True))
