"""The naive learner: its own policy gradient."""

from typing import Any

from dice_tf.learners.learner import Learner, LearnerStep, own_gradients
from dice_tf.objectives.objective import Objective, Params


class Naive(Learner):
    """Ascends its own value, as if the other players stood still.

    The direction of player i is `dV_i / dtheta_i`: the policy gradient,
    sampled (REINFORCE, or actor-critic with a critic) or exact with the
    objective.

    Example:
      >>> learner = dice_tf.learners.Naive()
      >>> direction = learner.gradient(objective, params, 0, seed)
    """

    def step(
        self,
        objective: Objective,
        params: Params,
        player_id: int,
        seed: Any,
        state: Any,
    ) -> LearnerStep:
        gradients = own_gradients(objective, params, seed, [player_id])
        return LearnerStep(gradients[player_id], state)
