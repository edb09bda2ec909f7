"""Extragradient: the gradient of a step ahead."""

from collections.abc import Sequence
from typing import Any

from dice_tf.learners.derivatives import evaluation_seeds, players_with_params
from dice_tf.learners.inner_rates import InnerRates, as_inner_rates
from dice_tf.learners.learner import Learner, LearnerStep, own_gradients
from dice_tf.objectives.objective import Objective, Params


class Extragradient(Learner):
    """Moves along its gradient at the point that all players would reach.

    All players, the learning one too, take a naive step of ascent, and the
    direction of player i is its gradient there,

      `(dV_i/dtheta_i) (theta + a g(theta))`,

    with `g` the stack of all players' gradients. The step is held constant.
    A single player does the same: it is not gradient ascent. With
    `inner_learning_rate=0` this is `Naive`.

    On a sampled objective each evaluation plays afresh with the parameters
    reached, from a split of the seed of its own.

    Args:
      inner_learning_rate: `a`, the rate of the step ahead: one number, one
        per player, or `InnerRates`.

    Raises:
      TypeError, ValueError: if it is none of these.

    References:
      Korpelevich 1976; for differentiable games Azizian et al. 2020 (A Tight
      and Unified Analysis of Extragradient).
    """

    def __init__(
        self,
        inner_learning_rate: float | Sequence[float] | InnerRates = 1.0,
    ):
        self.inner_learning_rate = inner_learning_rate
        self.inner_rates = as_inner_rates(inner_learning_rate)

    def init(self, params: Params) -> Any:
        return self.inner_rates.init(params)

    def step(
        self,
        objective: Objective,
        params: Params,
        player_id: int,
        seed: Any,
        state: Any,
    ) -> LearnerStep:
        state = self.inner_rates.observe(state, params)
        rates = self.inner_rates.values(state, objective.num_players)
        seed, reached_seed = evaluation_seeds(seed, 2)
        players = players_with_params(params)
        gradients = own_gradients(objective, params, seed, players)
        reached = [
            [
                x + rates[i] * gradient
                for x, gradient in zip(own, gradients.get(i, []), strict=True)
            ]
            for i, own in enumerate(params)
        ]
        direction = own_gradients(objective, reached, reached_seed, [player_id])
        return LearnerStep(
            direction[player_id],
            self.inner_rates.remember(state, params, gradients),
        )
