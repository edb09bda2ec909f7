"""The players' variables, stacked over independent runs."""

from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dice_tf.learners.learner import Learner
from dice_tf.objectives.objective import Objective
from dice_tf.training.iteration import PlayerRule, PlayerState
from dice_tf.training.shared_seats import critic_seats, policy_seats


class Player(keras.layers.Layer):
    """Holds what training changes of one player, for all runs at once.

    Every variable has a leading axis of `num_seeds` runs.

    Args:
      runs: the state that each run starts from.
      trainable: whether the policy learns.
      name: name of the layer.
      policy_seat: the player that has the parameters of the policy, if this
        one shares them.

    Attributes:
      num_seeds: number of runs.
      params: list of Keras variables `[num_seeds, ...]`, those of the policy;
        empty if the player shares them with an earlier one, which has them.
      critic_params: list of Keras variables `[num_seeds, ...]`, those of the
        critic; empty without one, and if they are shared with an earlier one.
      slow_critic_params: list of Keras variables `[num_seeds, ...]`, those of
        the slow copy of the critic; empty without one, and if it is shared.
    """

    def __init__(
        self,
        runs: Sequence[PlayerState],
        trainable: bool,
        name: str,
        policy_seat: int | None = None,
    ):
        super().__init__(name=name, trainable=trainable)
        if policy_seat is not None:
            # Keras would load the weights of another player, without an
            # error, into a layer that has no variable.
            self.add_weight(
                name="policy_seat",
                dtype="int32",
                initializer=keras.initializers.Constant(policy_seat),
                trainable=False,
                aggregation="only_first_replica",
            )
        self.params = self._stack(
            "parameter", [run.params for run in runs], trainable
        )
        self.critic_params = self._stack(
            "critic", [run.critic_params for run in runs], trainable
        )
        self.slow_critic_params = self._stack(
            "slow_critic",
            [run.slow_critic_params for run in runs],
            trainable=False,
        )
        self.num_seeds = len(runs)
        # Without its values, which are those of one run before any iteration.
        self._memory_structure = tf.nest.map_structure(
            lambda _: None, runs[0].learner_state
        )
        self._memory = self._stack(
            "learner_state",
            [tf.nest.flatten(run.learner_state) for run in runs],
            trainable=False,
        )
        self.built = True

    def _stack(
        self, name: str, runs: Sequence[Sequence[Any]], trainable: bool
    ) -> list[keras.Variable]:
        variables = []
        for index, values in enumerate(zip(*runs, strict=True)):
            stacked = np.stack([np.asarray(value) for value in values])
            variable = self.add_weight(
                name=f"{name}_{index}",
                shape=stacked.shape,
                dtype=stacked.dtype.name,
                initializer="zeros",
                trainable=trainable,
                aggregation="only_first_replica",
            )
            variable.assign(stacked)
            variables.append(variable)
        return variables

    def state(self) -> PlayerState:
        """Returns all values, tensors `[num_seeds, ...]`."""
        return PlayerState(
            _values(self.params),
            _values(self.critic_params),
            tf.nest.pack_sequence_as(
                self._memory_structure, _values(self._memory)
            ),
            _values(self.slow_critic_params),
        )

    @property
    def learner_state(self) -> Any:
        """What the learner remembers, a nest of Keras variables."""
        return tf.nest.pack_sequence_as(self._memory_structure, self._memory)

    def assign_learner_state(self, state: Any) -> None:
        """Stores what the learner remembers, tensors `[num_seeds, ...]`."""
        for variable, value in zip(
            self._memory, tf.nest.flatten(state), strict=True
        ):
            variable.assign(value)

    def move_slow_critic(self, momentum: float) -> None:
        """Moves the slow copy of the critic, if there is one, towards it.

        Args:
          momentum: how much of its own parameters it keeps.
        """
        for slow, variable in zip(
            self.slow_critic_params, self.critic_params, strict=False
        ):
            slow.assign(momentum * slow + (1.0 - momentum) * variable)

    def diverged(self) -> np.ndarray:
        """Returns in which runs a parameter is not finite, bool `[num_seeds]`.

        Parameters are those of the policy and of the critic.
        """
        has_diverged = np.zeros(self.num_seeds, bool)
        for variable in (*self.params, *self.critic_params):
            values = variable.numpy().reshape(self.num_seeds, -1)
            has_diverged |= ~np.all(np.isfinite(values), axis=1)
        return has_diverged


