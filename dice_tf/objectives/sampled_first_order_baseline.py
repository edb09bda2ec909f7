"""The sampled objective with the baseline term of DiCE's authors."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from dice_tf.estimators import first_order_baseline_objective
from dice_tf.games.game import Game
from dice_tf.objectives.baselines import STATE_VALUES, check_state_values
from dice_tf.objectives.sampled import SampledObjective


class FirstOrderBaselineObjective(SampledObjective):
    """Values from sampled play, with a baseline for first derivatives only.

    As `DiCEObjective`, but with the batch mean of
    `dice_tf.estimators.first_order_baseline_objective`, the baseline term of
    the DiCE paper. Derivatives of every order are unbiased (except with
    `"bellman_values"`, see `DiCEObjective`). The baseline lowers the variance
    of the first order, and hardly that of higher ones, for which
    `DiCEObjective` with the same baseline is the better choice.

    Args:
      game, policies, discount, batch_size, critics: as of `DiCEObjective`.
      baseline: one of state values: `"state_values"`, `"bellman_values"`
        or `"critic"`, as of `DiCEObjective`.
      **options: `critic_td_lambda`, `critic_target_momentum` and `num_groups`,
        as of `DiCEObjective`.

    Raises:
      TypeError: if a policy or critic is not a `keras.Model`.
      ValueError: if they do not fit the game, or another argument is out of
        its range.

    References:
      Foerster et al. 2018 (DiCE), on variance reduction.
    """

    def __init__(
        self,
        game: Game,
        policies: Sequence[keras.Model],
        discount: float = 0.96,
        batch_size: int = 64,
        baseline: str = STATE_VALUES,
        critics: Sequence[keras.Model] | None = None,
        **options: Any,
    ):
        super().__init__(
            game, policies, discount, batch_size, baseline, critics, **options
        )
        check_state_values("FirstOrderBaselineObjective needs", baseline)

    def _estimator(self) -> Callable[..., tf.Tensor]:
        return first_order_baseline_objective
