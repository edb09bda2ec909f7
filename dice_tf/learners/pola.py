"""POLA: proximal steps of a player that shapes proximal steps of others."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dice_tf.checks import check_number, check_whole_number
from dice_tf.inner_optimizers import InnerOptimizer
from dice_tf.inner_optimizers.sgd import optimizer_or_sgd
from dice_tf.learners.assumed_rates import AssumedRatesLearner, Move
from dice_tf.learners.derivatives import evaluation_seeds, opponents_of
from dice_tf.learners.inner_rates import InnerRates
from dice_tf.learners.learner import Situation, gradient_of, own_gradients
from dice_tf.learners.proximal import ProximalObjective
from dice_tf.learners.unrolling import unroll
from dice_tf.objectives.objective import Objective, Params
from dice_tf.seeds import Seed, child_seeds


class POLA(AssumedRatesLearner):
    """Solves a proximal problem instead of making one step of LOLA.

    Player i moves to the maximum of the value that it shapes, less a penalty
    for changing its policy:

      `max_theta' V_i(theta', theta_-i^K(theta')) - b_out D_i(theta', theta_i)`.

    It imagines that every other player j does likewise against `theta'`:

      `max_theta'' V_j(theta', theta'') - b_in D_j(theta'', theta_j)`.

    `D` is the Kullback-Leibler divergence of the new policy from the old one,
    see `dice_tf.objectives.Objective.divergences`. The penalty is for a change
    of behaviour, not of parameters: if each problem has one solution, policies
    that behave alike move alike, however they are parameterised. The problems
    are solved to the accuracy of `num_outer_steps` and `num_lookaheads` steps
    of ascent. The gradient of each outer step flows through all inner ones,
    penalties included; inner steps start anew from the real opponents in each
    outer step.

    A sampled objective plays anew in every step, with the parameters reached,
    and the value and the divergence of a step are those of one play. A single
    outer step has the seed itself, several have seeds split from it. Within an
    outer step, the first evaluation has its seed, and later ones have seeds
    split from that.

    The direction is the whole move, `theta' - theta_i`: it is to be applied
    by plain SGD with rate 1, and not to be clipped. It is not itself meant to
    be differentiated. With one outer and one inner step, an outer rate of 1
    and no penalties it is `LOLADiCE(1)`.

    Args:
      num_outer_steps: of the player's own problem.
      outer_learning_rate: of each of them.
      outer_penalty: `b_out`, at least 0.
      num_lookaheads: K, steps of the opponents' problems.
      inner_learning_rate: of each of them: one number, one per player (whose
        entry for the learning player is not used), or `InnerRates`. These
        learn from the opponents' gradients at the real parameters, at which
        those of the penalties are 0.
      inner_penalty: `b_in`, at least 0.
      outer_optimizer: the rule of the outer steps, which starts anew in every
        step of the learner. Default: plain SGD.
      inner_optimizer: the rule of the inner steps, which starts anew in every
        outer step. Default: plain SGD.

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
        inner_learning_rate: float | Sequence[float] | InnerRates = 1.0,
        inner_penalty: float = 0.0,
        outer_optimizer: InnerOptimizer | None = None,
        inner_optimizer: InnerOptimizer | None = None,
    ):
        super().__init__(inner_learning_rate)
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
        self.inner_penalty = check_number("inner_penalty", inner_penalty, 0.0)
        self.outer_optimizer = optimizer_or_sgd(
            "outer_optimizer", outer_optimizer
        )
        self.inner_optimizer = optimizer_or_sgd(
            "inner_optimizer", inner_optimizer
        )

    def move(self, situation: Situation, rates: Sequence[Any]) -> Move:
        objective, params, player_id, seed = situation
        start = list(params[player_id])
        if not start:
            return Move([], {})
        seed_of = self._step_seeds(seed)
        # The body of the loop is a graph of its own. All tapes that see the
        # objective are opened in it, as they were opened in the step before.
        inside = objective.tapes_are_inside and self.num_outer_steps > 1

        def outer_step(k: Any, position: list, slots: Any) -> tuple:
            here = objective.bind(tapes_inside=True) if inside else objective
            believed = list(params)
            believed[player_id] = position
            gradient = self._outer_gradient(
                here, params, believed, player_id, seed_of(k), rates
            )
            position, slots = self.outer_optimizer.step(
                position, gradient, slots, self.outer_learning_rate
            )
            return k + 1, position, slots

        loop = (0, start, self.outer_optimizer.init(start))
        if self.num_outer_steps == 1:
            _, end, _ = outer_step(*loop)
        else:
            # Gradients do not flow from one step to the next, so that the
            # steps can be a loop, whose graph is as small as that of one step.
            _, end, _ = tf.while_loop(
                lambda k, position, slots: k < self.num_outer_steps,
                outer_step,
                loop,
            )
        direction = [new - old for new, old in zip(end, start, strict=True)]
        gradients = {}
        if self.inner_rates.reads_gradients:
            opponents = opponents_of(params, player_id)
            gradients = own_gradients(objective, params, opponents, seed)
        return Move(direction, gradients)

    def _step_seeds(self, seed: Seed | None) -> Any:
        """Returns a function from the number of an outer step to its seed."""
        if seed is None or self.num_outer_steps == 1:
            return lambda k: seed
        return child_seeds(seed, self.num_outer_steps)

    def _outer_gradient(
        self,
        objective: Objective,
        params: Params,
        believed: list[list[tf.Tensor]],
        player_id: int,
        seed: Seed | None,
        rates: Sequence[Any],
    ) -> list[tf.Tensor]:
        """Returns the gradient of a player's proximal problem.

        Args:
          objective: what all players maximise.
          params: one list of tensors per player, the anchors of all problems.
          believed: the same, with the player where it is on its way.
          player_id: the player whose problem it is.
          seed: int32 `[2]`.
          rates: one per player, of the inner steps.

        Returns:
          Tensors like `params[player_id]`.
        """
        inner, outer = (
            ProximalObjective(
                objective, params, [penalty] * objective.num_players
            )
            for penalty in (self.inner_penalty, self.outer_penalty)
        )
        *seeds, last = evaluation_seeds(seed, self.num_lookaheads + 1)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(believed[player_id])
            unrolled = unroll(
                inner,
                believed,
                opponents_of(params, player_id),
                seeds,
                slots=list(map(self.inner_optimizer.init, params)),
                rates=rates,
                optimizer=self.inner_optimizer,
            )
            value = outer(unrolled.params, last)[player_id]
        return gradient_of(tape, value, believed[player_id])
