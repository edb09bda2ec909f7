"""A proximal objective: values, less a penalty for moving the policies."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dice_tf.objectives.objective import Objective, Params
from dice_tf.objectives.wrapper import ObjectiveWrapper
from dice_tf.seeds import Seed


class ProximalObjective(ObjectiveWrapper):
    """Values less what it costs to move away from given policies.

    `V_i(theta) - w_i D_i(theta, anchor)` with the divergences
    `D_i = KL(pi_theta_i || pi_anchor_i)` of `Objective.divergences`, in nats
    per step. They are measured on the play of the values: of `theta`, with
    the seed of the call. The anchor is held constant. With weights of 0 it is
    the objective itself.

    Args:
      objective: of the values, and of the divergences.
      anchor: one list of tensors per player.
      weights: `w`, one number per player.
    """

    def __init__(
        self, objective: Objective, anchor: Params, weights: Sequence[float]
    ):
        super().__init__(objective)
        # At the anchor itself a divergence from what moves along would have
        # no curvature.
        self.anchor = tf.nest.map_structure(tf.stop_gradient, list(anchor))
        self.weights = tuple(weights)

    def _values(
        self, params: Params, seed: Seed | None, state: Any
    ) -> tuple[tf.Tensor, ...]:
        values = self.objective(params, seed, state)
        if not any(self.weights):
            return values
        divergences = self.objective.divergences(
            params, self.anchor, seed, state
        )
        return tuple(
            value - weight * divergence
            for value, weight, divergence in zip(
                values, self.weights, divergences, strict=True
            )
        )
