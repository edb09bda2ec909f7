"""Extragradient: the gradient of a step ahead."""

from collections.abc import Sequence
from typing import Any

from dice_tf.learners.assumed_rates import AssumedRatesLearner, Move
from dice_tf.learners.derivatives import evaluation_seeds, players_with_params
from dice_tf.learners.learner import Situation, own_gradients


class Extragradient(AssumedRatesLearner):
    """Moves along its gradient at the point that all players would reach.

    All players, the learning one too, take a naive step of ascent, and the
    direction of player i is its gradient there,

      `(dV_i/dtheta_i) (theta + a g(theta))`,

    with `g` the stack of all players' gradients. The step is held constant.
    A single player looks ahead of itself, so that this is not gradient ascent.
    With `inner_learning_rate=0` it is `Naive`.

    On a sampled objective the step is drawn with the seed itself, and the
    gradient at the parameters reached with a seed split from it. The direction
    is unbiased for the step that was sampled, and biased for the step that is
    expected, as that of `LOLADiCE` is.

    Args:
      inner_learning_rate: `a`, the rate of the step ahead: one number, one
        per player, or `InnerRates`.

    Raises:
      TypeError, ValueError: if the rates are none of these.

    References:
      Korpelevich 1976; for differentiable games Azizian et al. 2020 (A Tight
      and Unified Analysis of Extragradient).
    """

    def move(self, situation: Situation, rates: Sequence[Any]) -> Move:
        objective, params, player_id, seed = situation
        seed, reached_seed = evaluation_seeds(seed, 2)
        players = players_with_params(params)
        gradients = own_gradients(objective, params, players, seed)
        reached = [
            [
                x + rates[i] * gradient
                for x, gradient in zip(
                    player_params, gradients.get(i, []), strict=True
                )
            ]
            for i, player_params in enumerate(params)
        ]
        direction = own_gradients(objective, reached, [player_id], reached_seed)
        return Move(direction[player_id], gradients)
