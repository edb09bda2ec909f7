"""Values from sampled play, whatever the estimator of their derivatives."""

import abc
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from dice_tf.checks import check_number
from dice_tf.estimators.returns import mean_return, until_end
from dice_tf.games.game import Game
from dice_tf.models.seat_models import (
    Weights,
    check_separate,
    weights_to_replicas,
)
from dice_tf.models.shared_models import in_first_seats
from dice_tf.objectives.advantages import Advantages, advantages_of
from dice_tf.objectives.baselines import (
    CRITIC,
    batch_baseline,
    by_episode,
    check_baseline,
)
from dice_tf.objectives.critic_seats import (
    SeatCritic,
    bootstrapped_rewards,
    seat_critics,
)
from dice_tf.objectives.divergences import mean_divergences
from dice_tf.objectives.episode_groups import check_groups, grouped_estimates
from dice_tf.objectives.game_objective import GameObjective, GameState
from dice_tf.objectives.objective import Params, Play, SameObjects
from dice_tf.objectives.visits import visit_means, visit_weights
from dice_tf.play.rollouts import check_play_size, sample_trajectory
from dice_tf.play.trajectories import (
    Trajectory,
    player_action_log_probs,
    player_acts,
    player_entropies,
    player_log_probs,
    step_discounts,
)
from dice_tf.policies.sampling import nan_where
from dice_tf.replicas import mean_over_replicas, to_replicas
from dice_tf.seeds import Seed


