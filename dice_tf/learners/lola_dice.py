"""LOLA-DiCE: differentiating through the opponents' next learning steps."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from dice_tf.checks import check_flag, check_kind, check_whole_number
from dice_tf.inner_optimizers import InnerOptimizer
from dice_tf.inner_optimizers.sgd import optimizer_or_sgd
from dice_tf.learners.derivatives import evaluation_seeds, opponents_of
from dice_tf.learners.inner_rates import (
    InnerRates,
    as_inner_rates,
    rates_of_players,
)
from dice_tf.learners.learner import (
    Learner,
    LearnerStep,
    as_params,
    check_state,
    check_step,
    gradient_of,
)
from dice_tf.learners.unrolling import (
    Unrolled,
    check_num_differentiated,
    unroll,
)
from dice_tf.objectives.objective import Objective, Params
from dice_tf.seeds import Seed


class LookAheadState(NamedTuple):
    """What `LOLADiCE` remembers between steps, if anything.

    Attributes:
      slots: the inner optimiser's slots, one nest per player; empty if they
        are reset.
      rates: nest of tensors, what the inner rates remember.
    """

    slots: Sequence[Any]
    rates: Any


class LOLADiCE(Learner):
    """Ascends its value after K learning steps of the opponents.

    Player i imagines that every other player j makes K steps of gradient
    ascent on its own value, all at once, while i stands still:

      `theta_j^0 = theta_j`,
      `theta_j^(k+1) = theta_j^k + a dV_j/dtheta_j (theta_i, theta_-i^k)`,

    and moves along the total derivative of its own value there,

      `d/dtheta_i V_i(theta_i, theta_-i^K(theta_i))`,

    which flows through every step. With `num_lookaheads=0` this is `Naive`.

    A sampled objective plays anew in every evaluation, with the parameters
    reached: the first time with the seed itself, so that all players share the
    play of the parameters that they start from, later with seeds split from it.
    The imagined steps are then sampled, too. The direction is unbiased for the
    steps that were imagined: for these steps, its mean over the last play is
    the total derivative above. It is biased for the steps that are expected,
    since the value is not linear in them. The bias is of the order of `a^2`
    times the variance of a sampled gradient: it matters for small batches and
    large inner rates.

    The steps that are imagined need not be those that happen: the inner rates
    and optimiser are the learner's beliefs, apart from the optimisers of the
    opponents.

    Args:
      num_lookaheads: K.
      inner_learning_rate: `a`: one number, one per player (whose entry for
        the learning player is not used), or `InnerRates`.
      inner_optimizer: the rule of the imagined steps. Default: plain SGD.
      num_differentiated: differentiate through the last so many look-aheads
        only; those before are held constant. Default: all.
      carry_slots: whether the inner optimiser remembers from one step of the
        learner to the next what it knows after the first look-ahead, as the
        optimiser of an opponent does, which makes one step at a time. By
        default every step of the learner starts with new slots.

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
        inner_learning_rate: float | Sequence[float] | InnerRates = 1.0,
        inner_optimizer: InnerOptimizer | None = None,
        *,
        num_differentiated: int | None = None,
        carry_slots: bool = False,
    ):
        self.num_lookaheads = check_whole_number(
            "num_lookaheads", num_lookaheads, 0
        )
        self.inner_learning_rate = inner_learning_rate
        self.inner_rates = as_inner_rates(inner_learning_rate)
        self.inner_optimizer = optimizer_or_sgd(
            "inner_optimizer", inner_optimizer
        )
        self.num_differentiated = check_num_differentiated(num_differentiated)
        self.carry_slots = check_flag("carry_slots", carry_slots)
        self._remembers = self.carry_slots or isinstance(
            inner_learning_rate, InnerRates
        )

    def init(self, params: Params) -> Any:
        if not self._remembers:
            return ()
        params = as_params(params)
        slots = ()
        if self.carry_slots:
            slots = list(map(self.inner_optimizer.init, params))
        return LookAheadState(slots, self.inner_rates.init(params))

    def step(
        self,
        objective: Objective,
        params: Params,
        player_id: int,
        seed: Seed | None,
        state: Any,
    ) -> LearnerStep:
        params = check_step(objective, params, player_id)
        slots, rates_state = (), ()
        if self._remembers:
            slots, rates_state = check_state(state, LookAheadState)
        rates_state = self.inner_rates.observe(rates_state, params)
        seeds = evaluation_seeds(seed, self.num_lookaheads + 1)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(params[player_id])
            unrolled = self._unroll(
                objective, params, player_id, seeds[:-1], slots, rates_state
            )
            value = objective(unrolled.params, seeds[-1])[player_id]
        if self._remembers:
            state = LookAheadState(
                unrolled.first_slots if self.carry_slots else (),
                self.inner_rates.remember(
                    rates_state, params, unrolled.first_gradients
                ),
            )
        return LearnerStep(gradient_of(tape, value, params[player_id]), state)

    def look_ahead(
        self,
        objective: Objective,
        params: Params,
        player_id: int,
        seeds: Sequence[Seed | None],
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
        params = check_step(objective, params, player_id)
        check_kind("seeds", seeds, (list, tuple), "a list of seeds")
        rates_state = self.inner_rates.init(params)
        return self._unroll(
            objective, params, player_id, seeds, (), rates_state
        ).params

    def _unroll(
        self,
        objective: Objective,
        params: Params,
        player_id: int,
        seeds: Sequence[Seed | None],
        slots: Sequence[Any],
        rates_state: Any,
    ) -> Unrolled:
        return unroll(
            objective,
            params,
            opponents_of(params, player_id),
            seeds,
            slots=slots or list(map(self.inner_optimizer.init, params)),
            rates=rates_of_players(self.inner_rates, rates_state, params),
            optimizer=self.inner_optimizer,
            num_differentiated=self.num_differentiated,
        )
