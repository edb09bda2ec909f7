"""A learner against models of its opponents, fitted to what they do."""

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf
from keras.optimizers.schedules import LearningRateSchedule

from dice_tf.checks import check_whole_number
from dice_tf.inner_optimizers import InnerOptimizer
from dice_tf.learners.derivatives import evaluation_seeds
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
from dice_tf.objectives.visits import visit_means, visit_weights
from dice_tf.opponent_models.fitting import fitting_rules
from dice_tf.opponent_models.maximum_likelihood import ascend, log_likelihood
from dice_tf.opponent_models.model_checks import (
    check_models,
    check_seats,
    with_models,
)
from dice_tf.play.trajectories import Trajectory, player_divergences
from dice_tf.replicas import mean_over_replicas
from dice_tf.seeds import Seed


class OpponentModelState(NamedTuple):
    """What `OpponentModelling` remembers, with the learner it wraps.

    Attributes:
      params: one list of tensors per player, empty if there is no model.
      slots: one nest of tensors per player, of the models' optimisers.
      learner: state of the wrapped learner.
      metrics: two scalars, the metrics of the last step.
      count: int32 scalar, number of iterations made, for schedules.
    """

    params: list[list[tf.Tensor]]
    slots: list[Any]
    learner: Any
    metrics: list[tf.Tensor]
    count: tf.Tensor


