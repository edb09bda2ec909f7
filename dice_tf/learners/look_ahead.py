"""LookAhead: opponents move, and what they do is no business of ours."""

import tensorflow as tf

from dice_tf.learners.derivatives import weighted_sum
from dice_tf.learners.taylor import TaylorLearner, TaylorTerms


class LookAhead(TaylorLearner):
    """Ascends its value where naive opponents are about to be.

    The direction of player i is

      `d/dtheta_i [V_i + sum_j <dV_i/dtheta_j, stop_gradient(a dV_j/dtheta_j)>]`

    over the opponents j: the gradient of `V_i` where the opponents will be
    after one naive step, to first order in the step, with the step held
    constant. So the player adapts to its opponents' learning, but does not
    try to shape it. With `inner_learning_rate=0` this is `Naive`.

    On a sampled objective the two factors are drawn from splits of the seed
    of their own: the direction is as unbiased as the objective's derivatives.

    Args:
      inner_learning_rate: `a`, the rate assumed for the opponents: one
        number, one per player (the entry of the learning player is not used),
        or `InnerRates`.

    Raises:
      TypeError, ValueError: if an argument is out of its range.

    Example:
      >>> learner = dice_tf.learners.LookAhead(inner_learning_rate=1.0)
      >>> direction = learner.gradient(objective, params, 0, seed)

    References:
      Zhang & Lesser 2010 (Multi-Agent Learning with Policy Prediction), for
      two players and two actions; Letcher et al. 2019 (Stable Opponent Shaping
      in Differentiable Games) for any differentiable game.
    """

    def combine(
        self, terms: dict[int, TaylorTerms], player_id: int
    ) -> list[tf.Tensor]:
        own = terms[player_id]
        return weighted_sum((1.0, own.naive), (1.0, own.look_ahead))
