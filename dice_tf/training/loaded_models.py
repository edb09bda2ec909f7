"""Keras models that hold one run of a trainer, and are read back.

The trainer stacks the parameters of all runs. The policies and critics of its
objective hold those of one run, the loaded one. Either side may be changed:
the trainer's variables by training, by optimisers and by files, the models by
their user. What was last written to a model tells which of them it was.
"""

import weakref
from collections.abc import Sequence

import keras
import tensorflow as tf

from dice_tf.learners.learner import Learner
from dice_tf.models.seat_models import check_no_penalties, check_separate
from dice_tf.objectives.objective import Objective
from dice_tf.training.player import Player

# Several trainers may share a model: which of them wrote to it last.
_WRITERS: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


class LoadedModel:
    """A model that holds the loaded run of stacked variables.

    Args:
      name: how errors name the model.
      model: a policy or critic.
      stacked: Keras variables `[num_seeds, ...]`, one for each trainable
        variable of the model.
      learns: whether the model is trained.
      is_shared: whether what is set on the model is meant for all runs.
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
        """Whether no other trainer has written to the model since."""
        return _WRITERS.get(self.model) is self._written

    def claim(self) -> None:
        """Remembers that this trainer is the one that writes to the model."""
        if self._is_shown:
            _WRITERS[self.model] = self._written

    def write(self, run: tf.Tensor) -> None:
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

    def read(self, run: tf.Tensor) -> None:
        """Takes what was set on the model since it was written into a run.

        Variables that were not set leave the stacked ones as they are, bit by
        bit.

        Args:
          run: integer scalar; all runs are meant if `is_shared`.
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
        """Raises if the model cannot be trained, or is not what it was.

        Raises:
          ValueError: if it has penalties or constraints, or layers were
            frozen, unfrozen, added or replaced.
        """
        now = self.model.trainable_variables
        if list(map(id, now)) != list(map(id, self.variables)):
            raise ValueError(
                f"`{self.name}` ({self.model.name!r}) has other trainable "
                "variables than when the trainer was made: "
                f"{[own.path for own in now]} instead of "
                f"{[own.path for own in self.variables]}. Set `trainable`, "
                "and change layers, before the trainer is made, or make a "
                "new trainer."
            )
        if self._learns:
            check_no_penalties(self.name, self.model)


class LoadedModels:
    """The policies and critics of an objective, which hold the loaded run.

    Models that learners fit are read as well, and never written.

    Args:
      objective: whose policies and critics; it may have none.
      players: their stacked variables.
      learners: one per player, `None` for one that stands still.
      has_given_params: whether the parameters of each run were given to the
        trainer, those of players that stand still, too.

    Attributes:
      run: int32 variable, the number of the loaded run.

    Raises:
      ValueError: if a model that learns has penalties or constraints, two
        models share trainable variables, or a policy's second derivatives are
        wrong in layers that were set free.
    """

    def __init__(
        self,
        objective: Objective,
        players: Sequence[Player],
        learners: Sequence[Learner | None],
        has_given_params: bool,
    ):
        self.run = tf.Variable(0, trainable=False, name="loaded_run")
        policies = [
            LoadedModel(
                f"policies[{player_id}]",
                policy,
                player.params,
                learns=learner is not None,
                is_shared=learner is None and not has_given_params,
            )
            for player_id, (policy, player, learner) in enumerate(
                # Functions have no policies.
                zip(
                    getattr(objective, "policies", ()),
                    players,
                    learners,
                    strict=False,
                )
            )
        ]
        critics = [
            LoadedModel(
                f"critics[{player_id}]",
                critic.model.model,
                players[player_id].critic_params,
                learns=True,
                is_shared=False,
            )
            for player_id, critic in enumerate(
                getattr(objective, "critics", ())
            )
        ]
        trained = [*policies, *critics]
        # Layers that were frozen when the objective was made may learn now.
        for actor in objective.actors:
            actor.check()
        check_separate({loaded.name: loaded.model for loaded in trained})
        self._models = [*trained, *_fitted_models(players, learners, trained)]

    def check(self) -> None:
        """Raises if a model cannot be trained, or is not what it was."""
        for own in self._models:
            own.check()

    def read(self) -> None:
        """Takes what was set on models, whoever did so, in a graph or not."""
        for own in self._models:
            own.read(self.run)

    def write(self) -> None:
        """Writes the loaded run to the models, in a graph or not."""
        for own in self._models:
            own.write(self.run)

    def take(self, follows_others: bool) -> None:
        """Takes what was set on models since they were written.

        Args:
          follows_others: whether that includes what other trainers wrote to
            models that learn. Of a player that stands still it always counts.
        """
        for own in self._models:
            if own.is_mine or own.is_shared or follows_others:
                own.read(self.run)

    def show(self) -> None:
        """Makes the models hold the loaded run, whatever was set on them."""
        self.write()
        for own in self._models:
            own.claim()


def _fitted_models(
    players: Sequence[Player],
    learners: Sequence[Learner | None],
    trained: Sequence[LoadedModel],
) -> list[LoadedModel]:
    """Returns the models that learners fit, to be read and not written.

    What training itself writes to a model is not set by the user: models that
    are policies or critics of the objective, too, are left out.
    """
    written = {id(variable) for own in trained for variable in own.variables}
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
