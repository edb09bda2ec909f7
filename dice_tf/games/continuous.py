"""A small game with continuous actions, and its values in closed form."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dice_tf.checks import (
    MOST_EPISODES,
    as_floats,
    as_tensors,
    check_float_dtype,
    check_last_axes,
    check_number,
    check_number_per_player,
    check_per_player,
    check_rank,
    check_whole_number,
)
from dice_tf.games.game import Game, TimeStep, check_actions
from dice_tf.seeds import Seed


class RepeatedCournot(Game):
    """Repeated Cournot oligopoly: firms choose how much to bring to market.

    An action is a quantity `q_i`, any real number, of shape `[B]`. All are
    sold at the price `intercept - slope * sum_j q_j`, and firm i earns
    `(price - costs[i]) q_i`. A firm sees the quantities of the round before:
    its own first, then those of seats i+1, i+2, ... modulo N.

    With the defaults two firms that each maximise their own profit bring 1
    and earn 1 a round, the Nash equilibrium of one round; sharing the
    monopolist's quantity they would bring 0.75 and earn 1.125. As in the
    prisoner's dilemma, only a firm that answers what the other did can make
    it worth while.

    Policies are `keras.Model`s with a head of the user's own, see
    `dice_tf.policies.with_head`. For linear policies with normal noise
    `linear_gaussian_values` is the closed form of the values.

    Args:
      episode_length: T, the number of rounds.
      num_players: N, the number of firms.
      intercept: price at which nothing is demanded.
      slope: fall of the price per unit, above 0.
      costs: cost per unit, one number or one per firm.
      initial_quantity: what is seen before the first round, of every firm.
      dtype: floating dtype, "float32" or "float64".

    Raises:
      TypeError, ValueError: if an argument is out of its range.

    Example:
      >>> game = dice_tf.games.RepeatedCournot(episode_length=20)
      >>> def head(outputs):
      ...     return tfp.distributions.Normal(outputs[..., 0], 0.1)
      >>> policies = [
      ...     dice_tf.policies.with_head(
      ...         keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]),
      ...         head,
      ...     )
      ...     for _ in range(2)
      ... ]
    """

    def __init__(
        self,
        episode_length: int = 50,
        *,
        num_players: int = 2,
        intercept: float = 3.0,
        slope: float = 1.0,
        costs: float | Sequence[float] = 0.0,
        initial_quantity: float = 0.0,
        dtype: str = "float32",
    ):
        self.episode_length = check_whole_number(
            "episode_length", episode_length, 1
        )
        self.num_players = check_whole_number(
            "num_players", num_players, 1, 2**10
        )
        self.intercept = check_number("intercept", intercept)
        self.slope = check_number("slope", slope)
        if self.slope == 0.0:
            raise ValueError("`slope` must be above 0. Received: slope=0.0.")
        self.costs = check_number_per_player("costs", costs, num_players)
        self.initial_quantity = check_number(
            "initial_quantity", initial_quantity
        )
        self.dtype = check_float_dtype("dtype", dtype)
        self.num_actions = (None,) * num_players
        self.observation_shapes = ((num_players,),) * num_players

    def reset(self, seed: Seed, batch_size: int) -> tuple[tf.Tensor, TimeStep]:
        del seed
        check_whole_number("batch_size", batch_size, 1, MOST_EPISODES)
        quantities = tf.fill(
            [batch_size, self.num_players],
            tf.constant(self.initial_quantity, self.dtype),
        )
        zeros = (tf.zeros([batch_size], self.dtype),) * self.num_players
        return quantities, self._time_step(quantities, zeros)

    def step(
        self, state: tf.Tensor, actions: tuple[tf.Tensor, ...], seed: Seed
    ) -> tuple[tf.Tensor, TimeStep]:
        del state, seed
        for player_id, action in enumerate(as_tensors("actions", actions)):
            if action.shape.rank != 1:
                raise ValueError(
                    f"`actions[{player_id}]` must have shape [B], one "
                    " quantity per episode. Received shape "
                    f"{tuple(action.shape)}: let the head return a "
                    "distribution over scalars, such as "
                    "tfp.distributions.Normal(outputs[..., 0], scale)."
                )
        actions = check_actions(actions, self.num_players)
        quantities = tf.stack(
            [tf.cast(action, self.dtype) for action in actions], axis=1
        )
        price = self.intercept - self.slope * tf.reduce_sum(quantities, axis=1)
        profits = tuple(
            (price - cost) * quantity
            for quantity, cost in zip(
                tf.unstack(quantities, axis=1), self.costs, strict=True
            )
        )
        return quantities, self._time_step(quantities, profits)

    def linear_gaussian_values(
        self,
        gains: Sequence[tf.Tensor],
        offsets: Sequence[tf.Tensor],
        scales: Sequence[tf.Tensor],
        *,
        discount: float,
    ) -> tuple[tf.Tensor, ...]:
        """Returns each firm's expected discounted profit of an episode.

        Firm i brings `offsets[i] + gains[i] . observation_i` and normal
        noise with standard deviation `scales[i]`. Quantities are then a
        linear process, profits quadratic in them, and the values follow from
        the second moments `M_t = E[y y']` of `y = (1, q_0, ..., q_{N-1})`:
        `M_t = F M_{t-1} F' + noise`.

        Args:
          gains: one per firm, `[N]`, in the order of its observation.
          offsets: one per firm, scalar.
          scales: one per firm, scalar.
          discount: in [0, 1].

        Returns:
          One scalar per firm, differentiable in all of these to any order.
        """
        discount = check_number("discount", discount, 0.0, 1.0)
        size = self.num_players + 1
        offsets = self._scalars("offsets", offsets)
        scales = self._scalars("scales", scales)
        rows = [tf.one_hot(0, size, dtype=self.dtype)]
        for player_id, gain in enumerate(
            check_per_player("gains", gains, self.num_players)
        ):
            # Reorder from the seats as the firm sees them to those of the game.
            name = f"gains[{player_id}]"
            gain = as_floats(name, gain, self.dtype)
            check_rank(name, gain, 1, "[num_players]")
            check_last_axes(name, gain, (self.num_players,))
            ordered = tf.roll(gain, player_id, axis=0)
            offset = tf.reshape(offsets[player_id], [1])
            rows.append(tf.concat([offset, ordered], axis=0))
        forward = tf.stack(rows)
        noise = tf.linalg.diag(
            tf.concat([tf.zeros([1], self.dtype), tf.stack(scales) ** 2], 0)
        )
        start = np.full(size, self.initial_quantity)
        start[0] = 1.0
        moments = tf.constant(np.outer(start, start), self.dtype)
        total = tf.zeros_like(moments)
        for step in range(self.episode_length):
            moments = forward @ moments @ tf.transpose(forward) + noise
            total += discount**step * moments
        return tuple(
            tf.reduce_sum(total * tf.constant(self._profit(i), self.dtype))
            for i in range(self.num_players)
        )

    def _scalars(self, name: str, values: Any) -> list[tf.Tensor]:
        """Returns one scalar per firm, or raises."""
        values = check_per_player(name, values, self.num_players)
        scalars = [as_floats(name, value, self.dtype) for value in values]
        for scalar in scalars:
            check_rank(name, scalar, 0, "[]")
        return scalars

    def _profit(self, player_id: int) -> np.ndarray:
        """Returns P with profit `y' P y`, for `y = (1, q_0, ..., q_{N-1})`."""
        profit = np.zeros((self.num_players + 1,) * 2)
        profit[player_id + 1] = -self.slope
        profit[player_id + 1, 0] = self.intercept - self.costs[player_id]
        return profit

    def _time_step(
        self, quantities: tf.Tensor, rewards: tuple[tf.Tensor, ...]
    ) -> TimeStep:
        return TimeStep(
            tuple(
                tf.roll(quantities, -player_id, axis=1)
                for player_id in range(self.num_players)
            ),
            rewards,
            tf.ones_like(quantities[:, 0]),
        )
