"""MAML: differentiating through a player's own next learning steps."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dice_tf.checks import check_whole_number
from dice_tf.inner_optimizers import InnerOptimizer
from dice_tf.inner_optimizers.sgd import optimizer_or_sgd
from dice_tf.learners.assumed_rates import AssumedRatesLearner, Move
from dice_tf.learners.derivatives import evaluation_seeds
from dice_tf.learners.inner_rates import InnerRates, rates_of_players
from dice_tf.learners.learner import Situation, check_step, gradient_of
from dice_tf.learners.unrolling import (
    Unrolled,
    check_num_differentiated,
    unroll,
)
from dice_tf.objectives.objective import Objective, Params
from dice_tf.seeds import Seed


class MAML(AssumedRatesLearner):
    """Ascends the value that K learning steps of its own would reach.

    Player i (mostly the only one) adapts to a task by K steps of gradient
    ascent on its value in the task, while the other players stand still,

      `theta^0 = theta_i`, `theta^(k+1) = theta^k + a dV/dtheta (theta^k)`,

    and moves along the total derivative of the value of what it reaches,

      `d/dtheta_i V(theta^K(theta_i))
          = prod_k (I + a d2V/dtheta2 (theta^k)) dV/dtheta (theta^K)`,

    the second form with plain SGD. On a `TaskFamily` it adapts to each task
    by itself, and the direction is the mean over the tasks: it learns
    parameters to start from. An objective that is not a family is a single
    task. With `num_steps=0` this is `Naive`. It is the mirror image of
    `LOLADiCE`, which unrolls the steps of the others instead.

    A sampled task plays anew in every evaluation, with the parameters reached:
    the first time with the seed of the task, later with seeds split from that.
    (A single task has the seed itself, each task of a family a seed split from
    it.) The direction is unbiased for the steps that were sampled, and biased
    for the steps that are expected, as that of `LOLADiCE` is. The factors
    `I + a d2V/dtheta2` need second derivatives: `DiCEObjective` has them;
    `SurrogateObjective` lacks all but one of their terms, and gives the
    biased meta-gradient of implementations that differentiate a policy
    gradient loss twice.

    Args:
      num_steps: K.
      inner_learning_rate: `a`, in units of parameters per gradient of a
        value, which is a discounted return that is not normalised: one number,
        one per player, or `InnerRates`. Only the rate of the player that
        adapts is used; `FittedRates` fit it to the player's real moves.
      inner_optimizer: the rule of the steps, which starts anew in every task.
        Default: plain SGD.
      num_differentiated: number of the last steps whose gradients are
        differentiated; those of earlier steps are held constant. With 0 the
        direction is the gradient at the parameters reached: first-order MAML.
        Default: all.

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
        inner_learning_rate: float | Sequence[float] | InnerRates = 0.1,
        inner_optimizer: InnerOptimizer | None = None,
        *,
        num_differentiated: int | None = None,
    ):
        super().__init__(inner_learning_rate)
        self.num_steps = check_whole_number("num_steps", num_steps, 0)
        self.inner_optimizer = optimizer_or_sgd(
            "inner_optimizer", inner_optimizer
        )
        self.num_differentiated = check_num_differentiated(num_differentiated)

    def move(self, situation: Situation, rates: Sequence[Any]) -> Move:
        objective, params, player_id, seed = situation
        if not params[player_id]:
            return Move([], {})

        def move(task: Objective, task_seed: Seed | None) -> Move:
            *seeds, last = evaluation_seeds(task_seed, self.num_steps + 1)
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(params[player_id])
                unrolled = self._unroll(task, params, player_id, seeds, rates)
                value = task(unrolled.params, last)[player_id]
            gradients = {}
            if self.inner_rates.reads_gradients:
                gradients = unrolled.first_gradients
            return Move(gradient_of(tape, value, params[player_id]), gradients)

        return objective.average(move, seed)

    def adapted_values(
        self,
        objective: Objective,
        params: Params,
        player_id: int = 0,
        seed: Seed | None = None,
    ) -> tuple[tf.Tensor, ...]:
        """Returns all players' values after a player has adapted.

        The value of `player_id` is the meta-objective, the gradient of which
        is the direction of this learner for the same seed.

        Args:
          objective: a task, or a `TaskFamily` for the mean over its tasks.
          params: one list of tensors per player.
          player_id: the player that adapts.
          seed: int32 `[2]`; may be `None` for an objective that is not
            sampled. The tasks of a family depend on the seed, not on
            `num_steps`.

        Returns:
          One scalar per player, differentiable in `params`.
        """
        params = check_step(objective, params, player_id)

        def values(
            task: Objective, task_seed: Seed | None
        ) -> tuple[tf.Tensor, ...]:
            *seeds, last = evaluation_seeds(task_seed, self.num_steps + 1)
            return task(self._adapt(task, params, player_id, seeds), last)

        return objective.average(values, seed)

    def adapt(
        self,
        objective: Objective,
        params: Params,
        player_id: int = 0,
        seed: Seed | None = None,
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
        params = check_step(objective, params, player_id)
        seeds = evaluation_seeds(seed, self.num_steps)[: self.num_steps]
        return self._adapt(objective, params, player_id, seeds)

    def _adapt(
        self,
        objective: Objective,
        params: Params,
        player_id: int,
        seeds: Sequence[Seed | None],
    ) -> list[list[tf.Tensor]]:
        """Adapts with the rates that a learner starts from."""
        rates_state = self.inner_rates.init(params)
        rates = rates_of_players(self.inner_rates, rates_state, params)
        return self._unroll(objective, params, player_id, seeds, rates).params

    def _unroll(
        self,
        objective: Objective,
        params: Params,
        player_id: int,
        seeds: Sequence[Seed | None],
        rates: Sequence[Any],
    ) -> Unrolled:
        return unroll(
            objective,
            params,
            [player_id],
            seeds,
            slots=list(map(self.inner_optimizer.init, params)),
            rates=rates,
            optimizer=self.inner_optimizer,
            num_differentiated=self.num_differentiated,
        )
