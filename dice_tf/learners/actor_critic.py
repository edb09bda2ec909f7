"""The actor-critic: log-probabilities weighted by advantages."""

from collections.abc import Callable

import tensorflow as tf

from dice_tf.learners.learner import (
    Situation,
    StatelessLearner,
    gradient_of,
)
from dice_tf.objectives.advantages import Advantages
from dice_tf.objectives.objective import Objective
from dice_tf.seeds import Seed


class ActorCritic(StatelessLearner):
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

    def direction(self, situation: Situation) -> list[tf.Tensor]:
        player_id = situation.player_id
        return ascend_credits(
            situation, lambda task, played: played.advantages[player_id]
        )


def ascend_credits(
    situation: Situation,
    credits_of: Callable[[Objective, Advantages], tf.Tensor],
) -> list[tf.Tensor]:
    """Returns the gradient of log-probabilities weighted by credits.

    On a `TaskFamily` it is the mean of that of the tasks.

    Args:
      situation: of a player that has parameters.
      credits_of: from an objective and its advantages, which are constants,
        to what each action of the player is credited with, `[T, B]`.

    Returns:
      Tensors like the player's parameters: the gradient of the mean, over all
      steps until the end of their episodes, of log-probability times credit.
    """
    objective, params, player_id, seed = situation

    def ascend(task: Objective, task_seed: Seed | None) -> list[tf.Tensor]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(params[player_id])
            played = task.advantages(params, task_seed)
            credit = credits_of(task, played)
            value = played.mean(played.log_probs[player_id] * credit)
        return gradient_of(tape, value, params[player_id])

    return objective.average(ascend, seed)
