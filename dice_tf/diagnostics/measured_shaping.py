"""A learner that logs, step by step, how much of its direction shapes."""

import copy
from typing import Any, NamedTuple

import tensorflow as tf

from dice_tf.diagnostics.shaping import OpponentsHeldStill
from dice_tf.inner_optimizers.norms import global_norm
from dice_tf.learners.learner import (
    FittedModel,
    Learner,
    LearnerStep,
    as_params,
    check_learner,
    check_state,
    check_step,
)
from dice_tf.objectives.objective import Objective, Params
from dice_tf.seeds import Seed


class MeasuredShapingState(NamedTuple):
    """What `MeasuredShaping` remembers, with the learner it wraps.

    Attributes:
      learner: state of the wrapped learner.
      share: scalar, the share of the last step.
    """

    learner: Any
    share: tf.Tensor


class MeasuredShaping(Learner):
    """Moves as another learner does, and logs `shaping_share`.

    With d the direction of the learner in this step, and c that of the same
    play with the opponents held still (the learning steps that the learner
    expects of them are taken, but held constant in its own parameters),

      `shaping_share = |d - c| / |d|`,

    0 if d is 0. It is the `share` of `dice_tf.diagnostics.shaping_share`, of
    one batch. Computing c takes up to twice as long as d. A learner within
    `dice_tf.opponent_models.OpponentModelling` may be measured from outside or
    inside of it: measured from inside, the models are not fitted twice.

    Args:
      learner: the learner that moves.

    Raises:
      TypeError: if `learner` is not a `Learner`.

    Example:
      >>> learner = dice_tf.diagnostics.MeasuredShaping(
      ...     dice_tf.learners.LOLADiCE(1, 1.5)
      ... )
      >>> trainer = dice_tf.Trainer(objective, learners=[learner, learner])
    """

    def __init__(self, learner: Learner):
        self.learner = check_learner(learner)
        self.metric_names = ("shaping_share", *learner.metric_names)

    def init(self, params: Params) -> MeasuredShapingState:
        params = as_params(params)
        tensors = tf.nest.flatten(params)
        dtype = tensors[0].dtype if tensors else tf.float32
        return MeasuredShapingState(
            self.learner.init(params), tf.zeros([], dtype)
        )

    def metrics(self, state: MeasuredShapingState) -> tuple[tf.Tensor, ...]:
        check_state(state, MeasuredShapingState)
        return (state.share, *self.learner.metrics(state.learner))

    def fitted_models(self, state: MeasuredShapingState) -> list[FittedModel]:
        check_state(state, MeasuredShapingState)
        return self.learner.fitted_models(state.learner)

    def hoisted(self, states: MeasuredShapingState) -> "MeasuredShaping":
        check_state(states, MeasuredShapingState, "states")
        hoisted = copy.copy(self)
        hoisted.learner = self.learner.hoisted(states.learner)
        return hoisted

    def step(
        self,
        objective: Objective,
        params: Params,
        player_id: int,
        seed: Seed | None,
        state: MeasuredShapingState,
    ) -> LearnerStep:
        params = check_step(objective, params, player_id)
        check_state(state, MeasuredShapingState)
        direction, constant = (
            self.learner.step(source, params, player_id, seed, state.learner)
            for source in (objective, OpponentsHeldStill(objective, player_id))
        )
        share = tf.zeros_like(state.share)
        if direction.direction:
            term = [
                x - y
                for x, y in zip(
                    direction.direction, constant.direction, strict=True
                )
            ]
            share = tf.math.divide_no_nan(
                global_norm(term), global_norm(direction.direction)
            )
        return LearnerStep(
            direction.direction, MeasuredShapingState(direction.state, share)
        )
