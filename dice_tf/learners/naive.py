"""The naive learner: its own policy gradient."""

import tensorflow as tf

from dice_tf.learners.learner import Situation, StatelessLearner, own_gradients


class Naive(StatelessLearner):
    """Ascends its own value, as if the other players stood still.

    The direction of player i is `dV_i / dtheta_i`: the policy gradient, exact
    or sampled as the objective is (REINFORCE; with a critic, actor-critic).

    Example:
      >>> learner = dice_tf.learners.Naive()
      >>> direction = learner.gradient(objective, params, 0, seed)
    """

    def direction(self, situation: Situation) -> list[tf.Tensor]:
        objective, params, player_id, seed = situation
        return own_gradients(objective, params, [player_id], seed)[player_id]