class SampledObjective(GameObjective):
    """Plays with the given parameters and estimates the players' values.

    A subclass says by its estimator what the derivatives are. Means over steps
    leave out the steps behind the end of an episode. In entropies and
    divergences, a visit at step t counts `discount^t`, as in `ExactObjective`.

    Args:
      game, policies, discount, batch_size, baseline, critics,
        critic_td_lambda, critic_target_momentum, num_groups: as of
        `DiCEObjective`.

    Raises:
      TypeError: if a policy or critic is not a `keras.Model`.
      ValueError: if they do not fit the game, draw noise of their own or
        share trainable variables, if a policy cannot be differentiated twice,
        or another argument is out of its range.
    """

    batch_size: int
    critics: tuple[SeatCritic, ...] = ()
    tau: float = 1.0

    def __init__(
        self,
        game: Game,
        policies: Sequence[keras.Model],
        discount: float,
        batch_size: int,
        baseline: str | None,
        critics: Sequence[keras.Model] | None,
        *,
        critic_td_lambda: float = 1.0,
        critic_target_momentum: float = 0.0,
        num_groups: int = 1,
    ):
        super().__init__(game, policies, discount)
        self.batch_size = check_play_size(game, batch_size)
        self.baseline = check_baseline(baseline, game, batch_size, critics)
        self.critics = seat_critics(critics, game)
        check_separate(self._trained_models())
        self.critic_td_lambda = check_number(
            "critic_td_lambda", critic_td_lambda, 0.0, 1.0
        )
        self.critic_target_momentum = check_number(
            "critic_target_momentum", critic_target_momentum, 0.0, 1.0
        )
        self.num_groups = check_groups(num_groups, batch_size)

    # Computed, as in `GameObjective`.
    @property
    def has_memory(self) -> bool:  # type: ignore[override]
        critics = any(critic.model.has_memory for critic in self.critics)
        return critics or super().has_memory

    def _trained_models(self) -> dict[str, keras.Model]:
        critics = in_first_seats([critic.network for critic in self.critics])
        named = {f"critics[{seat}]": model for seat, model in critics.items()}
        return {**super()._trained_models(), **named}

    @abc.abstractmethod
    def _estimator(self) -> Callable[..., tf.Tensor]:
        """Returns a function with the signature of `dice_tf.dice_objective`."""

    def initial_state(self) -> GameState:
        critics = tuple(critic.model.weights() for critic in self.critics)
        return super().initial_state()._replace(critics=critics)

    def play(
        self, params: Params, seed: Seed | None, state: Any = None
    ) -> Play:
        state = self._resolve(state)
        weights = self.player_weights(params, state)
        trajectory = self._trajectory(weights, seed)
        weights = weights_to_replicas(weights)
        discounts = self._discounts(trajectory)
        values = [
            mean_return(rewards, discounts) for rewards in trajectory.rewards
        ]
        entropies = visit_means(
            visit_weights(trajectory, self.discount),
            [
                player_entropies(
                    actor, weights[player_id], trajectory, player_id
                )
                for player_id, actor in enumerate(self.actors)
            ],
        )
        means = mean_over_replicas([*values, *entropies])
        values, entropies = means[: self.num_players], means[self.num_players :]
        if trajectory.states is not None:
            # A table of NaNs plays the first action, but its entropy is NaN.
            is_nan = tf.math.is_nan(tf.add_n(entropies))
            values = [nan_where(is_nan, value) for value in values]
        return Play(tuple(values), tuple(entropies), trajectory)

    def critic_losses(
        self, critic_params: Params, play: Play, state: Any = None
    ) -> tuple[tf.Tensor, ...]:
        """Returns each critic's squared error against the returns it saw.

        It is the mean over all steps until the end of each episode. Early and
        late steps count the same: a critic is to know the value of each. The
        target of a step is its lambda-return with `critic_td_lambda`, held
        constant: with 1 the discounted return from that step to the end of
        the episode (Monte Carlo); below 1 a mixture with what the critic
        itself expects of later steps (TD(lambda)). At a step that truncated
        the episode the target is the reward plus what the critic expects to
        follow; at a step that ended it, the reward alone. What critics expect
        is what their slow copies say, if `state` holds such copies.

        Args:
          critic_params: one list of tensors per player, the critics'
            trainable parameters.
          play: what `play` returned.
          state: as of `play`, for the other variables of the critics, and for
            their slow copies.

        Returns:
          One scalar per player, to be minimised.
        """
        if not self.critics:
            return super().critic_losses(critic_params, play, state)
        state = self._resolve(state)
        slow = state.slow_critics or [None] * self.num_players
        losses = [
            critic.loss(
                weights._replace(params=to_replicas(params)),
                # A sampled objective returns one with each play.
                play.trajectory,  # type: ignore[arg-type]
                self.discount,
                self.critic_td_lambda,
                slow_weights,
            )
            for critic, weights, params, slow_weights in zip(
                self.critics, state.critics, critic_params, slow, strict=True
            )
        ]
        return tuple(mean_over_replicas(losses))

    def _values(
        self, params: Params, seed: Seed | None, state: GameState
    ) -> tuple[tf.Tensor, ...]:
        weights = self.player_weights(params, state)
        trajectory = self._trajectory(weights, seed)
        weights = weights_to_replicas(weights)
        trajectory, baselines, _ = self._judge(trajectory, weights, state)
        if self.num_groups == 1:
            values = self._estimates(weights, trajectory, baselines)
        else:
            values = grouped_estimates(
                self._estimates,
                self.num_groups,
                weights,
                trajectory,
                by_episode(
                    baselines, trajectory.rewards, self._discounts(trajectory)
                ),
                self._tapes,
            )
        return tuple(mean_over_replicas(values))

    def _estimates(
        self,
        weights: Sequence[Weights],
        trajectory: Trajectory,
        baselines: Sequence[Any],
    ) -> list[tf.Tensor]:
        """Returns each player's mean objective over the given episodes."""
        log_probs = tf.add_n(
            [
                player_log_probs(
                    actor, weights[player_id], trajectory, player_id
                )
                for player_id, actor in enumerate(self.actors)
            ]
        )
        discounts = self._discounts(trajectory)
        estimator = self._estimator()
        return [
            tf.reduce_mean(
                estimator(
                    log_probs, rewards, discount=discounts, baseline=baseline
                )
            )
            for rewards, baseline in zip(
                trajectory.rewards, baselines, strict=True
            )
        ]

    def _divergences(
        self, params: Params, anchor: Params, seed: Seed | None, state: Any
    ) -> tuple[tf.Tensor, ...]:
        weights = self.player_weights(params, state)
        anchor_weights = self.player_weights(anchor, state)
        trajectory = self._trajectory(weights, seed)
        return mean_divergences(
            self.actors,
            weights_to_replicas(weights),
            weights_to_replicas(anchor_weights),
            trajectory,
            self.discount,
        )

    def _advantages(
        self, params: Params, seed: Seed | None, state: GameState
    ) -> Advantages:
        weights = self.player_weights(params, state)
        trajectory = self._trajectory(weights, seed)
        weights = weights_to_replicas(weights)
        acts = [
            player_acts(actor, weights[player_id], trajectory, player_id)
            for player_id, actor in enumerate(self.actors)
        ]
        _, _, *log_probs = until_end(
            self._discounts(trajectory),
            trajectory.rewards[0],
            *(player.log_probs for player in acts),
        )
        entropies = visit_means(
            visit_weights(trajectory, self.discount),
            [player.entropies for player in acts],
        )
        constants = self._constants(trajectory, weights, state)
        return constants._replace(
            log_probs=tuple(log_probs),
            entropies=tuple(mean_over_replicas(entropies)),
        )

    def _constants(
        self,
        trajectory: Trajectory,
        weights: Sequence[Weights],
        state: GameState,
    ) -> Advantages:
        """Returns the advantages; a bound objective computes them once."""

        def judge() -> Advantages:
            judged = self._judge(trajectory, weights, state)
            constants = advantages_of(
                *judged, discount=self.discount, tau=self.tau
            )
            return constants._replace(trajectory=trajectory)

        return self.once(judge, [trajectory, state], "advantages")

    def _judge(
        self,
        trajectory: Trajectory,
        weights: Sequence[Weights],
        state: GameState,
    ) -> "_Judged":
        """Returns a play with what the baseline and the critics say of it.

        Args:
          trajectory: what was played.
          weights: of the policies that played, one per player.
          state: with the weights of the critics.
        """
        nothing = [None] * self.num_players
        if self.baseline != CRITIC:
            baselines = [
                batch_baseline(
                    self.baseline, self.game, trajectory, self.discount, i
                )
                for i in range(self.num_players)
            ]
            return _Judged(trajectory, baselines, nothing)
        baselines, rewards, action_values = [], [], nothing
        for i, critic in enumerate(self.critics):
            if critic.num_actions is None:
                values = critic(state.critics[i], trajectory)
            else:
                action_values[i] = critic.action_values(
                    state.critics[i], trajectory
                )
                log_probs = player_action_log_probs(
                    self.actors[i], weights[i], trajectory, i
                )
                chances = tf.exp(log_probs)
                values = tf.reduce_sum(chances * action_values[i], axis=-1)
                never = tf.constant(-np.inf, values.dtype)
                action_values[i] = tf.where(
                    chances > 0.0, action_values[i], never
                )
            baselines.append(values)
            rewards.append(
                bootstrapped_rewards(trajectory, values, self.discount, i)
            )
        trajectory = trajectory._replace(rewards=tuple(rewards))
        return _Judged(trajectory, baselines, action_values)

    def _trajectory(
        self, weights: list[Weights], seed: Seed | None
    ) -> Trajectory:
        """Plays; a bound objective plays the same weights and seed once."""
        if seed is None:
            raise ValueError(
                "`seed` must be an int32 tensor of shape [2]: a sampled "
                "objective needs one. Received: None."
            )
        played = [
            self._played_as.get(id(weight), (weight, weight))[1]
            for weight in tf.nest.flatten(list(weights))
        ]
        # As `once` does it, with less between a step and its first draw.
        known = {} if self._results is None else self._results
        place = SameObjects([seed, *played]), "trajectory"
        if place not in known:
            known[place] = sample_trajectory(
                self.game,
                self.actors,
                weights,
                batch_size=self.batch_size,
                seed=seed,
            )
        return known[place]

    def _discounts(self, trajectory: Trajectory) -> Any:
        return step_discounts(trajectory, self.discount)


class _Judged(NamedTuple):
    """A play, and what the baseline and the critics say of it.

    Attributes:
      trajectory: what was played. If there are critics, the reward of a step
        that cut an episode off includes what they expect to follow.
      baselines: of `dice_objective`, one per player.
      action_values: as of `Advantages`, one per player.
    """

    trajectory: Trajectory
    baselines: list[Any]
    action_values: list[tf.Tensor | None]
