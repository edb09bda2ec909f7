"""A common pool: a stock that all harvest, regrowing from what is left."""

import numpy as np
import tensorflow as tf

from dice_tf.checks import (
    as_whole_numbers,
    check_number,
    check_player_id,
    check_whole_number,
)
from dice_tf.games.finite import FiniteGame, check_table_bytes
from dice_tf.kernels.table_lookups import select


class CommonPool(FiniteGame):
    """Players harvest a common stock, which regrows from what they leave.

    An action is a number of units, 0 to `max_harvest`, and what a player
    harvests is its reward. With a stock of s units a player may take up to
    `s // num_players`: more is illegal, so that harvests at the same time
    never exceed the stock, and the rules are the same in every seat. What is
    left, r units, grows to `min(capacity, floor(growth_factor r))`, which is
    the stock of the next step. Nothing is random; episodes start at capacity.

    The state is the stock, and every player sees it one-hot,
    `[capacity + 1]`. As the state of a `FiniteGame` it has exact values; its
    tables hold `num_players (capacity + 1) (max_harvest + 1)^num_players`
    rewards and `(capacity + 1)^2 (max_harvest + 1)^num_players` chances. Its
    `step` takes an illegal action for the most that is legal.

    It is a dilemma: what one leaves, all may harvest. With the defaults two
    players that take a unit each at capacity, and nothing below, get 1 a step
    for ever. Two that take all they may get 6 each in two steps, and nothing
    after: the last unit does not grow. Against such a player nothing is
    better than to take all, too, and there naive learners end that start from
    random play (at discount 0.96).

    Args:
      episode_length: T.
      num_players: N.
      capacity: the largest stock, at least `num_players`.
      max_harvest: the most that a player may take in a step, at least 1.
      growth_factor: at least 1.
      dtype: floating dtype, "float32" or "float64".

    Attributes:
      capacity, max_harvest, growth_factor: as given.
      growth: what a stock grows to, int `[capacity + 1]`.

    Raises:
      TypeError, ValueError: if an argument is out of its range, or the tables
        would take more than 2 GiB.

    Example:
      >>> game = dice_tf.games.CommonPool(episode_length=50)
      >>> policies = [dice_tf.policies.tabular(game, i) for i in range(2)]
      >>> objective = dice_tf.objectives.ExactObjective(game, policies)
    """

    def __init__(
        self,
        episode_length: int = 50,
        *,
        num_players: int = 2,
        capacity: int = 12,
        max_harvest: int = 4,
        growth_factor: float = 1.25,
        dtype: str = "float32",
    ):
        num_players = check_whole_number("num_players", num_players, 1)
        self.capacity = check_whole_number("capacity", capacity, 1)
        if capacity < num_players:
            raise ValueError(
                "`capacity` must be at least num_players. Received: "
                f"capacity={capacity}, num_players={num_players}."
            )
        self.max_harvest = check_whole_number("max_harvest", max_harvest, 1)
        self.growth_factor = check_number("growth_factor", growth_factor, 1.0)
        num_states = self.capacity + 1
        check_table_bytes(
            f"A common pool of num_players={num_players}, capacity={capacity} "
            f"and max_harvest={max_harvest}",
            8
            * num_states
            * (num_states + num_players)
            * (self.max_harvest + 1) ** min(num_players, 40),
            "Give a smaller `capacity`, `max_harvest` or `num_players`.",
        )
        stocks = np.arange(num_states)
        # Give back what rounding took away, which is much less than a unit.
        grown = np.floor(self.growth_factor * stocks + 1e-9)
        self.growth = np.minimum(self.capacity, grown).astype(int)
        share = np.minimum(self.max_harvest, stocks // num_players)
        actions = np.indices((self.max_harvest + 1,) * num_players)
        # [num_players, S, A_1, ..., A_N].
        harvests = np.minimum(
            actions[:, np.newaxis],
            share.reshape(-1, *[1] * num_players),
        )
        left = stocks.reshape(-1, *[1] * num_players) - harvests.sum(axis=0)
        legal = np.arange(self.max_harvest + 1) <= share[:, np.newaxis]
        super().__init__(
            harvests,
            np.eye(self.capacity + 1)[self.growth[left]],
            np.eye(self.capacity + 1)[-1],
            episode_length=episode_length,
            action_masks=[legal] * num_players,
            dtype=dtype,
        )

    # These compute the entries of the tables, without large constants.

    def reward(
        self, state: tf.Tensor, joint: tf.Tensor, player_id: int
    ) -> tf.Tensor:
        player_id = check_player_id(player_id, self.num_players)
        return tf.cast(self._harvests(state, joint)[player_id], self.dtype)

    def next_state(
        self, state: tf.Tensor, joint: tf.Tensor, noise: tf.Tensor | None
    ) -> tf.Tensor:
        state = as_whole_numbers("state", state)
        left = state - tf.add_n(self._harvests(state, joint))
        return select(tf.constant(self.growth, tf.int32), left)

    def _harvests(self, state: tf.Tensor, joint: tf.Tensor) -> list[tf.Tensor]:
        state = as_whole_numbers("state", state)
        share = tf.minimum(state // self.num_players, self.max_harvest)
        return [
            tf.minimum(action, share)
            for action in self.split_joint_action(joint)
        ]
