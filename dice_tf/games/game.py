"""What a game is: pure, vectorised functions from states to states."""

import abc
from typing import Any, NamedTuple

import tensorflow as tf

from dice_tf.checks import (
    as_tensors,
    check_kind,
    check_per_player,
    check_same_shape,
)
from dice_tf.seeds import Seed


class TimeStep(NamedTuple):
    """What the players see after a reset or a step of `B` parallel episodes.

    Attributes:
      observations: one tensor per player, `[B, ...]`.
      rewards: one tensor per player, `[B]`; zeros after a reset.
      discounts: `[B]`: 1 while an episode runs, 0 once it has ended before
        its full length.
      truncations: one tensor per player, `[B]`: 1 where an episode has just
        ended (discount 0) because it was cut off for this player, not at an
        end of its own; zeros after a reset. Critics then say what would have
        followed, see `dice_tf.objectives.DiCEObjective`. Empty in all time
        steps, as by default: never.
    """

    observations: tuple[tf.Tensor, ...]
    rewards: tuple[tf.Tensor, ...]
    discounts: tf.Tensor
    truncations: tuple[tf.Tensor, ...] = ()


class Game(abc.ABC):
    """A simultaneous-move game of N players, as pure functions.

    A game holds its rules and no state, so that it runs inside `tf.function`,
    XLA and `tf.vectorized_map`: what changes is the `state`, a tensor or a
    nest of tensors `[B, ...]` that goes into `step` and comes out of it.

    Attributes:
      num_players: N, a whole number.
      num_actions: for each player the number of its actions, or `None` where
        actions are not a finite set.
      observation_shapes: for each player the shape of one observation.
      episode_length: T, a whole number of steps.
      dtype: floating dtype of observations, rewards and discounts.
      is_compilable: whether XLA can compile it, as it can all that TensorFlow
        computes; False where Python code makes the steps.
      action_shapes: for each player the shape of one action.
      action_bounds: for each player the least and the greatest action, two
        arrays of the shape of an action, where the game has such bounds, else
        `None`.
    """

    is_compilable: bool = True
    num_players: int
    num_actions: tuple[int | None, ...]
    observation_shapes: tuple[tuple[int, ...], ...]
    episode_length: int
    dtype: tf.DType

    @property
    def action_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Numbers by default; games with other actions override this."""
        return ((),) * self.num_players

    @property
    def action_bounds(self) -> tuple[tuple[Any, Any] | None, ...]:
        """None by default; games with other actions override this."""
        return (None,) * self.num_players

    def legal_actions(
        self, observations: Any, player_id: int
    ) -> tf.Tensor | None:
        """Returns which actions are legal, as a player sees it.

        Policies give the others probability 0. What is legal follows from
        what the player sees, so that stored play and exported policies need
        nothing else to know it.

        Args:
          observations: `[..., *observation_shape]`, a tensor or an array.
          player_id: the seat.

        Returns:
          bool `[..., num_actions]`, at least one of each row True; or `None`,
          for any observations, if all actions always are, as by default.
        """
        return None

    @abc.abstractmethod
    def reset(self, seed: Seed, batch_size: int) -> tuple[Any, TimeStep]:
        """Starts `batch_size` episodes.

        Args:
          seed: int32 `[2]`.
          batch_size: B.

        Returns:
          The state, and the first `TimeStep`.
        """

    @abc.abstractmethod
    def step(
        self, state: Any, actions: tuple[tf.Tensor, ...], seed: Seed
    ) -> tuple[Any, TimeStep]:
        """Plays one joint action.

        Args:
          state: what `reset` or `step` returned.
          actions: one tensor per player, int32 `[B]` where the player's
            actions are finitely many, else `[B, ...]`.
          seed: int32 `[2]`.

        Returns:
          The next state, and its `TimeStep` with the rewards of these
          actions.
        """


def check_game_type(game: Any) -> Game:
    """Returns the game, or raises if it is not a `Game`."""
    return check_kind("game", game, Game, "a dice_tf.games.Game")


def check_actions(actions: Any, num_players: int) -> list[tf.Tensor]:
    """Returns the actions of all players as tensors, or raises.

    Args:
      actions: one tensor per player.
      num_players: N.

    Raises:
      TypeError, ValueError: if there is not one per player, one is not a
        tensor, or their shapes differ.
    """
    check_per_player("actions", actions, num_players)
    tensors = as_tensors("actions", actions)
    for player_id, tensor in enumerate(tensors):
        name = f"actions[{player_id}]"
        check_same_shape(name, tensor, "actions[0]", tensors[0])
    return tensors
