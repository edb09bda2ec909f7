"""The sampled objective of LOLA-DiCE."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from dice_tf.checks import (
    check_choice,
    check_per_player,
    check_whole_number,
)
from dice_tf.dice import LEAVE_ONE_OUT, dice_objective
from dice_tf.games.game import Game
from dice_tf.lookup import lookup
from dice_tf.models import SeatModel, Weights
from dice_tf.objectives.objective import (
    GameObjective,
    GameState,
    Params,
    Play,
)
from dice_tf.returns import discount_weights, returns_to_go
from dice_tf.rollout import sample_trajectory
from dice_tf.trajectory import (
    Trajectory,
    player_entropies,
    player_log_probs,
)

CRITIC = "critic"


class DiCEObjective(GameObjective):
    """Values from sampled play, with unbiased derivatives of every order.

    Each call plays `batch_size` episodes with the given parameters, and
    returns for each player the batch mean of `dice_tf.dice_objective` over
    the joint log-probabilities. The play is held constant; gradients flow
    through the log-probabilities into all players' parameters.

    Args:
      game: the game.
      policies: one `keras.Model` per player, from observations to the inputs
        of its head (logits).
      discount: in [0, 1].
      batch_size: B, the number of episodes of each call.
      baseline: `None`; `"leave_one_out"`, to centre rewards per time step by
        the mean of the other episodes; or `"critic"`, state values of the
        critics, valid at every order.
      critics: one `keras.Model` per player from observations to one output,
        needed by the baseline `"critic"`.

    Raises:
      TypeError: if a policy or critic is no `keras.Model`.
      ValueError: if they do not fit the game, or another argument is out of
        its range.

    References:
      Foerster et al. 2018 (DiCE); the sampled objective of LOLA-DiCE is in
      its section 5.
    """

    def __init__(
        self,
        game: Game,
        policies: Sequence[keras.Model],
        discount: float = 0.96,
        batch_size: int = 64,
        baseline: str | None = LEAVE_ONE_OUT,
        critics: Sequence[keras.Model] | None = None,
    ):
        super().__init__(game, policies, discount)
        self.batch_size = check_whole_number("batch_size", batch_size, 1)
        self.baseline = check_choice(
            "baseline", baseline, (None, LEAVE_ONE_OUT, CRITIC)
        )
        if baseline == LEAVE_ONE_OUT and batch_size == 1:
            raise ValueError(
                "The baseline 'leave_one_out' needs `batch_size` of at least "
                "2. Received: batch_size=1."
            )
        if (critics is not None) != (baseline == CRITIC):
            raise ValueError(
                "`critics` and baseline='critic' belong together. Received: "
                f"baseline={baseline!r} and "
                f"{'no' if critics is None else 'some'} critics."
            )
        self.critics = ()
        if critics is not None:
            self.critics = tuple(
                self._as_critic(critic, player_id)
                for player_id, critic in enumerate(
                    check_per_player("critics", critics, self.num_players)
                )
            )

    def _as_critic(self, critic: keras.Model, player_id: int) -> SeatModel:
        model = SeatModel(
            f"critics[{player_id}]",
            critic,
            self.game.observation_shapes[player_id],
            self.game.dtype,
        )
        if model.num_outputs != 1:
            raise ValueError(
                f"`critics[{player_id}]` must have 1 output, the value. "
                f"Received {model.num_outputs}."
            )
        return model

    def initial_state(self) -> GameState:
        critics = tuple(critic.weights() for critic in self.critics)
        return super().initial_state()._replace(critics=critics)

    def play(self, params: Params, seed: Any, state: Any = None) -> Play:
        state = self._resolve(state)
        weights = self.player_weights(params, state)
        trajectory = self._sample(weights, seed)
        values = tuple(
            tf.reduce_mean(
                tf.reduce_sum(
                    discount_weights(self._discounts(trajectory), rewards)
                    * rewards,
                    axis=0,
                )
            )
            for rewards in trajectory.rewards
        )
        entropies = tuple(
            tf.reduce_mean(
                player_entropies(
                    actor, weights[player_id], trajectory, player_id
                )
            )
            for player_id, actor in enumerate(self.actors)
        )
        return Play(values, entropies, trajectory)

    def critic_losses(
        self, critic_params: Params, play: Play, state: Any = None
    ) -> tuple[tf.Tensor, ...]:
        """Returns each critic's squared error against the returns it saw.

        The target of a step is the discounted return from it on, to the end
        of the episode, held constant.

        Args:
          critic_params: one list of tensors per player, the critics'
            trainable parameters.
          play: what `play` returned.
          state: as of `play`; its critics' other variables are used.

        Returns:
          One scalar per player, to be minimised.
        """
        if not self.critics:
            return super().critic_losses(critic_params, play, state)
        state = self._resolve(state)
        trajectory = play.trajectory
        losses = []
        for player_id, params in enumerate(critic_params):
            own = state.critics[player_id]._replace(params=list(params))
            targets = returns_to_go(
                trajectory.rewards[player_id], self._discounts(trajectory)
            )
            errors = self._critic_values(own, trajectory, player_id) - targets
            losses.append(tf.reduce_mean(tf.square(errors)))
        return tuple(losses)

    def _values(
        self, params: Params, seed: Any, state: GameState
    ) -> tuple[tf.Tensor, ...]:
        weights = self.player_weights(params, state)
        trajectory = self._sample(weights, seed)
        log_probs = tf.add_n(
            [
                player_log_probs(
                    actor, weights[player_id], trajectory, player_id
                )
                for player_id, actor in enumerate(self.actors)
            ]
        )
        return tuple(
            tf.reduce_mean(
                dice_objective(
                    log_probs,
                    trajectory.rewards[player_id],
                    discount=self._discounts(trajectory),
                    baseline=self._baseline(trajectory, state, player_id),
                )
            )
            for player_id in range(self.num_players)
        )

    def _sample(self, weights: list[Weights], seed: Any) -> Trajectory:
        if seed is None:
            raise ValueError(
                "`seed` must be an int32 tensor of shape [2]: a sampled "
                "objective needs one. Received: None."
            )
        return sample_trajectory(
            self.game, self.actors, weights, self.batch_size, seed
        )

    def _discounts(self, trajectory: Trajectory) -> Any:
        """Returns one discount where no episode ends early, else `[T, B]`."""
        if trajectory.states is not None:
            return self.discount
        return self.discount * trajectory.discounts

    def _baseline(
        self, trajectory: Trajectory, state: GameState, player_id: int
    ) -> Any:
        if self.baseline != CRITIC:
            return self.baseline
        return self._critic_values(
            state.critics[player_id], trajectory, player_id
        )

    def _critic_values(
        self, weights: Weights, trajectory: Trajectory, player_id: int
    ) -> tf.Tensor:
        critic = self.critics[player_id]
        if trajectory.states is None:
            values = critic(weights, trajectory.observations[player_id])
            return tf.squeeze(values, axis=-1)
        table = critic(
            weights,
            tf.constant(self.game.observations[player_id], self.game.dtype),
        )
        return lookup(tf.squeeze(table, axis=-1), trajectory.states)
