"""All players: their variables, their rules, and how they move at once."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dice_tf.checks import check_choice, check_whole_number
from dice_tf.objectives.objective import Objective
from dice_tf.seeds import graph_of
from dice_tf.training.compilation import is_compilable_step
from dice_tf.training.critic_passes import critic_gradients
from dice_tf.training.player import Player
from dice_tf.training.player_optimizers import PlayerOptimizers
from dice_tf.training.records import step_scalars
from dice_tf.training.steps import (
    Iteration,
    PlayerRule,
    PlayerState,
    StepSeeds,
    step_runs,
)
from dice_tf.training.strategies import Replicas

SIMULTANEOUS = "simultaneous"
ALTERNATING = "alternating"


class Team:
    """The players of an objective, in all runs at once.

    Args:
      objective: what they maximise.
      rules: how each player moves.
      runs: for each run, the state that each player starts from.
      updates: `"simultaneous"` or `"alternating"`.
      replicas: where they move; their variables are made there.

    Attributes:
      players: one `Player` per player.
      optimizers: `PlayerOptimizers` of the policies, set by `use_optimizers`.
      joint_optimizer: what Keras and its callbacks see of them.
      critic_optimizers: those of the critics.
    """

    def __init__(
        self,
        objective: Objective,
        rules: Sequence[PlayerRule],
        runs: Sequence[Sequence[PlayerState]],
        updates: str = SIMULTANEOUS,
        replicas: Replicas | None = None,
    ):
        self._replicas = replicas or Replicas(None, objective)
        self._updates = check_choice(
            "updates", updates, (SIMULTANEOUS, ALTERNATING)
        )
        self._objective = objective
        self._rules = rules
        self._num_seeds = len(runs)
        with self._replicas.scope():
            self.players = [
                Player(
                    [run[player_id] for run in runs],
                    trainable=rule.learner is not None,
                    name=f"player_{player_id}",
                )
                for player_id, rule in enumerate(rules)
            ]

    def compiles(self, jit_compile: bool | str) -> bool:
        """Returns whether XLA compiles the step, see `Trainer.compile`."""
        return is_compilable_step(self._objective, jit_compile)

    @property
    def use_averages(self) -> bool:
        """Whether an optimiser keeps averages of what it moves."""
        return (
            self.optimizers.use_averages or self.critic_optimizers.use_averages
        )

    def use_optimizers(
        self, optimizer: Any, critic_optimizer: Any, critic_passes: int
    ) -> None:
        """Sets the Keras optimisers, see `Trainer.compile`."""
        self._critic_passes = check_whole_number(
            "critic_passes", critic_passes, 1
        )
        self._replicas.check_optimizers("optimizer", optimizer)
        self._replicas.check_optimizers("critic_optimizer", critic_optimizer)
        with self._replicas.scope():
            self.optimizers = PlayerOptimizers(
                "optimizer",
                optimizer,
                [
                    player.params if player.trainable else []
                    for player in self.players
                ],
                self._num_seeds,
            )
            self.joint_optimizer = self.optimizers.joint()
            self.critic_optimizers = PlayerOptimizers(
                "critic_optimizer",
                critic_optimizer,
                [player.critic_params for player in self.players],
                self._num_seeds,
            )
        if self._updates == ALTERNATING:
            self.optimizers.check_separate()

    def move(self, seeds: StepSeeds) -> tuple[tf.Tensor, tf.Tensor]:
        """Moves all players once, in every run.

        Args:
          seeds: of the iteration.

        Returns:
          Reported returns `[num_seeds, num_players]`, and the scalars of
          `metric_names`.
        """
        return self._replicas.run(lambda: self._move(seeds))

    def _move(self, seeds: StepSeeds) -> tuple[tf.Tensor, tf.Tensor]:
        if self._updates == ALTERNATING:
            steps, play = self._move_in_turn(seeds)
        else:
            steps, play = self._step(self._rules, seeds)
            self.optimizers.ascend([step.direction for step in steps])
        self._train_critics(play)
        for player, step in zip(self.players, steps, strict=True):
            player.assign_learner_state(step.learner_state)
        returns = tf.stack([step.reported_return for step in steps], axis=-1)
        return returns, step_scalars(steps)

    def _move_in_turn(self, seeds: StepSeeds) -> Iteration:
        """Moves one player after the other, each on play of its own.

        What is reported is the play before the first of them moves.
        """
        reported, moves = None, []
        num_players = len(self.players)
        for player_id in range(num_players):
            rules = [
                rule if other == player_id else PlayerRule(None)
                for other, rule in enumerate(self._rules)
            ]
            # Where the keys are, so that no bits are drawn by XLA.
            with graph_of(seeds.keys):
                keys = seeds.keys * [1, num_players] + [0, player_id]
            result = self._step(rules, seeds._replace(keys=keys))
            reported = reported or result
            moves.append(result.steps[player_id])
            self.optimizers.ascend(
                [step.direction for step in result.steps], player_id
            )
        steps = [
            before._replace(
                direction=move.direction,
                learner_state=move.learner_state,
                gradient_norm=move.gradient_norm,
                learner_metrics=move.learner_metrics,
            )
            for before, move in zip(reported.steps, moves, strict=True)
        ]
        return Iteration(steps, reported.play)

    def _step(self, rules: Sequence[PlayerRule], seeds: StepSeeds) -> Iteration:
        states = [player.state() for player in self.players]
        return step_runs(self._objective, rules, states, seeds, self._num_seeds)

    def _train_critics(self, play: Any) -> None:
        if not any(player.critic_params for player in self.players):
            return
        for _ in range(self._critic_passes):
            gradients = critic_gradients(
                self._objective,
                [player.state().critic_params for player in self.players],
                play,
                self._num_seeds,
            )
            self.critic_optimizers.descend(gradients)
