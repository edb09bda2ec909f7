"""Keras models that hold one run of a trainer, and are read back.

A trainer stacks the parameters of all runs. The policies and critics of its
objective hold those of one run, the loaded one. Both sides may change:
training, optimisers and files change the trainer's variables, and users change
the models. A copy of what was last written to a model tells which side it was.
"""

import weakref
from collections.abc import Sequence

import keras
import tensorflow as tf

from dice_tf.learners.learner import Learner
from dice_tf.models.seat_models import check_no_penalties, check_separate
from dice_tf.objectives.objective import Objective
from dice_tf.training.initial_states import CURRENT, GIVEN
from dice_tf.training.players import Player, check_trainable
from dice_tf.training.shared_seats import critic_seats, policy_seats

# Several trainers may share a model. This tells which one wrote to it last.
_WRITERS: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


class LoadedModel:
    """A model that holds the loaded run of stacked variables.

    Args:
      name: how errors name the model.
      model: a policy or critic.
      stacked: Keras variables `[num_seeds, ...]`, one for each trainable
        variable of the model.
      learns: whether the model is trained.
      is_shared: whether weights set on the model are meant for all runs.
      is_shown: whether the loaded run is written to the model.

    Attributes:
      name: as given.
      model: as given.
      variables: the model's trainable variables.
      is_shared: as given.

    Raises:
      ValueError: if the model is trained and has penalties or constraints.
    """

    def __init__(
        self,
        name: str,
        model: keras.Model,
        stacked: Sequence[keras.Variable],
        *,
        learns: bool,
        is_shared: bool,
        is_shown: bool = True,
    ):
        self.variables = list(model.trainable_variables)
        self.is_shared = is_shared
        self._learns = learns
        self._is_shown = is_shown
        self.name = name
        self.model = model
        self._stacked = list(stacked)
        self._written = [
            tf.Variable(tf.convert_to_tensor(variable), trainable=False)
            for variable in self.variables
        ]
        self.check()

    @property
    def is_mine(self) -> bool:
        """Whether this trainer was the last one to write to the model."""
        return _WRITERS.get(self.model) is self._written

    def claim(self) -> None:
        """Remembers that this trainer is the one that writes to the model."""
        if self._is_shown:
            _WRITERS[self.model] = self._written

    def push(self, run: tf.Tensor) -> None:
        """Writes a run to the model.

        Args:
          run: integer scalar.
        """
        if not self._is_shown:
            return
        for variable, stacked, written in zip(
            self.variables, self._stacked, self._written, strict=True
        ):
            value = tf.cast(tf.gather(stacked, run), written.dtype)
            variable.assign(value)
            written.assign(value)

    def pull(self, run: tf.Tensor) -> None:
        """Takes weights that were set on the model since the last push.

        They replace those of one run, or of all runs if `is_shared`. Weights
        that were not set leave the stacked variables as they are, bit by bit.

        Args:
          run: integer scalar, the run.
        """
        for variable, stacked, written in zip(
            self.variables, self._stacked, self._written, strict=True
        ):
            value = tf.convert_to_tensor(variable)
            held = tf.convert_to_tensor(stacked)
            takes = _differ(value, tf.convert_to_tensor(written))
            if not self.is_shared:
                takes &= tf.equal(tf.range(held.shape[0]), run)
                takes = tf.reshape(takes, [-1] + [1] * value.shape.rank)
            stacked.assign(tf.where(takes, tf.cast(value, held.dtype), held))
            written.assign(value)

    def check(self) -> None:
        """Raises if the model has changed, or cannot be trained.

        Raises:
          ValueError: if layers were frozen, unfrozen, added or replaced, or if
            the model has penalties or constraints.
        """
        now = self.model.trainable_variables
        if list(map(id, now)) != list(map(id, self.variables)):
            raise ValueError(
                f"`{self.name}` ({self.model.name!r}) has other trainable "
                "variables than when the trainer was made: "
                f"{[variable.path for variable in now]} instead of "
                f"{[variable.path for variable in self.variables]}. Set "
                "`trainable` and change layers before the trainer is made, or "
                "make a new trainer. With `None` as its learner, a player "
                "stays as it is."
            )
        if self._learns:
            check_no_penalties(self.name, self.model)


