"""Markov games with finitely many states and actions."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, TypeGuard

import numpy as np
import tensorflow as tf

from dice_tf.checks import (
    MOST_EPISODES,
    as_float_array,
    as_whole_numbers,
    check_finite,
    check_float_dtype,
    check_kind,
    check_player_id,
    check_rank,
    check_whole_number,
)
from dice_tf.games.finite_chances import as_chances, check_probabilities
from dice_tf.games.finite_masks import check_action_masks, mask_of_nearest
from dice_tf.games.game import Game, TimeStep, check_actions
from dice_tf.kernels.table_lookups import select
from dice_tf.seeds import Seed, uniform

# Above this, tables are more likely a mistake than wanted.
_MOST_TABLE_BYTES = 2 * 2**30


def check_table_bytes(game: str, num_bytes: int, remedy: str) -> None:
    """Raises if the tables of a game would take too much memory.

    To be called before any of them is made.

    Args:
      game: what it is and has, as the subject of a message.
      num_bytes: of all tables.
      remedy: what to do, as a sentence.

    Raises:
      ValueError: if they would take more than 2 GiB.
    """
    if num_bytes > _MOST_TABLE_BYTES:
        # A whole number of Python can be larger than any float.
        tenths = num_bytes * 10 // 2**30
        raise ValueError(
            f"{game} would need tables of at least {tenths // 10:,}."
            f"{tenths % 10} GiB ({num_bytes:,} bytes), where 2 GiB are the "
            f"most. {remedy}"
        )


def acts_by_state(
    game: Game | None, memories: Iterable[bool]
) -> TypeGuard["FiniteGame"]:
    """Returns whether the state of a game tells what its players do.

    That is so in a `FiniteGame` if no player has a memory. Each policy is then
    a table, with one row of probabilities per state.

    Args:
      game: the game.
      memories: for each player whether it has a memory.
    """
    return isinstance(game, FiniteGame) and not any(memories)


class FiniteGame(Game):
    """A Markov game given by its tables.

    Since its states are few, a policy of any size needs to be evaluated only
    once per state, and values of policies have a closed form. The state is
    the number of the state, int32 `[B]`.

    Args:
      rewards: `[num_players, S, A_1, ..., A_N]`.
      transitions: probabilities of the next state, `[S, A_1, ..., A_N, S]`.
      initial: probabilities of the first state, `[S]`.
      episode_length: T.
      observations: for each player what it sees in each state, `[S, ...]`.
        Default: the state, one-hot.
      action_masks: for each player which of its actions are legal in each
        state, bool `[S, A_i]`. Default: all. What the other tables say of
        illegal ones does not count.
      dtype: floating dtype, "float32" or "float64".

    Attributes:
      num_states: S.
      rewards, transitions, initial, observations: the tables, NumPy float64.
      action_masks: the masks, `None` where all actions are legal.

    Raises:
      TypeError, ValueError: if a table has the wrong shape or is not finite in
        the dtype, or probabilities do not sum to 1; if a player has no legal
        action in a state, or cannot see which are; if the dtype is another one.
    """

    num_actions: tuple[int, ...]

    def __init__(
        self,
        rewards: Any,
        transitions: Any,
        initial: Any,
        *,
        episode_length: int,
        observations: Any = None,
        action_masks: Any = None,
        dtype: str = "float32",
    ):
        self.rewards = as_float_array("rewards", rewards)
        self.initial = as_float_array("initial", initial)
        self.transitions = as_float_array("transitions", transitions)
        if self.rewards.ndim < 3 or len(self.rewards) != self.rewards.ndim - 2:
            raise ValueError(
                "`rewards` must have shape [num_players, S, A_1, ..., A_N] "
                "with one action axis per player. Received shape "
                f"{self.rewards.shape}."
            )
        self.dtype = check_float_dtype("dtype", dtype)
        check_finite("rewards", self.rewards, self.dtype)
        self.num_players = len(self.rewards)
        self.num_states = self.rewards.shape[1]
        self.num_actions = tuple(self.rewards.shape[2:])
        self.episode_length = check_whole_number(
            "episode_length", episode_length, 1
        )
        shape = (*self.rewards.shape[1:], self.num_states)
        transitions = self.transitions
        if transitions.shape == shape and transitions.strides[0] == 0:
            # One table, broadcast over the states: arrays made of it would
            # take as many times its memory as there are states.
            transitions, shape = transitions[:1], (1, *shape[1:])
        check_probabilities("transitions", transitions, shape)
        check_probabilities("initial", self.initial, (self.num_states,))
        self._start = as_chances(self.initial[np.newaxis])
        rows = transitions.reshape(len(transitions), -1, self.num_states)
        # In many games the next state depends on the actions alone.
        self._ends_alike = bool(np.all(rows == rows[0]))
        rows = rows[:1] if self._ends_alike else rows
        self._following = as_chances(rows.reshape(-1, self.num_states))
        self.observations = self._as_observations(observations)
        self.observation_shapes = tuple(
            table.shape[1:] for table in self.observations
        )
        self.action_masks = check_action_masks(
            action_masks, self.observations, self.num_actions
        )

    def _as_observations(self, observations: Any) -> tuple[np.ndarray, ...]:
        if observations is None:
            observations = [np.eye(self.num_states)] * self.num_players
        kinds = (list, tuple, np.ndarray)
        expected = "a list with one table per player"
        check_kind("observations", observations, kinds, expected)
        tables = tuple(
            as_float_array(f"observations[{player_id}]", table)
            for player_id, table in enumerate(observations)
        )
        if len(tables) != self.num_players or any(
            table.shape[:1] != (self.num_states,) for table in tables
        ):
            raise ValueError(
                "`observations` must hold one table per player with one row "
                f"per state ({self.num_players} tables of {self.num_states} "
                f"rows). Received shapes {[table.shape for table in tables]}."
            )
        for player_id, table in enumerate(tables):
            check_finite(f"observations[{player_id}]", table, self.dtype)
        return tables

    def reset(self, seed: Seed, batch_size: int) -> tuple[tf.Tensor, TimeStep]:
        check_whole_number("batch_size", batch_size, 1, MOST_EPISODES)
        noise = None
        if self.has_random_start:
            noise = uniform(seed, [batch_size], self.dtype)
        state = self.first_state(batch_size, noise)
        rewards = (tf.zeros([batch_size], self.dtype),) * self.num_players
        return state, self._time_step(state, rewards)

    def step(
        self, state: tf.Tensor, actions: tuple[tf.Tensor, ...], seed: Seed
    ) -> tuple[tf.Tensor, TimeStep]:
        state = as_whole_numbers("state", state)
        check_rank("state", state, 1, "[B]")
        joint = self.joint_action(actions)
        noise = None
        if self.has_random_transitions:
            noise = uniform(seed, [state.shape[0]], self.dtype)
        next_state = self.next_state(state, joint, noise)
        rewards = tuple(
            self.reward(state, joint, player_id)
            for player_id in range(self.num_players)
        )
        return next_state, self._time_step(next_state, rewards)

    def legal_actions(
        self, observations: Any, player_id: int
    ) -> tf.Tensor | None:
        if self.action_masks is None:
            return None
        tables = self.observations[player_id], self.action_masks[player_id]
        return mask_of_nearest(observations, *tables)

    @property
    def has_random_start(self) -> bool:
        """Whether first states differ."""
        return not self._start.is_certain

    @property
    def has_random_transitions(self) -> bool:
        """Whether chance has a part in the next state."""
        return not self._following.is_certain

    def joint_action(self, actions: Sequence[tf.Tensor]) -> tf.Tensor:
        """Numbers joint actions row-major, int32 of the actions' shape."""
        for player_id, action in enumerate(
            check_actions(actions, self.num_players)
        ):
            as_whole_numbers(f"actions[{player_id}]", action)
        joint = actions[0]
        for action, num_actions in zip(
            actions[1:], self.num_actions[1:], strict=True
        ):
            joint = joint * num_actions + action
        return joint

    def split_joint_action(self, joint: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Returns each player's action of the numbered joint actions."""
        joint = as_whole_numbers("joint", joint)
        joint, actions = tf.cast(joint, tf.uint32), []
        for num_actions in reversed(self.num_actions):
            actions.append(tf.cast(joint % num_actions, tf.int32))
            joint = joint // num_actions
        return tuple(reversed(actions))

    def reward(
        self, state: tf.Tensor, joint: tf.Tensor, player_id: int
    ) -> tf.Tensor:
        """Returns a player's rewards, of the shape of `state`.

        Args:
          state: int32, any shape.
          joint: int32, numbers of joint actions, of the same shape.
          player_id: whose.
        """
        state = as_whole_numbers("state", state)
        joint = as_whole_numbers("joint", joint)
        player_id = check_player_id(player_id, self.num_players)
        table = self.rewards[player_id].reshape(self.num_states, -1)
        if np.all(table == table[0]):
            return select(tf.constant(table[0], self.dtype), joint)
        index = state * table.shape[1] + joint
        return select(tf.constant(table.ravel(), self.dtype), index)

    def first_state(
        self, batch_size: int, noise: tf.Tensor | None
    ) -> tf.Tensor:
        """Samples first states, int32 `[B]`.

        Args:
          batch_size: B.
          noise: `[B]`, uniform on [0, 1). `None` where all is certain.
        """
        check_whole_number("batch_size", batch_size, 1, MOST_EPISODES)
        row = tf.zeros([batch_size], tf.int32)
        return self._start.pick(row, noise)

    def next_state(
        self, state: tf.Tensor, joint: tf.Tensor, noise: tf.Tensor | None
    ) -> tf.Tensor:
        """Samples the states that follow, int32 `[B]`.

        Args:
          state: int32 `[B]`.
          joint: int32 `[B]`, numbers of joint actions.
          noise: `[B]`, uniform on [0, 1). `None` where all is certain.
        """
        state = as_whole_numbers("state", state)
        joint = as_whole_numbers("joint", joint)
        if self._ends_alike:
            return self._following.pick(joint, noise)
        row = state * math.prod(self.num_actions) + joint
        return self._following.pick(row, noise)

    def _time_step(
        self, state: tf.Tensor, rewards: tuple[tf.Tensor, ...]
    ) -> TimeStep:
        return TimeStep(
            tuple(
                tf.gather(tf.constant(table, self.dtype), state)
                for table in self.observations
            ),
            rewards,
            tf.ones(tf.shape(state), self.dtype),
        )
