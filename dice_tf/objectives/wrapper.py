"""Objectives that wrap another one and change its values only."""

import copy
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import keras
import tensorflow as tf

from dice_tf.games.game import Game
from dice_tf.models.seat_models import Weights
from dice_tf.objectives.advantages import Advantages
from dice_tf.objectives.objective import (
    Objective,
    Params,
    Play,
    check_objective,
)
from dice_tf.play.actors import Actor
from dice_tf.seeds import Seed


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

    def __init__(self, objective: Objective):
        self.objective = check_objective(objective)

    def around(self, objective: Objective) -> "ObjectiveWrapper":
        """Returns a copy of this wrapper that wraps another objective."""
        wrapper = copy.copy(self)
        wrapper.objective = objective
        return wrapper

    @property
    def num_players(self) -> int:
        return self.objective.num_players

    @property
    def return_scale(self) -> float:
        return self.objective.return_scale

    @property
    def has_memory(self) -> bool:
        return self.objective.has_memory

    @property
    def game(self) -> Game | None:
        return self.objective.game

    @property
    def policies(self) -> Sequence[keras.Model]:
        return self.objective.policies

    @property
    def actors(self) -> Sequence[Actor]:
        return self.objective.actors

    @property
    def critics(self) -> Sequence[Any]:
        return self.objective.critics

    @property
    def critic_target_momentum(self) -> float:
        return self.objective.critic_target_momentum

    @property
    def discount(self) -> float | None:
        return self.objective.discount

    @property
    def episode_length(self) -> int | None:
        return self.objective.episode_length

    @property
    def batch_size(self) -> int | None:
        return self.objective.batch_size

    @property
    def num_groups(self) -> int:
        return self.objective.num_groups

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
