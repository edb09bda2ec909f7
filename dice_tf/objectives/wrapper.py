"""Objectives that wrap another one and change its values only."""

import copy
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import keras
import tensorflow as tf

from dice_tf.models.seat_models import Weights
from dice_tf.objectives.advantages import Advantages
from dice_tf.objectives.objective import (
    Objective,
    Params,
    Play,
    check_objective,
)
from dice_tf.seeds import Seed


def _of_wrapped(read: Callable[[Objective], Any]) -> Any:
    """Returns a property that reads an attribute of the wrapped objective."""
    return property(lambda wrapper: read(wrapper.objective))


class ObjectiveWrapper(Objective):
    """An objective that wraps another one, of any kind.

    A subclass defines `_values` by calls of `self.objective`. Everything else
    that an objective declares is forwarded to the wrapped one. Objectives that
    are made from a wrapper (bound for a step, with other policies, of one task
    of a family) are wrapped in the same way.

    Args:
      objective: the objective to wrap.

    Attributes:
      objective: the wrapped objective.

    Raises:
      TypeError: if `objective` is not an `Objective`.
    """

    num_players = _of_wrapped(lambda objective: objective.num_players)
    return_scale = _of_wrapped(lambda objective: objective.return_scale)
    has_memory = _of_wrapped(lambda objective: objective.has_memory)
    game = _of_wrapped(lambda objective: objective.game)
    policies = _of_wrapped(lambda objective: objective.policies)
    actors = _of_wrapped(lambda objective: objective.actors)
    critics = _of_wrapped(lambda objective: objective.critics)
    critic_target_momentum = _of_wrapped(
        lambda objective: objective.critic_target_momentum
    )
    discount = _of_wrapped(lambda objective: objective.discount)
    episode_length = _of_wrapped(lambda objective: objective.episode_length)
    batch_size = _of_wrapped(lambda objective: objective.batch_size)
    num_groups = _of_wrapped(lambda objective: objective.num_groups)

    def __init__(self, objective: Objective):
        self.objective = check_objective(objective)

    def around(self, objective: Objective) -> "ObjectiveWrapper":
        """Returns a copy of this wrapper that wraps another objective."""
        wrapper = copy.copy(self)
        wrapper.objective = objective
        return wrapper

    def bind(
        self, state: Any = None, *, tapes_inside: bool = False
    ) -> "ObjectiveWrapper":
        return self.around(
            self.objective.bind(state, tapes_inside=tapes_inside)
        )

    def share_play(self, params: Params, like: Params) -> None:
        self.objective.share_play(params, like)

    def once(
        self, compute: Callable[[], Any], objects: Sequence[Any], key: Hashable
    ) -> Any:
        return self.objective.once(compute, objects, key)

    @property
    def tapes_are_inside(self) -> bool:
        return self.objective.tapes_are_inside

    def with_policies(
        self, policies: Sequence[keras.Model]
    ) -> "ObjectiveWrapper":
        return self.around(self.objective.with_policies(policies))

    def average(
        self,
        function: Callable[[Objective, Any], Any],
        seed: Seed | None = None,
    ) -> Any:
        return self.objective.average(
            lambda task, task_seed: function(self.around(task), task_seed),
            seed,
        )

    def initial_params(self) -> list[list[tf.Tensor]]:
        return self.objective.initial_params()

    def player_weights(
        self, params: Params, state: Any = None
    ) -> list[Weights]:
        return self.objective.player_weights(params, state)

    def initial_state(self) -> Any:
        return self.objective.initial_state()

    def play(
        self, params: Params, seed: Seed | None, state: Any = None
    ) -> Play:
        return self.objective.play(params, seed, state)

    def _divergences(
        self, params: Params, anchor: Params, seed: Seed | None, state: Any
    ) -> tuple[tf.Tensor, ...]:
        return self.objective.divergences(params, anchor, seed, state)

    def _advantages(
        self, params: Params, seed: Seed | None, state: Any
    ) -> Advantages:
        return self.objective.advantages(params, seed, state)

    def critic_losses(
        self, critic_params: Params, play: Play, state: Any = None
    ) -> tuple[tf.Tensor, ...]:
        return self.objective.critic_losses(critic_params, play, state)

    def _resolve(self, state: Any) -> Any:
        # The wrapped objective resolves `None`: it may be bound to a state.
        return state
