"""LOLA-DiCE: differentiating through the opponents' next learning steps."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dice_tf.checks import check_number, check_whole_number
from dice_tf.inner_optimizers import SGD, InnerOptimizer
from dice_tf.learners.learner import (
    Learner,
    LearnerStep,
    gradient_of,
    own_gradients,
)
from dice_tf.objectives.objective import Objective, Params
from dice_tf.seeds import split_seed


class LOLADiCE(Learner):
    """Ascends its value after K learning steps of the opponents.

    Player i imagines that every other player j makes K steps of gradient
    ascent on its own value, all at once, while i stands still:

      `theta_j^0 = theta_j`,
      `theta_j^(k+1) = theta_j^k + a dV_j/dtheta_j (theta_i, theta_-i^k)`,

    and moves along the total derivative of its own value there,

      `d/dtheta_i V_i(theta_i, theta_-i^K(theta_i))`,

    which flows through every step. Every evaluation of a sampled objective
    plays afresh with the parameters reached, from a split of the seed of its
    own. With `num_lookaheads=0` this is `Naive`.

    Args:
      num_lookaheads: K.
      inner_learning_rate: `a`, one number, or one per player (whose entry
        for the learning player is not used).
      inner_optimizer: the rule of the imagined steps. Default: plain SGD.

    Raises:
      TypeError, ValueError: if an argument is out of its range.

    Example:
      >>> learner = dice_tf.learners.LOLADiCE(
      ...     num_lookaheads=2, inner_learning_rate=1.0
      ... )
      >>> direction = learner.gradient(objective, params, 0, seed)

    References:
      Foerster et al. 2018 (DiCE), section 5, for the unrolled look-ahead;
      Foerster et al. 2018 (Learning with Opponent-Learning Awareness) for
      opponent shaping.
    """

    def __init__(
        self,
        num_lookaheads: int = 1,
        inner_learning_rate: float | Sequence[float] = 1.0,
        inner_optimizer: InnerOptimizer | None = None,
    ):
        self.num_lookaheads = check_whole_number(
            "num_lookaheads", num_lookaheads, 0
        )
        if isinstance(inner_learning_rate, (list, tuple)):
            self.inner_learning_rate = tuple(
                check_number("inner_learning_rate", rate)
                for rate in inner_learning_rate
            )
        else:
            self.inner_learning_rate = check_number(
                "inner_learning_rate", inner_learning_rate
            )
        self.inner_optimizer = inner_optimizer or SGD()

    def step(
        self,
        objective: Objective,
        params: Params,
        player_id: int,
        seed: Any,
        state: Any,
    ) -> LearnerStep:
        seeds = self._split(seed)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(params[player_id])
            reached = self.look_ahead(objective, params, player_id, seeds[:-1])
            value = objective(reached, seeds[-1])[player_id]
        return LearnerStep(gradient_of(tape, value, params[player_id]), state)

    def look_ahead(
        self,
        objective: Objective,
        params: Params,
        player_id: int,
        seeds: Sequence[Any],
    ) -> list[list[tf.Tensor]]:
        """Returns all parameters after the opponents' imagined steps.

        Args:
          objective: what all players maximise.
          params: one list of tensors per player.
          player_id: the player that looks ahead and stands still.
          seeds: one per look-ahead.

        Returns:
          One list of tensors per player, differentiable in `params`.
        """
        params = list(params)
        opponents = [
            opponent
            for opponent in range(objective.num_players)
            if opponent != player_id and params[opponent]
        ]
        slots = {
            opponent: self.inner_optimizer.init(params[opponent])
            for opponent in opponents
        }
        for seed in seeds:
            gradients = own_gradients(objective, params, seed, opponents)
            for opponent in opponents:
                params[opponent], slots[opponent] = self.inner_optimizer.step(
                    params[opponent],
                    gradients[opponent],
                    slots[opponent],
                    self._rate_of(opponent, objective.num_players),
                )
        return params

    def _split(self, seed: Any) -> list:
        # The first evaluation is of the parameters that all players start
        # from: with the seed as it is, they can share it.
        if seed is None:
            return [None] * (self.num_lookaheads + 1)
        return [seed, *split_seed(seed, self.num_lookaheads)]

    def _rate_of(self, opponent: int, num_players: int) -> float:
        if not isinstance(self.inner_learning_rate, tuple):
            return self.inner_learning_rate
        if len(self.inner_learning_rate) != num_players:
            raise ValueError(
                "`inner_learning_rate` must be one number, or one for each "
                f"of {num_players} players. Received: "
                f"{self.inner_learning_rate}."
            )
        return self.inner_learning_rate[opponent]
