"""The naive learner: its own policy gradient."""

import tensorflow as tf

from dice_tf.learners.learner import StatelessLearner, own_gradients
from dice_tf.objectives.objective import Objective, Params
from dice_tf.seeds import Seed


class Naive(StatelessLearner):
    """Ascends its own value, as if the other players stood still.

    The direction of player i is `dV_i / dtheta_i`: the policy gradient, exact
    or sampled as the objective is (REINFORCE; with a critic, actor-critic).

    Example:
      >>> learner = dice_tf.learners.Naive()
      >>> direction = learner.gradient(objective, params, 0, seed)
    """

    def direction(
        self,
        objective: Objective,
        params: Params,
        player_id: int,
        seed: Seed | None,
    ) -> list[tf.Tensor]:
        return own_gradients(objective, params, [player_id], seed)[player_id]
