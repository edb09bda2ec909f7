"""LOLA: learning with opponent-learning awareness, by a Taylor expansion."""

import tensorflow as tf

from dice_tf.learners.derivatives import weighted_sum
from dice_tf.learners.taylor import TaylorLearner, TaylorTerms


class LOLA(TaylorLearner):
    """Ascends its value, and shapes the opponents' next naive step.

    The direction of player i, as published, is

      `dV_i/dtheta_i
       + sum_j (d^2 V_j / dtheta_i dtheta_j) a dV_i/dtheta_j`

    over the opponents j: the gradient in `theta_i` of
    `V_i + sum_j <stop_gradient(dV_i/dtheta_j), a dV_j/dtheta_j>`. The value
    gradient is held constant and the opponents' step is differentiated. With
    `inner_learning_rate=0` this is `Naive`.

    On the exact objective this is LOLA-Ex, on a DiCE objective LOLA-PG. There
    the first factor is drawn with the seed itself, and the opponents' step
    with a seed split from it: the direction is as unbiased as the objective's
    derivatives.

    Args:
      inner_learning_rate: `a`, the rate assumed for the opponents: one
        number, one per player (the entry of the learning player is not used),
        or `InnerRates`.

    Raises:
      TypeError, ValueError: if the rates are none of these.

    Example:
      >>> learner = dice_tf.learners.LOLA(inner_learning_rate=1.0)
      >>> direction = learner.gradient(objective, params, 0, seed)

    References:
      Foerster et al. 2018 (Learning with Opponent-Learning Awareness).
    """

    def combine(
        self, terms: dict[int, TaylorTerms], player_id: int
    ) -> list[tf.Tensor]:
        naive, _, shaping = terms[player_id]
        return weighted_sum((1.0, naive), (1.0, shaping))


class LOLAFullGradient(TaylorLearner):
    """Ascends the Taylor surrogate of its value after the opponents' step.

    The direction of player i is the whole gradient in `theta_i` of

      `V_i + sum_j <dV_i/dtheta_j, a dV_j/dtheta_j>`

    over the opponents j: both factors are differentiated, so that it holds
    the terms of `LookAhead` and of `LOLA`. This is what Letcher et al. 2019
    call LOLA. It agrees with `LOLADiCE(num_lookaheads=1)` to first order in
    the rate. With `inner_learning_rate=0` it is `Naive`.

    A sampled objective is evaluated with the seeds of `LOLA`.

    Args:
      inner_learning_rate: `a`, as of `LOLA`.

    Raises:
      TypeError, ValueError: if the rates are not those that `LOLA` takes.

    References:
      Letcher et al. 2019 (Stable Opponent Shaping in Differentiable Games).
    """

    def combine(
        self, terms: dict[int, TaylorTerms], player_id: int
    ) -> list[tf.Tensor]:
        naive, look_ahead, shaping = terms[player_id]
        return weighted_sum((1.0, naive), (1.0, look_ahead), (1.0, shaping))
