"""All players: their variables, their rules, and how they move."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dice_tf.checks import check_whole_number
from dice_tf.objectives.objective import Objective
from dice_tf.training.critic_passes import critic_gradients
from dice_tf.training.player import Player
from dice_tf.training.player_optimizers import PlayerOptimizers
from dice_tf.training.records import step_scalars
from dice_tf.training.steps import PlayerRule, PlayerState, step_runs


class Team:
    """The players of an objective, in all runs at once.

    Args:
      objective: what they maximise.
      rules: how each player moves.
      runs: for each run, the state that each player starts from.
      alternating: whether the players move in turn, not all at once.

    Attributes:
      players: one `Player` per player.
      optimizers: `PlayerOptimizers` of the policies, set by `use_optimizers`.
      critic_optimizers: those of the critics.
    """

    def __init__(
        self,
        objective: Objective,
        rules: Sequence[PlayerRule],
        runs: Sequence[Sequence[PlayerState]],
        alternating: bool = False,
    ):
        self._objective = objective
        self._rules = rules
        self._num_seeds = len(runs)
        seats = list(range(len(rules)))
        self._turns = [[seat] for seat in seats] if alternating else [seats]
        self.players = [
            Player(
                [run[player_id] for run in runs],
                trainable=rule.learner is not None,
                name=f"player_{player_id}",
            )
            for player_id, rule in enumerate(rules)
        ]

    def use_optimizers(
        self, optimizer: Any, critic_optimizer: Any, critic_passes: int
    ) -> None:
        """Sets the Keras optimisers, see `Trainer.compile`."""
        self._critic_passes = check_whole_number(
            "critic_passes", critic_passes, 1
        )
        self.optimizers = PlayerOptimizers(
            "optimizer",
            optimizer if len(self._turns) == 1 else self._apart(optimizer),
            [
                player.params if player.trainable else []
                for player in self.players
            ],
            self._num_seeds,
        )
        self.critic_optimizers = PlayerOptimizers(
            "critic_optimizer",
            critic_optimizer,
            [player.critic_params for player in self.players],
            self._num_seeds,
        )

    def turn_keys(self, keys: tf.Tensor) -> list[tf.Tensor]:
        """Returns for each turn of an iteration the keys to `move` with.

        Args:
          keys: int32 `[num_seeds, 2]`, for each run its seed and the number
            of the iteration, which is below 2**26.
        """
        # Not split from them: learners split what they get, too.
        return [
            keys + tf.constant([0, turn << 26])
            for turn in range(len(self._turns))
        ]

    def move(self, turn_keys: list[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """Moves all players once, in every run.

        What is reported, and what critics learn from, is the play before the
        first turn.

        Args:
          turn_keys: what `turn_keys` returned.

        Returns:
          Reported returns `[num_seeds, num_players]`, and the scalars of
          `metric_names`.
        """
        moved = {}
        for seats, keys in zip(self._turns, turn_keys, strict=True):
            steps, play = step_runs(
                self._objective,
                [
                    rule if seat in seats else rule._replace(learner=None)
                    for seat, rule in enumerate(self._rules)
                ],
                [player.state() for player in self.players],
                keys,
            )
            if not moved:
                reported, reported_play = steps, play
            for seat in seats:
                moved[seat] = steps[seat]
                self.players[seat].assign_learner_state(
                    steps[seat].learner_state
                )
            self.optimizers.ascend([step.direction for step in steps], seats)
        self._train_critics(reported_play)
        steps = [
            step._replace(gradient_norm=moved[seat].gradient_norm)
            for seat, step in enumerate(reported)
        ]
        returns = tf.stack([step.reported_return for step in steps], axis=-1)
        return returns, step_scalars(steps)

    def _apart(self, optimizer: Any) -> Any:
        """Returns one optimiser per player, copies if one is given for all.

        One that is shared counts its steps, and would count each turn.
        """
        if isinstance(optimizer, (list, tuple)):
            return optimizer
        return [
            as_optimizer("optimizer", optimizer, self._num_seeds, copy=True)
            if player.trainable
            else None
            for player in self.players
        ]

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

    def write_run(self, run: tf.Tensor) -> None:
        """Writes one run's parameters to the objective's policies."""
        policies = getattr(self._objective, "policies", ())
        for player, policy in zip(self.players, policies, strict=False):
            player.write_run(run, policy)
