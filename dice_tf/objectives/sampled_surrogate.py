"""The surrogate objective: sampled values, right to the first order only."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from dice_tf.checks import check_number
from dice_tf.estimators import surrogate_objective
from dice_tf.estimators.dice import LEAVE_ONE_OUT
from dice_tf.games.game import Game
from dice_tf.objectives.baselines import check_state_values
from dice_tf.objectives.sampled import SampledObjective


class SurrogateObjective(SampledObjective):
    """Values from sampled play, with unbiased first derivatives only.

    As `DiCEObjective`, but with the batch mean of
    `dice_tf.estimators.surrogate_objective`: the values are the returns and
    the first derivatives the policy gradient (with critics, actor-critic),
    but the derivative of one player's gradient in another's parameters is 0.
    `LOLADiCE` on it looks ahead without a shaping term: the control that
    shows what derivatives of higher order are for.

    Args:
      game, policies, discount, batch_size, critics: as of `DiCEObjective`.
      baseline: as of `DiCEObjective`. With `tau` of 1 all keep the first
        derivatives unbiased but `"bellman_values"`, with its bias of the order
        of one over the visits of a state. All lower their variance.
      tau: in [0, 1], of the generalised advantages; below 1 the baseline must
        be one of state values, whose errors then bias the derivatives.
      **options: `critic_td_lambda`, `critic_target_momentum` and `num_groups`,
        as of `DiCEObjective`.

    Raises:
      TypeError: if a policy or critic is not a `keras.Model`.
      ValueError: if they do not fit the game, or another argument is out of
        its range.

    References:
      Foerster et al. 2018 (DiCE), for surrogate losses and what their
      second derivatives lack.
    """

    def __init__(
        self,
        game: Game,
        policies: Sequence[keras.Model],
        discount: float = 0.96,
        batch_size: int = 64,
        baseline: str | None = LEAVE_ONE_OUT,
        critics: Sequence[keras.Model] | None = None,
        *,
        tau: float = 1.0,
        **options: Any,
    ):
        super().__init__(
            game, policies, discount, batch_size, baseline, critics, **options
        )
        self.tau = check_number("tau", tau, 0.0, 1.0)
        if self.tau < 1.0:
            check_state_values(f"`tau` below 1 (tau={tau}) needs", baseline)

    def _estimator(self) -> Callable[..., tf.Tensor]:
        return functools.partial(surrogate_objective, tau=self.tau)
