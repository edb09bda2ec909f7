"""Negotiation: who gets which item, by proposals of both at once."""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from dice_tf.checks import (
    MOST_EPISODES,
    as_tensors,
    check_float_dtype,
    check_kind,
    check_per_player,
    check_whole_number,
)
from dice_tf.games.game import Game, TimeStep
from dice_tf.seeds import Seed, uniform

_LOW, _HIGH = 1.0, 5.0
# The largest proposal, and the sum of proposals for which nothing is left over.
_MOST = 5.0
# What is seen is divided by this.
_SCALE = 10.0


class NegotiationState(NamedTuple):
    """What an item is worth, and what was proposed in the round before.

    Attributes:
      values: `[B, K]`, for player 0; for player 1 they are 6 less these.
      proposals: one tensor per player, `[B, K]`; zeros at first.
    """

    values: tf.Tensor
    proposals: tuple[tf.Tensor, ...]


class Negotiation(Game):
    """Two players divide items that one of them values more than the other.

    In each round there is one of each of K items. Player 0 values each at 1 or
    5, with the same probability and independently, and player 1 at 6 less
    that. Both propose at once how much of each item they want, numbers `p` in
    [0, 5], and player i gets the share

      `p_i / max(p_0 + p_1, 5)`

    of an item. It earns the sum of its values times its shares, divided by
    `5 K`. Then the next round begins, with new values.

    An action is a proposal `[B, K]`; numbers out of the interval count as the
    nearest in it. A player observes `[B, 5 K]`: the numbers of items, its
    values, its last proposal, the other's values and the other's last
    proposal, all divided by 10. The game is thus the same from both seats.

    It is a dilemma: to propose 5 for everything is best whatever the other
    does, and gives both 0.3 a round. If each proposes 5 for what it values
    more, and 0 for the rest, both earn 0.5.

    Args:
      episode_length: T, the number of rounds.
      num_items: K.
      dtype: floating dtype, "float32" or "float64".

    Raises:
      TypeError, ValueError: if an argument is out of its range.

    Example:
      >>> game = dice_tf.games.Negotiation(episode_length=10)
      >>> def head(outputs):
      ...     return tfp.distributions.MultivariateNormalDiag(
      ...         5.0 * tf.sigmoid(outputs), [0.5] * 3
      ...     )
      >>> policies = [
      ...     dice_tf.policies.with_head(
      ...         keras.Sequential([keras.Input((15,)), keras.layers.Dense(3)]),
      ...         head,
      ...     )
      ...     for _ in range(2)
      ... ]

    References:
      Duque et al. 2025 (Advantage Alignment Algorithms), the Negotiation Game
      with values in high contrast.
    """

    num_players = 2
    num_actions = (None, None)

    def __init__(
        self,
        episode_length: int = 50,
        *,
        num_items: int = 3,
        dtype: str = "float32",
    ):
        self.episode_length = check_whole_number(
            "episode_length", episode_length, 1
        )
        self.num_items = check_whole_number("num_items", num_items, 1, 2**10)
        self.dtype = check_float_dtype("dtype", dtype)
        self.observation_shapes = ((5 * num_items,),) * 2

    @property
    def action_shapes(self) -> tuple[tuple[int, ...], ...]:
        return ((self.num_items,),) * 2

    @property
    def action_bounds(self) -> tuple[tuple[Any, Any], ...]:
        bounds = np.zeros(self.num_items), np.full(self.num_items, _MOST)
        return (bounds,) * 2

    def reset(
        self, seed: Seed, batch_size: int
    ) -> tuple[NegotiationState, TimeStep]:
        check_whole_number("batch_size", batch_size, 1, MOST_EPISODES)
        values = self._draw_values(seed, batch_size)
        state = NegotiationState(values, (tf.zeros_like(values),) * 2)
        return state, self._time_step(state, (tf.zeros_like(values[:, 0]),) * 2)

    def step(
        self,
        state: NegotiationState,
        actions: tuple[tf.Tensor, ...],
        seed: Seed,
    ) -> tuple[NegotiationState, TimeStep]:
        check_kind("state", state, NegotiationState, "what `reset` returned")
        check_per_player("actions", actions, 2)
        proposals = []
        for player_id, action in enumerate(as_tensors("actions", actions)):
            if action.shape != state.values.shape:
                raise ValueError(
                    f"`actions[{player_id}]` must have shape [B, num_items] = "
                    f"{tuple(state.values.shape)}. Received shape "
                    f"{tuple(action.shape)}: let the head return a "
                    "distribution over vectors, such as "
                    "tfp.distributions.MultivariateNormalDiag."
                )
            action = tf.cast(action, self.dtype)
            proposals.append(tf.clip_by_value(action, 0.0, _MOST))
        divisor = tf.maximum(proposals[0] + proposals[1], _MOST)
        rewards = tuple(
            tf.reduce_sum(proposal / divisor * values, axis=1)
            / (_HIGH * self.num_items)
            for proposal, values in zip(
                proposals, self._both_values(state), strict=True
            )
        )
        values = self._draw_values(seed, state.values.shape[0])
        state = NegotiationState(values, tuple(proposals))
        return state, self._time_step(state, rewards)

    def _draw_values(self, seed: Seed, batch_size: int) -> tf.Tensor:
        noise = uniform(seed, [batch_size, self.num_items])
        values = tf.where(noise < 0.5, _LOW, _HIGH)
        return tf.cast(values, self.dtype)

    def _both_values(self, state: NegotiationState) -> tuple[tf.Tensor, ...]:
        return state.values, _LOW + _HIGH - state.values

    def _time_step(
        self, state: NegotiationState, rewards: tuple[tf.Tensor, ...]
    ) -> TimeStep:
        sides = list(
            zip(self._both_values(state), state.proposals, strict=True)
        )
        items = tf.ones_like(state.values)
        observations = tuple(
            tf.concat([items, *sides[i], *sides[1 - i]], axis=1) / _SCALE
            for i in range(2)
        )
        return TimeStep(observations, rewards, tf.ones_like(rewards[0]))
