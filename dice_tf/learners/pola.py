"""POLA: proximal steps of a player that shapes proximal steps of others."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dice_tf.checks import check_number, check_whole_number
from dice_tf.inner_optimizers import SGD, InnerOptimizer
from dice_tf.inner_optimizers.optimizer import check_inner_optimizer
from dice_tf.learners.derivatives import evaluation_seeds, opponents_of
from dice_tf.learners.inner_rates import FixedRates
from dice_tf.learners.learner import Learner, LearnerStep, gradient_of
from dice_tf.learners.proximal import ProximalObjective
from dice_tf.learners.unrolling import unroll
from dice_tf.objectives.objective import Objective, Params
from dice_tf.seeds import child_seeds


class POLA(Learner):
    """Solves a proximal problem instead of making one step of LOLA.

    Player i moves to where the value that it shapes, less what it costs to
    change its policy, is largest:

      `max_theta' V_i(theta', theta_-i^K(theta')) - b_out D_i(theta', theta_i)`,

    and imagines that every other player j does likewise against `theta'`,

      `max_theta'' V_j(theta', theta'') - b_in D_j(theta'', theta_j)`.

    `D` is the Kullback-Leibler divergence of the new policy from the old one,
    see `dice_tf.objectives.Objective.divergences`. What costs is a change of
    behaviour, not of parameters, so that (where the problems have one
    solution each) policies that behave alike move alike, however they are
    parameterised. The problems are solved to the accuracy of `num_outer_steps`
    and `num_lookaheads` steps of ascent. The gradient of each outer step flows
    through all inner ones, penalties included; inner steps start anew from the
    real opponents in each outer step. Every step plays afresh with the
    parameters reached, from a split of the seed of its own, and takes value
    and divergence from that play.

    The direction is the whole move, `theta' - theta_i`: it is to be applied
    by plain SGD with rate 1, and not to be clipped. It is not itself meant to
    be differentiated. With one outer and one inner step, an outer rate of 1
    and no penalties it is `LOLADiCE(1)`.

    Args:
      num_outer_steps: of the player's own problem.
      outer_learning_rate: of each of them.
      outer_penalty: `b_out`, at least 0.
      num_lookaheads: K, steps of the opponents' problems.
      inner_learning_rate: of each of them: one number, or one per player
        (whose entry for the learning player is not used).
      inner_penalty: `b_in`, at least 0.
      outer_optimizer: the rule of the outer steps, which starts anew in every
        step of the learner. Default: plain SGD.
      inner_optimizer: the rule of the inner steps, which does likewise.
        Default: plain SGD.

    Raises:
      TypeError, ValueError: if an argument is out of its range; on a step, if
        there is a penalty but the objective has no policies.

    Example:
      >>> learner = dice_tf.learners.POLA(
      ...     num_outer_steps=100, outer_learning_rate=0.1, outer_penalty=1.0
      ... )
      >>> trainer = dice_tf.Trainer(objective, [learner, learner])
      >>> trainer.compile(optimizer=keras.optimizers.SGD(1.0))

    References:
      Zhao et al. 2022 (Proximal Learning With Opponent-Learning Awareness):
      outer POLA is one inner step without a penalty, POLA-DiCE several of
      both on a `DiCEObjective`.
    """

    def __init__(
        self,
        num_outer_steps: int = 100,
        outer_learning_rate: float = 0.1,
        outer_penalty: float = 1.0,
        *,
        num_lookaheads: int = 1,
        inner_learning_rate: float | Sequence[float] = 1.0,
        inner_penalty: float = 0.0,
        outer_optimizer: InnerOptimizer | None = None,
        inner_optimizer: InnerOptimizer | None = None,
    ):
        self.num_outer_steps = check_whole_number(
            "num_outer_steps", num_outer_steps, 1
        )
        self.outer_learning_rate = check_number(
            "outer_learning_rate", outer_learning_rate, 0.0
        )
        self.outer_penalty = check_number("outer_penalty", outer_penalty, 0.0)
        self.num_lookaheads = check_whole_number(
            "num_lookaheads", num_lookaheads, 0
        )
        self.inner_learning_rate = inner_learning_rate
        self._inner_rates = FixedRates(inner_learning_rate)
        self.inner_penalty = check_number("inner_penalty", inner_penalty, 0.0)
        self.outer_optimizer = check_inner_optimizer(
            "outer_optimizer",
            SGD() if outer_optimizer is None else outer_optimizer,
        )
        self.inner_optimizer = check_inner_optimizer(
            "inner_optimizer",
            SGD() if inner_optimizer is None else inner_optimizer,
        )

    def step(
        self,
        objective: Objective,
        params: Params,
        player_id: int,
        seed: Any,
        state: Any,
    ) -> LearnerStep:
        start = list(params[player_id])
        if not start:
            return LearnerStep([], state)
        seed_of = self._step_seeds(seed)
        # Entering the loop, no tape is left outside that sees the objective.
        inside = objective.tapes_are_inside and self.num_outer_steps > 1

        def outer_step(k: Any, own: list, slots: Any) -> tuple:
            here = objective.bind(tapes_inside=True) if inside else objective
            gradient = self._outer_gradient(
                here, params, player_id, own, seed_of(k)
            )
            own, slots = self.outer_optimizer.step(
                own, gradient, slots, self.outer_learning_rate
            )
            return k + 1, own, slots

        loop = (0, start, self.outer_optimizer.init(start))
        if self.num_outer_steps == 1:
            _, own, _ = outer_step(*loop)
        else:
            # No gradient flows from one step to the next: a loop keeps the
            # graph as small as that of one step.
            _, own, _ = tf.while_loop(
                lambda k, own, slots: k < self.num_outer_steps,
                outer_step,
                loop,
            )
        direction = [new - old for new, old in zip(own, start, strict=True)]
        return LearnerStep(direction, state)

    def _step_seeds(self, seed: Any) -> Any:
        """Returns a function from the number of an outer step to its seed."""
        if seed is None or self.num_outer_steps == 1:
            return lambda k: seed
        return child_seeds(seed, self.num_outer_steps)

    def _outer_gradient(
        self,
        objective: Objective,
        params: Params,
        player_id: int,
        own: list[tf.Tensor],
        seed: Any,
    ) -> list[tf.Tensor]:
        """Returns the gradient of a player's proximal problem.

        Args:
          objective: what all players maximise.
          params: one list of tensors per player, the anchors of all problems.
          player_id: whose problem.
          own: list of tensors, where the player is on its way.
          seed: int32 `[2]`.

        Returns:
          Tensors like `own`.
        """
        num_players = objective.num_players
        inner = ProximalObjective(
            objective, params, [self.inner_penalty] * num_players
        )
        outer = ProximalObjective(
            objective, params, [self.outer_penalty] * num_players
        )
        *seeds, last = evaluation_seeds(seed, self.num_lookaheads + 1)
        believed = list(params)
        believed[player_id] = own
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(own)
            unrolled = unroll(
                inner,
                believed,
                opponents_of(player_id, params),
                seeds,
                [self.inner_optimizer.init(x) for x in params],
                self._inner_rates.values((), num_players),
                self.inner_optimizer,
            )
            value = outer(unrolled.params, last)[player_id]
        return gradient_of(tape, value, own)
