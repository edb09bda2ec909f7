"""Partners that learn naively, beside the learner."""

import tensorflow as tf

from dice_tf.checks import check_number, check_whole_number
from dice_tf.learners.derivatives import opponents_of
from dice_tf.learners.learner import (
    Situation,
    as_params,
    own_gradients,
)
from dice_tf.objectives.objective import Params
from dice_tf.partners.source import DrawnPartners, check_remembered


class NaiveLearners(DrawnPartners):
    """Partners that ascend the gradient of their own value, and no more.

    In every iteration each of them makes one step against the learner as it
    is, `theta_j + learning_rate dV_j/dtheta_j`, with the others of its set in
    the other seats, whether or not they were drawn. They start from what the
    opponents are.

    Args:
      learning_rate: of each step.
      restart_every: number of iterations after which they start anew, from
        what the opponents are then; `None` for never.

    Raises:
      TypeError, ValueError: if an argument is out of its range.

    References:
      Meulemans et al. 2025 (Multi-agent cooperation through learning-aware
      policy gradients), where some partners of a pool are naive learners.
    """

    def __init__(
        self, learning_rate: float, *, restart_every: int | None = None
    ):
        self.learning_rate = check_number("learning_rate", learning_rate)
        self.restart_every = restart_every
        if restart_every is not None:
            check_whole_number("restart_every", restart_every, 1)

    def init(self, params: Params) -> list[list[tf.Tensor]]:
        """Returns the parameters that they start from, like `params`."""
        return as_params(params)

    def drawn(
        self,
        state: list[list[tf.Tensor]],
        situation: Situation,
        count: tf.Tensor,
        noise: tf.Tensor,
    ) -> list[list[tf.Tensor]]:
        del noise
        partners = self._present(state, situation, count)
        partners[situation.player_id] = []
        return [[x[tf.newaxis] for x in partner] for partner in partners]

    def advanced(
        self,
        state: list[list[tf.Tensor]],
        situation: Situation,
        count: tf.Tensor,
    ) -> list[list[tf.Tensor]]:
        partners = self._present(state, situation, count)
        learning = opponents_of(partners, situation.player_id)
        gradients = own_gradients(
            situation.objective, partners, learning, situation.seed
        )
        for seat in learning:
            partners[seat] = [
                parameter + self.learning_rate * gradient
                for parameter, gradient in zip(
                    partners[seat], gradients[seat], strict=True
                )
            ]
        return partners

    def _present(
        self,
        state: list[list[tf.Tensor]],
        situation: Situation,
        count: tf.Tensor,
    ) -> list[list[tf.Tensor]]:
        """Returns all seats' parameters, the learner's as they are now."""
        check_remembered(situation.params, state)
        partners = [list(player_params) for player_params in state]
        partners[situation.player_id] = situation.params[situation.player_id]
        if self.restart_every is None:
            return partners
        is_new = count % self.restart_every == 0
        return [
            [
                tf.where(is_new, now, parameter)
                for now, parameter in zip(player_params, partner, strict=True)
            ]
            for player_params, partner in zip(
                situation.params, partners, strict=True
            )
        ]
