"""The sampled objective of LOLA-DiCE."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from dice_tf.checks import check_number
from dice_tf.estimators.dice import (
    LEAVE_ONE_OUT,
    boxed_objective,
    magic_box,
)
from dice_tf.estimators.loaded_dice import boxed_loaded_objective
from dice_tf.games.game import Game
from dice_tf.kernels.boxes import unit_box
from dice_tf.objectives.baselines import check_state_values
from dice_tf.objectives.sampled import SampledObjective


class DiCEObjective(SampledObjective):
    """Values from sampled play, with unbiased derivatives of every order.

    Each call plays `batch_size` episodes with the given parameters, and
    returns for each player the batch mean of `dice_tf.dice_objective` over
    the joint log-probabilities. The play is held constant; gradients flow
    through the log-probabilities into all players' parameters.

    A game may tell episodes that were cut off from those that ended, see
    `TimeStep.truncations`. Critics then say what would have followed: the
    reward of the step t that truncated an episode is
    `r_t + discount v(o_{t+1})`, with the critic's value of what the player saw
    then, held constant. It counts in the value, its derivatives and the
    critics' targets, which the errors of the critic bias. Without critics a
    truncated episode counts as one that ended. With or without them, so does
    an episode that reaches `episode_length`: choose it longer than the limit
    of the environment itself. Reported returns hold rewards only.

    On N replicas, inside `strategy.run` of a `tf.distribute` strategy, each
    plays B / N of the episodes; values and derivatives of every order are
    those of the whole batch, the same on all replicas.

    Args:
      game: the game.
      policies: one `keras.Model` per player, from observations to the inputs
        of its head (logits).
      discount: in [0, 1].
      batch_size: B, the number of episodes of each call.
      baseline: `None`; `"leave_one_out"`, to centre rewards per time step by
        the mean of the other episodes; `"state_values"`, the mean return that
        the other episodes had from each state at each step (for a
        `FiniteGame`); `"bellman_values"`, the values of the steps to go in the
        Markov chain that the batch shows (for a `FiniteGame`); or `"critic"`,
        the values of the critics. With `lambda_` and `tau` of 1, all but
        `"bellman_values"` keep the derivatives of every order unbiased. That
        one counts an episode's own actions among those of the batch, a bias of
        the order of one over the visits of a state. State values lower the
        variance of every order. A critic knows no more than it observes: if
        the observations do not tell the step, it learns a mean over the steps.
        This leaves more variance near the end of the episode, and more bias
        with `tau` below 1.
      critics: one `keras.Model` per player from observations to one output,
        the value of the state, or to one output per action, whose mean by the
        policy is that value; needed by the baseline `"critic"`.
      lambda_: in [0, 1]; below 1, as of `loaded_dice_objective`.
      tau: in [0, 1]; below 1, as of `loaded_dice_objective`. With one of the
        two below 1 the baseline must be one of state values.
      **options: `critic_td_lambda`, in [0, 1], 1 by default: with 1, critics
        are trained on returns, below 1 on lambda-returns.
        `critic_target_momentum`, in [0, 1], 0 by default: above 0, what
        critics expect of later steps is said by slow copies of them, whose
        parameters move by `1 - critic_target_momentum` of the way to those of
        the critics after each step of these. `num_groups`, 1 by
        default: number of groups of episodes whose log-probabilities and
        their derivatives are computed one after the other. Must divide
        `batch_size`. It does not change the results. Networks in games that do
        not list their states need less memory, and more time, since
        derivatives compute their group again. In a `FiniteGame` it takes more
        memory, since policies without memory are evaluated once for each
        state. Play, critics and entropies remain those of the whole batch.
        Inside a `tf.vectorized_map` of your own, it saves memory only if the
        objective is bound there: `objective.bind(tapes_inside=True)`. Do not
        call a `tf.function` that was traced before in such a map with the tape
        around the map: the derivatives of its groups would be 0.

    Raises:
      TypeError: if a policy or critic is not a `keras.Model`.
      ValueError: if they do not fit the game, or another argument is out of
        its range.

    References:
      Foerster et al. 2018 (DiCE); the sampled objective of LOLA-DiCE is in
      its section 5.
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
        lambda_: float = 1.0,
        tau: float = 1.0,
        **options: Any,
    ):
        super().__init__(
            game, policies, discount, batch_size, baseline, critics, **options
        )
        self.lambda_ = check_number("lambda_", lambda_, 0.0, 1.0)
        self.tau = check_number("tau", tau, 0.0, 1.0)
        self._is_loaded = min(self.lambda_, self.tau) < 1.0
        if self._is_loaded:
            check_state_values(
                f"`lambda_` and `tau` below 1 (lambda_={lambda_}, tau={tau}) "
                "need",
                baseline,
            )

    def _estimator(self) -> Callable[..., tf.Tensor]:
        box = unit_box if self.tapes_are_inside else magic_box
        if self._is_loaded:
            return functools.partial(
                boxed_loaded_objective,
                lambda_=self.lambda_,
                tau=self.tau,
                box=box,
            )
        return functools.partial(boxed_objective, box=box)
