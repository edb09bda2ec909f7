"""A learner against models of its opponents, fitted to what they do."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from dice_tf.checks import check_number, check_whole_number
from dice_tf.inner_optimizers import Adam, InnerOptimizer
from dice_tf.inner_optimizers.optimizer import check_inner_optimizer
from dice_tf.learners.derivatives import evaluation_seeds
from dice_tf.learners.learner import Learner, LearnerStep
from dice_tf.objectives.game_objective import GameObjective
from dice_tf.objectives.objective import Objective, Params
from dice_tf.opponent_models.maximum_likelihood import ascend, log_likelihood
from dice_tf.replicas import mean_over_replicas
from dice_tf.trajectory import Trajectory, player_divergences


class OpponentModelState(NamedTuple):
    """What `OpponentModelling` remembers, with the learner it wraps.

    Attributes:
      params: one list of tensors per player, empty where there is no model.
      slots: one nest of tensors per player, of the models' optimiser.
      learner: state of the wrapped learner.
      metrics: two scalars, what the last step measured.
    """

    params: list[list[tf.Tensor]]
    slots: list[Any]
    learner: Any
    metrics: list[tf.Tensor]


class OpponentModelling(Learner):
    """Learns against models of the opponents, fitted to what they were seen do.

    In every step, and before the learner moves, each model ascends the mean
    log-likelihood of the actions that its opponent took in the play of the
    iteration,

      `L(phi_j) = mean_{t, b} log pi_phi_j(a_j,t,b | o_j,t,b)`,

    `num_steps` times. The wrapped learner is then given `phi_j` in place of
    the opponents' own parameters: it plays, looks ahead and differentiates
    with the models alone, and sees nothing of the opponents but that play.
    No gradient flows through the fit.

    It logs, of the player that learns, `model/return`: what the player would
    get against the models, a reported return as that of real play; and
    `model/divergence`: `KL(pi_j || pi_phi_j)` in nats, averaged over the
    states of real play and over the opponents that have a model, after the
    fit. The latter is the one place where the opponents' parameters are read.

    Args:
      learner: the learner that moves.
      models: one `keras.Model` per seat, from its observations to logits like
        a policy, of any architecture; `None` for the learner's own seat, and
        for opponents whose parameters it may read. The models start from
        their current weights, in every run, and are not changed themselves.
      learning_rate: of the fit.
      num_steps: steps of the fit in each iteration.
      optimizer: of the fit, carried from one iteration to the next.

    Raises:
      TypeError: if an argument is of another type.
      ValueError: if a model has no weights yet, or there is none.

    References:
      Foerster et al. 2018 (Learning with Opponent-Learning Awareness), section
      on opponent modelling, for the estimate by maximum likelihood.

    Example:
      >>> model = dice_tf.policies.tabular(game, 1)
      >>> learner = dice_tf.opponent_models.OpponentModelling(
      ...     dice_tf.learners.LOLADiCE(1, 1.5), models=[None, model]
      ... )
    """

    metric_names = ("model/return", "model/divergence")

    def __init__(
        self,
        learner: Learner,
        models: Sequence[keras.Model | None],
        *,
        learning_rate: float = 0.1,
        num_steps: int = 10,
        optimizer: InnerOptimizer | None = None,
    ):
        if not isinstance(learner, Learner):
            raise TypeError(
                "`learner` must be a dice_tf.learners.Learner. Received: "
                f"{learner!r}."
            )
        self.learner = learner
        self.models = _check_models(models)
        self.learning_rate = check_number("learning_rate", learning_rate)
        self.num_steps = check_whole_number("num_steps", num_steps, 1)
        self.optimizer = check_inner_optimizer(
            "optimizer", Adam() if optimizer is None else optimizer
        )
        self.metric_names = (*type(self).metric_names, *learner.metric_names)

    def init(self, params: Params) -> OpponentModelState:
        own = [
            []
            if model is None
            else [tf.convert_to_tensor(v) for v in model.trainable_variables]
            for model in self._models_of(len(params))
        ]
        slots = [self.optimizer.init(values) for values in own]
        believed = _replace(params, own)
        nothing = tf.zeros([], next(x for x in own if x)[0].dtype)
        return OpponentModelState(
            own, slots, self.learner.init(believed), [nothing, nothing]
        )

    def metrics(self, state: OpponentModelState) -> tuple[tf.Tensor, ...]:
        return (*state.metrics, *self.learner.metrics(state.learner))

    def step(
        self,
        objective: Objective,
        params: Params,
        player_id: int,
        seed: Any,
        state: OpponentModelState,
    ) -> LearnerStep:
        models = self._models_of(objective.num_players)
        if models[player_id] is not None:
            raise ValueError(
                f"`models[{player_id}]` must be None: player {player_id} "
                f"does not model itself. Received: {models[player_id]!r}."
            )
        trajectory = _check_play(objective, params, seed)
        believed = objective.with_policies(
            [
                policy if model is None else model
                for model, policy in zip(
                    models, objective.policies, strict=True
                )
            ]
        )
        if believed.has_memory and not objective.has_memory:
            # The trainer has compiled for the objective that it knows.
            raise ValueError(
                "`models` may have memory only where a policy or critic has "
                "some, too: else XLA compiles the step, which a pass over "
                "time does not bear. Use models of observations alone."
            )
        real_weights = objective.player_weights(params)
        weights = believed.player_weights(_replace(params, state.params))
        slots, divergences = list(state.slots), []
        for j, model in enumerate(models):
            if model is None:
                continue
            actor = believed.actors[j]
            weights[j], slots[j] = ascend(
                log_likelihood(actor, trajectory, j),
                weights[j],
                slots[j],
                self.optimizer,
                self.learning_rate,
                self.num_steps,
            )
            seats = (objective.actors[j], real_weights[j], actor, weights[j])
            divergences.append(player_divergences(*seats, trajectory, j))
        believed_params = [own.params for own in weights]
        believed_seed = evaluation_seeds(seed, 2)[1]
        direction, learner_state = self.learner.step(
            believed, believed_params, player_id, believed_seed, state.learner
        )
        (divergence,) = mean_over_replicas(
            [tf.reduce_mean(tf.stack(divergences))]
        )
        value = believed.play(believed_params, believed_seed).values[player_id]
        fitted = [
            [] if model is None else own
            for model, own in zip(models, believed_params, strict=True)
        ]
        return LearnerStep(
            direction,
            OpponentModelState(
                fitted,
                slots,
                learner_state,
                [objective.return_scale * value, divergence],
            ),
        )

    def _models_of(self, num_players: int) -> Sequence[keras.Model | None]:
        if len(self.models) != num_players:
            raise ValueError(
                f"`models` must hold one entry for each of {num_players} "
                f"players, or None. Received {len(self.models)}."
            )
        return self.models


def _check_models(
    models: Sequence[keras.Model | None],
) -> tuple[keras.Model | None, ...]:
    if not isinstance(models, (list, tuple)):
        raise TypeError(
            "`models` must be a list with one keras.Model, or None, per "
            f"player. Received: {models!r}."
        )
    for model in models:
        if model is None:
            continue
        if not isinstance(model, keras.Model):
            raise TypeError(
                "`models` must hold keras.Model objects, or None. Received: "
                f"{model!r}."
            )
        if not model.trainable_variables:
            raise ValueError(
                f"`models` holds {model.name!r}, which has no weights to fit. "
                "If it has layers, call it once on a batch of observations."
            )
    if all(model is None for model in models):
        raise ValueError("`models` must hold at least one model.")
    return tuple(models)


def _check_play(objective: Objective, params: Params, seed: Any) -> Trajectory:
    """Returns what the real players played, or raises if nothing was."""
    trajectory = None
    if isinstance(objective, GameObjective):
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
    """Returns parameters with those of the models where there is one."""
    return [
        list(model) or list(own)
        for own, model in zip(params, models, strict=True)
    ]
