"""Partners that do not learn, with policies of their own."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from dice_tf.learners.learner import as_params
from dice_tf.models.seat_models import check_finite_weights
from dice_tf.objectives.objective import Objective, Params
from dice_tf.partners.source import PartnerSource


class FixedPolicies(PartnerSource):
    """Policies of any kind that stay as they are, as in frozen seats.

    Their weights are those that they have when a trainer is made. Like those
    of a player that is frozen, learners that look ahead differentiate in them.

    Args:
      policies: one `keras.Model` per seat; `None` for the learner's seat, and
        for seats that stay with their own player.

    Raises:
      TypeError: if it is not a list of models and `None`.
      ValueError: if there is no model, or one is not built or not finite.

    Example:
      >>> bot = dice_tf.partners.FixedPolicies(
      ...     [None, dice_tf.policies.tit_for_tat(game, 1)]
      ... )
    """

    def __init__(self, policies: Sequence[keras.Model | None]):
        if not isinstance(policies, (list, tuple)) or not all(
            isinstance(policy, (keras.Model, type(None))) for policy in policies
        ):
            raise TypeError(
                "`policies` must be a list with one keras.Model, or None, per "
                f"seat. Received: {policies!r}."
            )
        self.policies = tuple(policies)
        if all(policy is None for policy in policies):
            raise ValueError("`policies` must hold at least one policy.")
        for seat, policy in enumerate(policies):
            if policy is None:
                continue
            if not policy.built:
                raise ValueError(
                    f"`policies[{seat}]` ({policy.name!r}) has no weights "
                    "yet. Call it once on a batch of observations."
                )
            check_finite_weights(f"policies[{seat}]", policy)

    def init(self, params: Params) -> list[list[tf.Tensor]]:
        """Returns the parameters of the policies, empty without one.

        Args:
          params: one list of tensors per player.

        Raises:
          ValueError: if there is not one policy, or `None`, per player.
        """
        params = as_params(params)
        if len(self.policies) != len(params):
            raise ValueError(
                "`policies` of partners must hold one policy, or None, for "
                f"each of {len(params)} players. Received "
                f"{len(self.policies)}."
            )
        # In a seat, parameters have the dtype of the game.
        dtype = tf.as_dtype(tf.nest.flatten(params)[0].dtype)
        return [
            []
            if policy is None
            else [
                tf.cast(tf.convert_to_tensor(variable), dtype)
                for variable in policy.trainable_variables
            ]
            for policy in self.policies
        ]

    def seated(self, objective: Objective, player_id: int) -> Objective:
        """Returns the objective in which they play.

        Args:
          objective: that of the game.
          player_id: the player that learns.

        Raises:
          ValueError: if one does not fit its seat, or takes the learner's.
        """
        if self.policies[player_id] is not None:
            raise ValueError(
                f"`policies[{player_id}]` of partners must be None: player "
                f"{player_id} learns there. Received: "
                f"{self.policies[player_id]!r}."
            )
        return objective.with_policies(
            [
                opponent if policy is None else policy
                for policy, opponent in zip(
                    self.policies, objective.policies, strict=True
                )
            ]
        )

    def params_of(
        self, params: Params, state: Sequence[list[tf.Tensor]]
    ) -> list[list[tf.Tensor]]:
        """Returns all players' parameters, with those of the policies.

        Args:
          params: one list of tensors per player.
          state: what `init` returned.
        """
        return [
            list(player_params) if policy is None else list(fixed)
            for policy, fixed, player_params in zip(
                self.policies, state, params, strict=True
            )
        ]
