"""How an iteration changes the players: at once, or one after the other."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from dice_tf.checks import check_choice, check_whole_number
from dice_tf.games.finite import FiniteGame
from dice_tf.objectives.objective import Objective, Play
from dice_tf.training.distribution import Distribution
from dice_tf.training.iteration import (
    Iteration,
    IterationSeeds,
    PlayerRule,
    PlayerState,
    critic_gradients,
    iterate_runs,
)
from dice_tf.training.player_optimizers import PlayerOptimizers
from dice_tf.training.players import Player
from dice_tf.training.records import iteration_scalars
from dice_tf.training.shared_seats import (
    check_choices,
    check_in_turn,
    critic_seats,
    policy_seats,
    summed_over_seats,
)

SIMULTANEOUS = "simultaneous"
ALTERNATING = "alternating"


class PlayerUpdates:
    """Computes iterations, and applies them to the players' variables.

    Args:
      objective: what the players maximise.
      rules: how each player learns.
      players: the players' variables.
      order: `"simultaneous"` or `"alternating"`.
      distribution: where the variables are.

    Attributes:
      optimizers: `PlayerOptimizers` of the policies, set by `use_optimizers`.
      joint_optimizer: what Keras and its callbacks see of them.
      critic_optimizers: `PlayerOptimizers` of the critics.

    Raises:
      ValueError: if `order` is neither of the two, or players that move in turn
        share parameters.
    """

    optimizers: PlayerOptimizers
    joint_optimizer: keras.optimizers.Optimizer
    critic_optimizers: PlayerOptimizers

    def __init__(
        self,
        objective: Objective,
        rules: Sequence[PlayerRule],
        players: Sequence[Player],
        order: str,
        distribution: Distribution,
    ):
        self._order = check_choice(
            "updates", order, (SIMULTANEOUS, ALTERNATING)
        )
        self._objective = objective
        self._rules = rules
        self._players = players
        self._distribution = distribution
        self._seats = policy_seats(objective)
        self._critic_seats = critic_seats(objective)
        if order == ALTERNATING:
            check_in_turn(self._seats)

    @property
    def use_averages(self) -> bool:
        """Whether an optimiser keeps averages of what it moves."""
        return (
            self.optimizers.use_averages or self.critic_optimizers.use_averages
        )

    @property
    def converts_loops(self) -> bool:
        """Whether several runs are vectorised, with loops over their steps.

        Players without memory in a `FiniteGame` take none that matter.
        """
        game = self._objective.game
        acts_by_step = game is not None and not isinstance(game, FiniteGame)
        has_loops = acts_by_step or self._objective.has_memory
        return has_loops and self._players[0].num_seeds > 1

    def optimizer_of(self, player_id: int) -> keras.optimizers.Optimizer | None:
        """Returns what moves a player's policy, `None` for a frozen one."""
        return self.optimizers.of(self._seats[player_id])

    def use_optimizers(
        self, optimizer: Any, critic_optimizer: Any, critic_passes: int
    ) -> None:
        """Sets the Keras optimisers, see `Trainer.compile`."""
        self._critic_passes = check_whole_number(
            "critic_passes", critic_passes, 1
        )
        self._distribution.check_optimizers("optimizer", optimizer)
        self._distribution.check_optimizers(
            "critic_optimizer", critic_optimizer
        )
        check_choices("optimizer", optimizer, self._seats)
        check_choices("critic_optimizer", critic_optimizer, self._critic_seats)
        num_runs = self._players[0].num_seeds
        with self._distribution.scope():
            self.optimizers = PlayerOptimizers(
                "optimizer",
                optimizer,
                [
                    player.params if player.trainable else []
                    for player in self._players
                ],
                num_runs,
            )
            self.joint_optimizer = self.optimizers.joint()
            self.critic_optimizers = PlayerOptimizers(
                "critic_optimizer",
                critic_optimizer,
                [player.critic_params for player in self._players],
                num_runs,
            )
        if self._order == ALTERNATING:
            self.optimizers.check_separate()

    def update_players(
        self, seeds: IterationSeeds
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Makes one iteration of all runs.

        Args:
          seeds: those of the iteration.

        Returns:
          Reported returns `[num_runs, num_players]`, and the scalars that
          `records.metric_names` names.
        """
        if self._order == ALTERNATING:
            iteration = self._update_in_turn(seeds)
        else:
            iteration = iterate_runs(
                self._objective, self._rules, self._states(), seeds
            )
            self.optimizers.ascend(
                [result.direction for result in iteration.results]
            )
        self._train_critics(iteration.play, seeds.num_runs)
        for player, result in zip(
            self._players, iteration.results, strict=True
        ):
            player.assign_learner_state(result.learner_state)
        returns = tf.stack(
            [result.reported_return for result in iteration.results], axis=-1
        )
        return returns, iteration_scalars(iteration.results)

    def _update_in_turn(self, seeds: IterationSeeds) -> Iteration:
        """Updates one player after the other, each on a new play.

        Each turn moves one policy, as an iteration would in which all other
        players are frozen. Critics and memories of learners change once, after
        the last turn. The play of the first turn comes before all updates: its
        returns are reported, and critics learn from it.
        """
        turns = []
        num_players = len(self._players)
        for player_id in range(num_players):
            rules = [PlayerRule(None)] * num_players
            rules[player_id] = self._rules[player_id]
            turn = iterate_runs(
                self._objective,
                rules,
                self._states(),
                seeds.of_turn(player_id),
            )
            self.optimizers.ascend(
                [result.direction for result in turn.results], player_id
            )
            turns.append(turn)
        results = [
            turn.results[player_id]._replace(
                reported_return=turns[0].results[player_id].reported_return,
                entropy=turns[0].results[player_id].entropy,
            )
            for player_id, turn in enumerate(turns)
        ]
        return Iteration(results, turns[0].play)

    def _train_critics(self, play: Play | tuple[()], num_runs: int) -> None:
        has_critics = any(player.critic_params for player in self._players)
        if not has_critics or not isinstance(play, Play):
            return
        for _ in range(self._critic_passes):
            states = self._states()
            gradients = critic_gradients(
                self._objective,
                [state.critic_params for state in states],
                [state.slow_critic_params for state in states],
                play,
                num_runs,
            )
            self.critic_optimizers.descend(
                summed_over_seats(gradients, self._critic_seats)
            )
            for player in self._players:
                player.move_slow_critic(self._objective.critic_target_momentum)

    def _states(self) -> list[PlayerState]:
        """Returns each player's state, with the parameters that it shares."""
        states = [player.state() for player in self._players]
        return [
            state._replace(
                params=states[seat].params,
                critic_params=states[critic_seat].critic_params,
                slow_critic_params=states[critic_seat].slow_critic_params,
            )
            for state, seat, critic_seat in zip(
                states, self._seats, self._critic_seats, strict=True
            )
        ]
