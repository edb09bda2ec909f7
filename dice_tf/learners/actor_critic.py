"""The actor-critic: log-probabilities weighted by advantages."""

import abc
import copy
from collections.abc import Sequence

import tensorflow as tf

from dice_tf.learners.learner import (
    Situation,
    StatelessLearner,
    gradient_of,
)
from dice_tf.objectives.objective import Objective, discount_of
from dice_tf.seeds import Seed


class CreditLearner(StatelessLearner):
    """Weighs log-probabilities by what each action is credited with.

    The direction is the gradient of the mean, over all steps of one play until
    the end of their episodes, of log-probability times credit, plus that of
    the entropy, if a coefficient was given. On a `TaskFamily` it is the mean
    of that of the tasks.
    """

    _entropy_coefficient: float = 0.0

    @abc.abstractmethod
    def credit(
        self, advantages: Sequence[tf.Tensor], player_id: int, discount: float
    ) -> tf.Tensor:
        """Returns what each action of a player is credited with, `[T, B]`.

        Args:
          advantages: `[T, B]`, one per player, held constant.
          player_id: the player that learns.
          discount: in [0, 1], of each step.
        """

    def with_entropy(self, coefficient: float) -> "CreditLearner | None":
        kind = type(self)
        is_whole = kind.direction is CreditLearner.direction
        if not is_whole or kind.step is not StatelessLearner.step:
            # A derived class may leave the bonus out, or change it.
            return None
        learner = copy.copy(self)
        learner._entropy_coefficient = coefficient
        return learner

    def direction(self, situation: Situation) -> list[tf.Tensor]:
        objective, params, player_id, seed = situation

        def ascend(task: Objective, task_seed: Seed | None) -> list[tf.Tensor]:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(params[player_id])
                played = task.advantages(params, task_seed)
                credit = self.credit(
                    played.advantages, player_id, discount_of(task)
                )
                value = played.mean(played.log_probs[player_id] * credit)
                if self._entropy_coefficient:
                    entropy = played.entropies[player_id]
                    value += self._entropy_coefficient * entropy
            return gradient_of(tape, value, params[player_id])

        return objective.average(ascend, seed)


class ActorCritic(CreditLearner):
    """Makes actions more likely that were better than expected.

    The direction of player i is the gradient of a mean over all steps of one
    play until the end of their episodes,

      `mean_t log pi_i(a_i,t | o_i,t) A_i,t`,

    with the advantages `A_i` of the objective held constant: generalised
    advantages with its critics, if it has some, and its `tau`. All steps count
    the same, as is usual for this learner. `Naive` ascends the value instead,
    in which step t counts `discount^t`: at discount 1 and with episodes of T
    steps its direction is T times this one.

    Any sampled objective will do: with or without critics, policies with or
    without memory, discrete or continuous actions.

    Raises:
      ValueError: on a step, if the objective does not play.

    Example:
      >>> critics = [dice_tf.critics.tabular_critic(game, i) for i in range(2)]
      >>> objective = dice_tf.objectives.SurrogateObjective(
      ...     game, policies, 0.96, 64, "critic", critics, tau=0.95
      ... )
      >>> learner = dice_tf.learners.ActorCritic()
      >>> direction = learner.gradient(objective, params, 0, seed)

    References:
      Schulman et al. 2016 (High-Dimensional Continuous Control Using
      Generalized Advantage Estimation), equation 10.
    """

    def credit(
        self, advantages: Sequence[tf.Tensor], player_id: int, discount: float
    ) -> tf.Tensor:
        del discount
        return advantages[player_id]