class LoadedModels:
    """The policies and critics of an objective, which hold the loaded run.

    Models that learners fit are pulled from, too, and never pushed to.

    Args:
      objective: the objective of the policies and critics, if it has any.
      players: their stacked variables.
      learners: one per player, `None` for a frozen one.
      num_seeds: number of runs.
      start: where the runs start, `CURRENT`, `RANDOM` or `GIVEN`. In the last
        case the parameters of frozen players are given, too.

    Attributes:
      run: int32 variable, the number of the loaded run.

    Raises:
      ValueError: if a model that learns has penalties or constraints, if two
        models share trainable variables, or if layers of a policy were set
        free whose second derivatives are wrong.
    """

    def __init__(
        self,
        objective: Objective,
        players: Sequence[Player],
        learners: Sequence[Learner | None],
        num_seeds: int,
        start: str,
    ):
        self._num_seeds = num_seeds
        self._players = list(players)
        self._learners = list(learners)
        self._starts_from_models = start == CURRENT
        self.run = tf.Variable(0, trainable=False, name="loaded_run")
        policies = [
            LoadedModel(
                f"policies[{player_id}]",
                policy,
                player.params,
                learns=learner is not None,
                is_shared=learner is None and start != GIVEN,
            )
            for player_id, (policy, player, learner) in enumerate(
                # An objective without a game has no policies.
                zip(objective.policies, players, learners, strict=False)
            )
            if policy_seats(objective)[player_id] == player_id
        ]
        critics = [
            LoadedModel(
                f"critics[{player_id}]",
                critic.network,
                players[player_id].critic_params,
                learns=True,
                is_shared=False,
            )
            for player_id, critic in enumerate(objective.critics)
            if critic_seats(objective)[player_id] == player_id
        ]
        trained = [*policies, *critics]
        # Layers that were frozen when the objective was made may now learn.
        for actor in objective.actors:
            actor.check()
        check_separate({loaded.name: loaded.model for loaded in trained})
        self._models = [*trained, *_fitted_models(players, learners, trained)]

    def check(self) -> None:
        """Raises if a model or player has changed, or cannot be trained."""
        check_trainable(self._players, self._learners)
        for loaded in self._models:
            loaded.check()

    def pull(self) -> None:
        """Takes weights that were set on models, in a graph or eagerly.

        It does not matter who set them.
        """
        for loaded in self._models:
            loaded.pull(self.run)

    def push(self) -> None:
        """Writes the loaded run to the models, in a graph or eagerly."""
        for loaded in self._models:
            loaded.push(self.run)

    def pull_if_followed(self, has_begun: bool) -> None:
        """Takes weights that were set on models since the last push.

        A single run takes what other trainers wrote, too, like Keras models
        that share layers, unless it has not begun and its first parameters
        were drawn or given. Several runs belong to one trainer only. What is
        set on models of frozen players always counts.

        Args:
          has_begun: whether an iteration was made.
        """
        follows_others = self._num_seeds == 1 and (
            self._starts_from_models or has_begun
        )
        for loaded in self._models:
            if loaded.is_mine or loaded.is_shared or follows_others:
                loaded.pull(self.run)

    def push_and_claim(self) -> None:
        """Makes the models hold the loaded run, whatever was set on them."""
        self.push()
        for loaded in self._models:
            loaded.claim()


def _fitted_models(
    players: Sequence[Player],
    learners: Sequence[Learner | None],
    trained: Sequence[LoadedModel],
) -> list[LoadedModel]:
    """Returns the models that learners fit, which are read and not written.

    A model that is also a policy or critic of the objective is left out, since
    training itself writes to it.
    """
    written = {
        id(variable) for loaded in trained for variable in loaded.variables
    }
    return [
        LoadedModel(
            fitted.name,
            fitted.model,
            fitted.params,
            learns=True,
            is_shared=True,
            is_shown=False,
        )
        for player, learner in zip(players, learners, strict=True)
        if learner is not None
        for fitted in learner.fitted_models(player.learner_state)
        if written.isdisjoint(map(id, fitted.model.trainable_variables))
    ]


def _differ(value: tf.Tensor, written: tf.Tensor) -> tf.Tensor:
    """Returns whether two tensors differ somewhere; NaN is like NaN."""
    are_nan = tf.math.is_nan(value) & tf.math.is_nan(written)
    return tf.reduce_any(tf.not_equal(value, written) & ~are_nan)