class OpponentModelling(Learner):
    """Learns against models of the opponents, which are fitted to their play.

    In every step, before the learner moves, each model ascends the mean
    log-likelihood of the actions that its opponent took in the play of the
    iteration,

      `L(phi_j) = mean_{t, b} log pi_phi_j(a_j,t,b | o_j,t,b)`,

    `num_steps` times. The wrapped learner is then given `phi_j` in place of
    the opponents' own parameters: it plays, looks ahead and differentiates
    with the models alone, and sees nothing of the opponents but that play.
    No gradient flows through the fit. The play of the iteration has the seed
    itself, and the wrapped learner has a seed split from it.

    It logs two metrics of the player that learns. `model/return` is the
    reported return that the player would get against the models.
    `model/divergence` is `KL(pi_j || pi_phi_j)` in nats after the fit,
    averaged over the states of real play and over the opponents that have a
    model. Every step until the end of its episode counts the same, as in the
    likelihood that is fitted. Only this metric reads the parameters of
    opponents that have a model.

    Args:
      learner: the learner that moves.
      models: one `keras.Model` per seat, from its observations to logits like
        a policy, of any architecture; `None` for the learner's own seat, and
        for opponents whose parameters it may read. The models start from
        their current weights, in every run, and are not changed themselves.
        If weights are set on a model later, for example between two calls of
        `fit`, they take the place of the fitted ones in every run.
      learning_rate: of the fit: a number, or a schedule of
        `keras.optimizers.schedules` over iterations, from 0. The steps of one
        iteration have the same rate. One for all models, or a list with one
        per seat (`None` if there is no model).
      num_steps: steps of the fit in each iteration.
      optimizer: of the fit: one for all models, or a list with one per seat.
        Each model has slots of its own, which are carried from one iteration
        to the next. Default: `Adam`.

    Raises:
      TypeError: if an argument is of another type.
      ValueError: if there is no model, a model has no weights yet, or a list
        does not have one entry per seat; if a model draws noise of its own or
        cannot be differentiated twice, or two share trainable variables.

    References:
      Foerster et al. 2018 (Learning with Opponent-Learning Awareness), section
      on opponent modelling, for the estimate by maximum likelihood.

    Example:
      >>> model = dice_tf.policies.tabular(game, 1)
      >>> learner = dice_tf.opponent_models.OpponentModelling(
      ...     dice_tf.learners.LOLADiCE(1, 1.5),
      ...     models=[None, model],
      ...     learning_rate=keras.optimizers.schedules.CosineDecay(0.1, 200),
      ... )
    """

    metric_names: tuple[str, ...] = ("model/return", "model/divergence")

    def __init__(
        self,
        learner: Learner,
        models: Sequence[keras.Model | None],
        *,
        learning_rate: float | LearningRateSchedule | Sequence[Any] = 0.1,
        num_steps: int = 10,
        optimizer: InnerOptimizer | Sequence[Any] | None = None,
    ):
        self.learner = check_learner(learner)
        self.models = check_models(models)
        self.rules = fitting_rules(self.models, learning_rate, optimizer)
        self.num_steps = check_whole_number("num_steps", num_steps, 1)
        self.metric_names = (*type(self).metric_names, *learner.metric_names)

    def init(self, params: Params) -> OpponentModelState:
        params = as_params(params)
        check_seats(self.models, len(params))
        # In a seat, the parameters of a model have the dtype of the game.
        dtype = tf.as_dtype(tf.nest.flatten(params)[0].dtype)
        params_of_models = [
            []
            if model is None
            else [
                tf.cast(tf.convert_to_tensor(variable), dtype)
                for variable in model.trainable_variables
            ]
            for model in self.models
        ]
        slots = [
            [] if rule is None else rule.optimizer.init(values)
            for rule, values in zip(self.rules, params_of_models, strict=True)
        ]
        believed = _replace(params, params_of_models)
        nothing = tf.zeros([], tf.nest.flatten(params_of_models)[0].dtype)
        return OpponentModelState(
            params_of_models,
            slots,
            self.learner.init(believed),
            [nothing, nothing],
            tf.zeros([], tf.int32),
        )

    def metrics(self, state: OpponentModelState) -> tuple[tf.Tensor, ...]:
        check_state(state, OpponentModelState)
        return (*state.metrics, *self.learner.metrics(state.learner))

    def fitted_models(self, state: OpponentModelState) -> list[FittedModel]:
        check_state(state, OpponentModelState)
        fitted = [
            FittedModel(f"models[{seat}]", model, model_params)
            for seat, (model, model_params) in enumerate(
                zip(self.models, state.params, strict=True)
            )
            if model is not None
        ]
        return [*fitted, *self.learner.fitted_models(state.learner)]

    def hoisted(self, states: OpponentModelState) -> "OpponentModelling":
        check_state(states, OpponentModelState, "states")
        hoisted = copy.copy(self)
        hoisted.rules = tuple(
            None if rule is None else rule.at(states.count[0])
            for rule in self.rules
        )
        hoisted.learner = self.learner.hoisted(states.learner)
        return hoisted

    def step(
        self,
        objective: Objective,
        params: Params,
        player_id: int,
        seed: Seed | None,
        state: OpponentModelState,
    ) -> LearnerStep:
        params = check_step(objective, params, player_id)
        check_state(state, OpponentModelState)
        check_seats(self.models, objective.num_players, player_id)
        trajectory = _check_play(objective, params, seed)
        believed = with_models(objective, self.models)
        real_weights = objective.player_weights(params)
        weights = believed.player_weights(_replace(params, state.params))
        slots, divergences = list(state.slots), []
        for j, rule in enumerate(self.rules):
            if rule is None:
                continue
            actor = believed.actors[j]
            weights[j], slots[j] = ascend(
                log_likelihood(actor, trajectory, j),
                weights[j],
                slots[j],
                rule.optimizer,
                rule.at(state.count).learning_rate,
                self.num_steps,
            )
            seats = (objective.actors[j], real_weights[j], actor, weights[j])
            divergences.append(player_divergences(*seats, trajectory, j))
        believed_params = [seat_weights.params for seat_weights in weights]
        believed_seed = evaluation_seeds(seed, 2)[1]
        direction, learner_state = self.learner.step(
            believed, believed_params, player_id, believed_seed, state.learner
        )
        # At discount 1, all steps until the end count the same, as in the fit.
        weights_by_step = visit_weights(trajectory, discount=1.0)
        means = mean_over_replicas(visit_means(weights_by_step, divergences))
        divergence = tf.add_n(means) / len(means)
        value = believed.play(believed_params, believed_seed).values[player_id]
        fitted = [
            [] if model is None else model_params
            for model, model_params in zip(
                self.models, believed_params, strict=True
            )
        ]
        return LearnerStep(
            direction,
            OpponentModelState(
                fitted,
                slots,
                learner_state,
                [objective.return_scale * value, divergence],
                state.count + 1,
            ),
        )


def _check_play(
    objective: Objective, params: Params, seed: Seed | None
) -> Trajectory:
    """Returns what the real players played, or raises if nothing is sampled."""
    trajectory = objective.play(params, seed).trajectory
    if trajectory is None:
        raise ValueError(
            "Opponent modelling learns from play and needs a sampled "
            "objective, such as dice_tf.objectives.DiCEObjective. Received: "
            f"{type(objective).__name__}."
        )
    return trajectory


def _replace(
    params: Params, models: Sequence[list[tf.Tensor]]
) -> list[list[tf.Tensor]]:
    """Returns the parameters of the models, and of players without a model."""
    return [
        list(model_params) or list(player_params)
        for player_params, model_params in zip(params, models, strict=True)
    ]
