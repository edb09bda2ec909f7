"""MAML: differentiating through a player's own next learning steps."""

from typing import Any

import tensorflow as tf

from dice_tf.checks import check_number, check_player_id, check_whole_number
from dice_tf.inner_optimizers import SGD, InnerOptimizer
from dice_tf.inner_optimizers.optimizer import check_inner_optimizer
from dice_tf.learners.derivatives import evaluation_seeds
from dice_tf.learners.learner import (
    Learner,
    LearnerStep,
    as_params,
    gradient_of,
)
from dice_tf.learners.unrolling import unroll
from dice_tf.objectives.objective import Objective, Params


class MAML(Learner):
    """Ascends the value that K learning steps of its own would reach.

    Player i (mostly the only one) adapts to a task by K steps of gradient
    ascent on its value there, while the other players stand still,

      `theta^0 = theta_i`, `theta^(k+1) = theta^k + a dV/dtheta (theta^k)`,

    and moves along the total derivative of the value of what it reaches,

      `d/dtheta_i V(theta^K(theta_i))
          = prod_k (I + a d2V/dtheta2 (theta^k)) dV/dtheta (theta^K)`,

    the second form with plain SGD. On a `TaskFamily` it adapts to each task
    by itself, and the direction is the mean over the tasks: what is learned
    are parameters to start from. An objective that is no family is a single
    task. With `num_steps=0` this is `Naive`. It is the mirror image of
    `LOLADiCE`, which unrolls the steps of the others instead.

    Every evaluation of a sampled objective plays afresh with the parameters
    reached, from a split of the seed of its own. The direction is unbiased
    for the steps that were sampled, and biased for the steps that are
    expected, as that of `LOLADiCE` is. The factors
    `I + a d2V/dtheta2` need second derivatives: `DiCEObjective` has them;
    `SurrogateObjective` lacks all but one of their terms, and gives the
    biased meta-gradient of implementations that differentiate a policy
    gradient loss twice.

    Args:
      num_steps: K.
      inner_learning_rate: `a`, in units of parameters per gradient of a
        value, which is a discounted return that is not normalised.
      inner_optimizer: the rule of the steps, which starts afresh in every
        task. Default: plain SGD.
      num_differentiated: differentiate through the gradients of the last so
        many steps only; those before are held constant. With 0 the direction
        is the gradient at the parameters reached: first-order MAML. Default:
        all.

    Raises:
      TypeError, ValueError: if an argument is out of its range.

    Example:
      >>> family = dice_tf.objectives.FiniteTasks([objective])
      >>> learner = dice_tf.learners.MAML(1, inner_learning_rate=0.1)
      >>> trainer = dice_tf.Trainer(
      ...     family, [learner, None], initial_params=[params]
      ... )

    References:
      Finn et al. 2017 (Model-Agnostic Meta-Learning for Fast Adaptation of
      Deep Networks), section 3; for the meta-gradient from samples Foerster
      et al. 2018 (DiCE).
    """

    def __init__(
        self,
        num_steps: int = 1,
        inner_learning_rate: float = 0.1,
        inner_optimizer: InnerOptimizer | None = None,
        *,
        num_differentiated: int | None = None,
    ):
        self.num_steps = check_whole_number("num_steps", num_steps, 0)
        self.inner_learning_rate = check_number(
            "inner_learning_rate", inner_learning_rate
        )
        self.inner_optimizer = check_inner_optimizer(
            "inner_optimizer",
            SGD() if inner_optimizer is None else inner_optimizer,
        )
        self.num_differentiated = (
            None
            if num_differentiated is None
            else check_whole_number("num_differentiated", num_differentiated, 0)
        )

    def step(
        self,
        objective: Objective,
        params: Params,
        player_id: int,
        seed: Any,
        state: Any,
    ) -> LearnerStep:
        if not params[player_id]:
            return LearnerStep([], state)

        def direction(task: Objective, task_seed: Any) -> list[tf.Tensor]:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(params[player_id])
                values = self._adapted_values(
                    task, params, player_id, task_seed
                )
            return gradient_of(tape, values[player_id], params[player_id])

        return LearnerStep(objective.average(direction, seed), state)

    def adapted_values(
        self,
        objective: Objective,
        params: Params,
        player_id: int = 0,
        seed: Any = None,
    ) -> tuple[tf.Tensor, ...]:
        """Returns all players' values after a player has adapted.

        The value of `player_id` is the meta-objective, the gradient of which
        is the direction of this learner for the same seed.

        Args:
          objective: a task, or a `TaskFamily` for the mean over its tasks.
          params: one list of tensors per player.
          player_id: the player that adapts.
          seed: int32 `[2]`; may be `None` for an objective that is not
            sampled. Another `num_steps` meets the same tasks with it.

        Returns:
          One scalar per player, differentiable in `params`.
        """
        params = as_params(params, objective.num_players)
        player_id = check_player_id(player_id, objective.num_players)
        return objective.average(
            lambda task, task_seed: self._adapted_values(
                task, params, player_id, task_seed
            ),
            seed,
        )

    def adapt(
        self,
        objective: Objective,
        params: Params,
        player_id: int = 0,
        seed: Any = None,
    ) -> list[list[tf.Tensor]]:
        """Returns all parameters after a player has adapted to a task.

        Args:
          objective: the task; of a `TaskFamily`, its mean over tasks.
          params: one list of tensors per player.
          player_id: the player that adapts.
          seed: int32 `[2]`; may be `None` for an objective that is not
            sampled.

        Returns:
          One list of tensors per player, differentiable in `params`.
        """
        params = as_params(params, objective.num_players)
        player_id = check_player_id(player_id, objective.num_players)
        seeds = evaluation_seeds(seed, self.num_steps)[: self.num_steps]
        return self._adapt(objective, params, player_id, seeds)

    def _adapted_values(
        self, task: Objective, params: Params, player_id: int, seed: Any
    ) -> tuple[tf.Tensor, ...]:
        *seeds, last = evaluation_seeds(seed, self.num_steps + 1)
        return task(self._adapt(task, params, player_id, seeds), last)

    def _adapt(
        self,
        objective: Objective,
        params: Params,
        player_id: int,
        seeds: list,
    ) -> list[list[tf.Tensor]]:
        return unroll(
            objective,
            params,
            [player_id],
            seeds,
            [self.inner_optimizer.init(own) for own in params],
            [self.inner_learning_rate] * objective.num_players,
            self.inner_optimizer,
            self.num_differentiated,
        ).params
