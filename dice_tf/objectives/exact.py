"""The exact objective: values in closed form."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from dice_tf.games.finite import FiniteGame
from dice_tf.objectives.game_objective import GameObjective, GameState
from dice_tf.objectives.objective import Params, Play
from dice_tf.play.exact_values import (
    OF_THE_GAME,
    EpisodeLength,
    check_horizon,
    initial_values,
    state_visits,
)
from dice_tf.policies.entropies import divergence, entropy
from dice_tf.seeds import Seed


class ExactObjective(GameObjective):
    """Exact values of the policies in a game of few states.

    `V_i = sum_t discount^t E[r_i,t]`, over the game's episode or an infinite
    horizon, for any number of players. Differentiable in all parameters to
    any order; the seed is ignored. Entropies and divergences are means over
    the states by `dice_tf.play.exact_values.state_visits`: a visit at step t
    counts `discount^t`.

    Args:
      game: a `FiniteGame`, such as every iterated matrix game.
      policies: one `keras.Model` per player, from observations to logits.
      discount: in [0, 1], below 1 with an infinite horizon.
      episode_length: number of steps, or `None` for an infinite horizon.
        Default: that of the game.

    Raises:
      TypeError: if the game is not a `FiniteGame`, or a policy not a
        `keras.Model`.
      ValueError: if the policies do not fit the game, or the discount is
        outside [0, 1], or 1 with an infinite horizon.

    Example:
      >>> objective = dice_tf.objectives.ExactObjective(
      ...     game, policies, discount=0.96, episode_length=None
      ... )
      >>> values = objective(objective.initial_params())
    """

    game: FiniteGame

    def __init__(
        self,
        game: FiniteGame,
        policies: Sequence[keras.Model],
        discount: float = 0.96,
        episode_length: EpisodeLength = OF_THE_GAME,
    ):
        super().__init__(game, policies, discount)
        if not isinstance(game, FiniteGame):
            raise TypeError(
                "`game` must be a dice_tf.games.FiniteGame: exact values "
                "need its tables of states and actions. Received: "
                f"{type(game).__name__}. Use DiCEObjective instead."
            )
        for actor in self.actors:
            actor.check_table()
        horizon = check_horizon(game, self.discount, episode_length)
        self.episode_length = horizon.episode_length
        self.return_scale = horizon.return_scale

    def play(
        self, params: Params, seed: Seed | None, state: Any = None
    ) -> Play:
        tables = self._log_prob_tables(params, self._resolve(state))
        mean = self._mean_over_visits(tables)
        entropies = tuple(mean(entropy(table)) for table in tables)
        return Play(self(params, seed, state), entropies, None)

    def _values(
        self, params: Params, seed: Seed | None, state: GameState
    ) -> tuple[tf.Tensor, ...]:
        return initial_values(
            self.game,
            self._log_prob_tables(params, state),
            self.discount,
            self.episode_length,
        )

    def _divergences(
        self, params: Params, anchor: Params, seed: Seed | None, state: Any
    ) -> tuple[tf.Tensor, ...]:
        tables = self._log_prob_tables(params, state)
        anchor_tables = self._log_prob_tables(anchor, state)
        mean = self._mean_over_visits(tables)
        return tuple(
            mean(divergence(table, anchor_table))
            for table, anchor_table in zip(tables, anchor_tables, strict=True)
        )

    def _mean_over_visits(
        self, tables: Sequence[tf.Tensor]
    ) -> Callable[[tf.Tensor], tf.Tensor]:
        """Returns a function from numbers by state to their mean."""
        visits = tf.stop_gradient(
            state_visits(self.game, tables, self.discount, self.episode_length)
        )
        # A state without visits does not count, also if its number is infinite.
        return lambda x: tf.reduce_sum(
            visits * tf.where(visits == 0.0, tf.zeros_like(x), x)
        )

    def _log_prob_tables(
        self, params: Params, state: GameState
    ) -> list[tf.Tensor]:
        return [
            actor.log_prob_table(weights)
            for actor, weights in zip(
                self.actors, self.player_weights(params, state), strict=True
            )
        ]
