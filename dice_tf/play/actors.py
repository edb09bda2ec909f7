"""A policy in a seat of a game, as pure functions of its parameters."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from dice_tf.checks import (
    as_tensor,
    as_tensors,
    check_float_dtype,
    check_kind,
    check_last_axes,
    check_per_player,
    check_player_id,
    check_shapes,
)
from dice_tf.distributions import Distribution, all_log_probs
from dice_tf.games.finite import FiniteGame
from dice_tf.games.game import Game, check_game_type
from dice_tf.models.recurrent_models import seat_model
from dice_tf.models.seat_models import Weights
from dice_tf.policies.action_masks import carrying, masked_head, seat_mask
from dice_tf.policies.heads import attached_head, head_of
from dice_tf.policies.policy_check import check_seat, example_observations


class SeatTable(NamedTuple):
    """What a finite game shows in a seat.

    Attributes:
      observations: `[num_states, *observation_shape]`, what the player sees in
        each state.
      num_actions: number of actions of the seat.
    """

    observations: tf.Tensor
    num_actions: int


class Actor:
    """Binds a policy network, its head and a seat of a game.

    Actions that are illegal in the seat have probability 0. For exports, the
    policy carries the rule of the first seat that it takes.

    Args:
      game: the game.
      policy: a `keras.Model` from observations to logits; with memory from
        `[observations, *states]` to `[logits, *states]`.
      player_id: the seat.

    Attributes:
      model: the network, as a `SeatModel`.
      has_memory: whether it carries a state from step to step.
      num_actions: of the seat, `None` where not finite.

    Raises:
      TypeError: if the policy is not a `keras.Model`, or the game's dtype not
        a dtype.
      ValueError: if its inputs or outputs do not fit the seat, or it cannot
        learn; if it or its head draws noise of its own, or has a state that
        calls change; if it cannot be differentiated twice, as any learner may
        differentiate any objective; or if the game's dtype is neither float32
        nor float64.

    Example:
      >>> actor = dice_tf.play.Actor(game, policy, 0)
      >>> distribution = actor.distribution(actor.model.weights(), tf.eye(5))
      >>> distribution.batch_shape
      TensorShape([5])
    """

    def __init__(self, game: Game, policy: keras.Model, player_id: int):
        check_float_dtype("game.dtype", check_game_type(game).dtype)
        player_id = check_player_id(player_id, game.num_players)
        if not isinstance(policy, keras.Model):
            raise TypeError(
                f"`policies[{player_id}]` must be a keras.Model, as the "
                f"`policy` of a seat is. Received: {policy!r} (of type "
                f"{type(policy).__name__})."
            )
        self._observation_shape = tuple(game.observation_shapes[player_id])
        self.model = seat_model(
            f"policies[{player_id}]",
            policy,
            game.observation_shapes[player_id],
            game.dtype,
        )
        self.has_memory = self.model.has_memory
        self.num_actions = game.num_actions[player_id]
        head = head_of(policy, self.model.num_outputs, self.num_actions)
        mask = seat_mask(game, player_id)
        carrying(policy, mask)
        self._read = masked_head(head, mask)
        self._table: SeatTable | None = None
        if isinstance(game, FiniteGame):
            states = tf.constant(game.observations[player_id], game.dtype)
            self._table = SeatTable(states, game.num_actions[player_id])
            self._example = states
        else:
            shape = game.observation_shapes[player_id]
            self._example = example_observations(shape, game.dtype)
        self._checked: list[int] | None = None
        self.check()

    def check(self) -> None:
        """Raises if play does not teach what the policy is to learn.

        Called when the seat is taken, and where a trainer is made: layers that
        were frozen may learn now. Nothing is measured twice.

        Raises:
          ValueError: as of the class.
        """
        policy = self.model.model
        trained = [id(variable) for variable in policy.trainable_variables]
        if trained == self._checked:
            return
        head = attached_head(policy)
        check_seat(self.model, self._example, head, self._read)
        self._checked = trained

    def distribution(
        self, weights: Weights, observations: tf.Tensor
    ) -> Distribution:
        """Returns the distribution over actions for each observation.

        Args:
          weights: values for the policy's variables.
          observations: `[..., *observation_shape]`; with memory `[T, B, ...]`
            from the start of episodes on, or `[B, ...]` at their start.

        Returns:
          A tfp distribution over the leading axes, differentiable in the
          parameters.
        """
        check_weights(weights)
        observations = self._as_seen(observations)
        return self._read(self.model(weights, observations), observations)

    def step(
        self, weights: Weights, observations: tf.Tensor, state: list[tf.Tensor]
    ) -> tuple[Distribution, list[tf.Tensor]]:
        """Returns the distribution over actions at one step of episodes.

        Args:
          weights: values for the policy's variables.
          observations: `[B, *observation_shape]`.
          state: what `model.initial_state` or the last step returned.

        Returns:
          A tfp distribution over B, and the state that follows.
        """
        check_weights(weights)
        observations = self._as_seen(observations)
        state = as_tensors("state", state)
        outputs, state = self.model.step(weights, observations, state)
        return self._read(outputs, observations), state

    def _as_seen(self, observations: Any) -> tf.Tensor:
        """Returns observations as a tensor, or raises if they do not fit."""
        observations = as_tensor("observations", observations)
        check_last_axes("observations", observations, self._observation_shape)
        return observations

    def log_prob_table(self, weights: Weights) -> tf.Tensor:
        """Evaluates the policy once per state of a finite game.

        Returns:
          `[num_states, num_actions]`, log-probabilities, differentiable in
          the parameters.

        Raises:
          ValueError: if the policy has memory, or the game is not finite.
        """
        states, num_actions = self.check_table()
        distribution = self.distribution(weights, states)
        return all_log_probs(distribution, num_actions)

    def check_table(self) -> SeatTable:
        """Returns what the policy sees in each state of a finite game.

        Raises:
          ValueError: if the policy has memory, or the game is not finite, so
            that no state tells what the policy does.
        """
        if self.has_memory:
            raise ValueError(
                f"`{self.model.name}` ({self.model.model.name!r}) has memory: "
                "what it does depends on more than the state of the game, so "
                "that there is no table of it and nothing in closed form. Use "
                "a sampled objective, such as "
                "dice_tf.objectives.DiCEObjective, to train it, and "
                "dice_tf.evaluation.play_match to evaluate it."
            )
        if self._table is None:
            raise ValueError(
                f"`{self.model.name}` ({self.model.model.name!r}) plays a game "
                "that is not a dice_tf.games.FiniteGame: there is no table of "
                "states, and so none of what the policy does in each."
            )
        return self._table


def check_weights(weights: Any) -> Weights:
    """Returns the weights of a policy, or raises if they are not `Weights`."""
    expected = "what `actor.model.weights()` returns"
    return check_kind("weights", weights, Weights, expected)


def check_params(name: str, params: Sequence[tf.Tensor], actor: Actor) -> None:
    """Raises if parameters are not those of a policy.

    Args:
      name: how errors name the parameters.
      params: list of tensors, in the order of the trainable variables.
      actor: the policy in its seat.

    Raises:
      TypeError: if they are not a list.
      ValueError: if there is not one tensor per trainable variable, or the
        static shapes of both cannot be equal.
    """
    variables = actor.model.model.trainable_variables
    owner = f"the trainable variables of `{actor.model.name}`"
    check_shapes(name, as_tensors(name, params), variables, owner)


def seat_actors(
    game: Game, policies: Sequence[keras.Model]
) -> tuple[Actor, ...]:
    """Returns the policies in their seats.

    Args:
      game: the game.
      policies: one `keras.Model` per player.

    Raises:
      TypeError: if the game is not a `Game`, or a policy not a `keras.Model`.
      ValueError: if there is not one policy per player, or one does not fit
        its seat, see `Actor`.
    """
    check_game_type(game)
    policies = check_per_player("policies", policies, game.num_players)
    return tuple(
        Actor(game, policy, player_id)
        for player_id, policy in enumerate(policies)
    )