def make_players(
    objective: Objective,
    rules: Sequence[PlayerRule],
    runs: Sequence[Sequence[PlayerState]],
) -> list[Player]:
    """Makes the variables of all players.

    Parameters that several players share are variables of the first of them.

    Args:
      objective: what the players maximise.
      rules: one per player.
      runs: for each run, the state that each player starts from.
    """
    players = []
    for player_id, rule in enumerate(rules):
        seat, states = None, [run[player_id] for run in runs]
        if policy_seats(objective)[player_id] != player_id:
            seat = policy_seats(objective)[player_id]
            states = [state._replace(params=[]) for state in states]
        if critic_seats(objective)[player_id] != player_id:
            states = [
                state._replace(critic_params=[], slow_critic_params=[])
                for state in states
            ]
        is_learning = rule.learner is not None
        name = f"player_{player_id}"
        players.append(Player(states, is_learning, name, seat))
    return players


def check_trainable(
    players: Sequence[Player], learners: Sequence[Learner | None]
) -> None:
    """Raises if `trainable` of a player or the trainer was set.

    Args:
      players: the players' variables.
      learners: one per player, `None` for a frozen one.

    Raises:
      ValueError: if players that learn are frozen, or the other way round.
    """
    for player_id, (player, learner) in enumerate(
        zip(players, learners, strict=True)
    ):
        if player.trainable != (learner is not None):
            raise ValueError(
                f"`trainable` of {player.name} was set to {player.trainable} "
                "after the trainer was made, on it or on the trainer. What "
                "learns is decided when a trainer is made: `None` in the place "
                f"of learners[{player_id}] freezes the player. Set `trainable` "
                f"back to {not player.trainable}, or make a new trainer."
            )


def describe_training(
    objective: Objective,
    players: Sequence[Player],
    learners: Sequence[Learner | None],
    *,
    optimizers: Iterable[keras.optimizers.Optimizer | None],
    seed: int,
    iterations: int,
) -> str:
    """Returns what is trained, and one line per player: who learns what, how.

    Args:
      objective: what the players maximise.
      players: the players' variables.
      learners: one per player, `None` for a frozen one.
      optimizers: what moves each player, or `None`.
      seed: that of the first run.
      iterations: number of iterations made so far.
    """
    num_seeds = players[0].num_seeds
    runs = f"1 run (seed {seed})"
    if num_seeds > 1:
        runs = f"{num_seeds} runs (seeds {seed} to {seed + num_seeds - 1})"
    return (
        f"{type(objective).__name__}, {len(players)} players, {runs}, "
        f"{iterations} iterations so far\n"
        f"{_describe_players(objective, players, learners, optimizers)}"
    )


def _describe_players(
    objective: Objective,
    players: Sequence[Player],
    learners: Sequence[Learner | None],
    optimizers: Iterable[keras.optimizers.Optimizer | None],
) -> str:
    lines = []
    for player, learner, optimizer, seat in zip(
        players, learners, optimizers, policy_seats(objective), strict=True
    ):
        parts = ["frozen" if learner is None else type(learner).__name__]
        if players[seat] is player:
            parts.append(f"{_size_of_run(player.params)} parameters a run")
        else:
            parts.append(f"the parameters of {players[seat].name}")
        if player.critic_params:
            parts.append(f"critic of {_size_of_run(player.critic_params)}")
        if optimizer is not None:
            rate = f"rate {float(np.asarray(optimizer.learning_rate)):g}"
            parts += [type(optimizer).__name__, rate]
        lines.append(f"{player.name}: {', '.join(parts)}")
    return "\n".join(lines)


def _size_of_run(variables: Sequence[keras.Variable]) -> int:
    """Returns the number of entries of stacked variables, of one run."""
    return sum(int(np.prod(variable.shape[1:])) for variable in variables)


def _values(variables: list[keras.Variable]) -> list[tf.Tensor]:
    return [tf.convert_to_tensor(variable) for variable in variables]
