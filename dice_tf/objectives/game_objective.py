"""The values of policies in a game, whatever they are computed from."""

import copy
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from dice_tf.checks import check_kind, check_number, check_per_player
from dice_tf.estimators.returns import return_scale
from dice_tf.games.game import Game, check_game_type
from dice_tf.games.game_check import (
    check_foreign_attributes,
    check_foreign_play,
)
from dice_tf.models.seat_models import Weights, check_separate
from dice_tf.models.shared_models import check_seats_alike, in_first_seats
from dice_tf.objectives.objective import Objective, Params
from dice_tf.play.actors import Actor, check_params, seat_actors


class GameState(NamedTuple):
    """What training changes beside the parameters of the policies.

    Attributes:
      non_trainable: values of each policy's non-trainable variables.
      critics: `Weights` of each critic, or an empty tuple without critics.
      slow_critics: `Weights` of each critic that follow those of `critics`
        slowly, of which targets are made; empty if `critics` themselves are
        to make them.
    """

    non_trainable: tuple[list[tf.Tensor], ...]
    critics: tuple[Weights, ...]
    slow_critics: tuple[Weights, ...] = ()


class GameObjective(Objective):
    """The values of policies in a game.

    A model may sit in several seats that see and do alike. A trainer then
    keeps one set of parameters for them. Here the parameters of each seat are
    values of their own, so that derivatives are those of one seat.

    Args:
      game: the game.
      policies: one `keras.Model` per player.
      discount: in [0, 1].

    Attributes:
      game: the game.
      policies: the models.
      actors: the models in their seats.
      discount: the discount.
      episode_length: that of the game.

    Raises:
      TypeError: if the game is not a `Game`, or a policy not a `keras.Model`.
      ValueError: if the policies do not fit the game, draw noise of their own,
        cannot be differentiated twice, share a part of their trainable
        variables, or if seats that differ hold one model; as
        `dice_tf.check_game` does, which is called on a game of your own.
    """

    game: Game
    discount: float

    def __init__(
        self, game: Game, policies: Sequence[keras.Model], discount: float
    ):
        check_foreign_attributes(game)
        self.actors = _seated(game, policies)
        check_foreign_play(game, [_sampler(actor) for actor in self.actors])
        self.game = game
        self.num_players = game.num_players
        self.episode_length = game.episode_length
        self.policies = tuple(policies)
        check_separate(self._trained_models())
        self.discount = check_number("discount", discount, 0.0, 1.0)
        self.return_scale = return_scale(self.discount, game.episode_length)

    # Computed, since other policies may come in.
    @property
    def has_memory(self) -> bool:  # type: ignore[override]
        return any(actor.has_memory for actor in self.actors)

    def with_policies(self, policies: Sequence[keras.Model]) -> "GameObjective":
        """Returns a copy in which other models play.

        A bound copy keeps its state, except for the policies' non-trainable
        variables.

        Args:
          policies: one `keras.Model` per player.

        Raises:
          TypeError, ValueError: as of the policies of `GameObjective`.
        """
        changed = copy.copy(self)
        changed.actors = _seated(self.game, policies)
        changed.policies = tuple(policies)
        check_separate(changed._trained_models())
        if self._results is not None:
            changed._results, changed._played_as = {}, {}
        if self._bound_state is not None:
            changed._bound_state = self._bound_state._replace(
                non_trainable=changed.initial_state().non_trainable
            )
        return changed

    def _check_params(self, name: str, params: Params) -> Params:
        params = super()._check_params(name, params)
        for player_id, (actor, player_params) in enumerate(
            zip(self.actors, params, strict=True)
        ):
            check_params(f"{name}[{player_id}]", player_params, actor)
        return params

    def _trained_models(self) -> dict[str, keras.Model]:
        """Returns each model once, by the names that errors use."""
        models = in_first_seats(self.policies)
        return {f"policies[{seat}]": model for seat, model in models.items()}

    def initial_params(self) -> list[list[tf.Tensor]]:
        """Returns current values of the policies' trainable variables."""
        return [actor.model.weights().params for actor in self.actors]

    def initial_state(self) -> GameState:
        return GameState(
            tuple(actor.model.weights().non_trainable for actor in self.actors),
            (),
        )

    def player_weights(
        self, params: Params, state: GameState | None = None
    ) -> list[Weights]:
        """Pairs parameters with the policies' other variables."""
        state, expected = self._resolve(state), "what `initial_state` returned"
        check_kind("state", state, GameState, expected)
        self._check_params("params", params)
        return [
            Weights(list(player_params), list(non_trainable))
            for player_params, non_trainable in zip(
                params, state.non_trainable, strict=True
            )
        ]


def _seated(game: Game, policies: Sequence[keras.Model]) -> tuple[Actor, ...]:
    """Returns the policies in their seats, some of which may share one."""
    policies = check_per_player(
        "policies", policies, check_game_type(game).num_players
    )
    check_seats_alike("policies", policies, game)
    return seat_actors(game, policies)


def _sampler(actor: Actor) -> Callable[[tf.Tensor], Any]:
    """Returns a function from observations `[B, ...]` to actions."""

    def sample(observations: tf.Tensor) -> Any:
        memory = actor.model.initial_state(observations.shape[0])
        weights = actor.model.weights()
        distribution, _ = actor.step(weights, observations, memory)
        return distribution.sample(seed=tf.constant([0, 3]))

    return sample
