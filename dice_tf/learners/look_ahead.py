"""LookAhead: adapting to the opponents' steps, without shaping them."""

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

    On a sampled objective the value gradient is drawn with the seed itself,
    and the opponents' step with a seed split from it: the direction is as
    unbiased as the objective's derivatives.

    Args:
      inner_learning_rate: `a`, as of `LOLA`.

    Raises:
      TypeError, ValueError: if the rates are not those that `LOLA` takes.

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
        naive, look_ahead, _ = terms[player_id]
        return weighted_sum((1.0, naive), (1.0, look_ahead))
