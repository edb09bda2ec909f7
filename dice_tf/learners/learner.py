"""What a learner is: an update rule applied to an objective."""

import abc
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from dice_tf.checks import check_per_player, check_player_id
from dice_tf.objectives.objective import Objective, Params


class LearnerStep(NamedTuple):
    """The result of one step of a learner.

    Attributes:
      direction: list of tensors like `params[player_id]`, to be ascended.
      state: nest of tensors, what the learner remembers.
    """

    direction: list[tf.Tensor]
    state: Any


class FittedModel(NamedTuple):
    """A model that a learner starts from and fits, and what it has made of it.

    Attributes:
      name: how errors name the model.
      model: the model, which is not changed itself.
      params: list of tensors or variables, like its trainable variables: a
        part of what the learner remembers.
    """

    name: str
    model: keras.Model
    params: list[Any]


class Learner(abc.ABC):
    """An update rule for one player of N, as a function of tensors.

    A learner moves its own player only, as if all players moved at once from
    the parameters that it is given. It knows nothing of sampling: a sampled
    objective is evaluated with seeds split from the one it gets.

    Attributes:
      metric_names: names of the scalars that `metrics` returns.
    """

    metric_names: tuple[str, ...] = ()

    def init(self, params: Params) -> Any:
        """Returns the state to start from; `()` if there is none."""
        del params
        return ()

    @abc.abstractmethod
    def step(
        self,
        objective: Objective,
        params: Params,
        player_id: int,
        seed: Any,
        state: Any,
    ) -> LearnerStep:
        """Computes the direction in which a player moves.

        Args:
          objective: what all players maximise.
          params: one list of tensors per player.
          player_id: the player that learns.
          seed: int32 `[2]`, opaque: only split.
          state: what `init` or the last step returned.

        Returns:
          A `LearnerStep`.
        """

    def metrics(self, state: Any) -> tuple[tf.Tensor, ...]:
        """Returns what the last step measured, to be logged.

        Args:
          state: what that step returned.

        Returns:
          One scalar for each of `metric_names`.
        """
        del state
        return ()

    def fitted_models(self, state: Any) -> list[FittedModel]:
        """Returns the models that the learner fits, if there are any.

        A trainer puts weights that are set on such a model in the place of
        its parameters.

        Args:
          state: what the learner remembers, of tensors or variables.
        """
        del state
        return []

    def hoisted(self, states: Any) -> "Learner":
        """Returns the learner for one step, with what all runs share computed.

        A trainer asks for it before it vectorises a step over runs. What has
        a branch, such as some schedules of rates, belongs here.

        Args:
          states: what the runs remember, with a leading axis of runs.
        """
        del states
        return self

    def gradient(
        self,
        objective: Objective,
        params: Params,
        player_id: int,
        seed: Any = None,
    ) -> list[tf.Tensor]:
        """Returns the direction of one `step` from `init`.

        Args:
          objective: what all players maximise.
          params: one list of tensors per player.
          player_id: the player that learns.
          seed: int32 `[2]`; may be `None` for an objective that is not
            sampled.

        Returns:
          Tensors like `params[player_id]`, the direction of ascent.
        """
        params = as_params(params, objective.num_players)
        player_id = check_player_id(player_id, objective.num_players)
        state = self.init(params)
        return self.step(objective, params, player_id, seed, state).direction


def as_params(params: Params, num_players: int) -> list[list[tf.Tensor]]:
    """Returns parameters as lists of tensors, one list per player.

    Variables are read once, so that what follows sees one snapshot.

    Raises:
      TypeError: if `params` is not a list of lists.
      ValueError: if there is not one list per player.
    """
    if not isinstance(params, (list, tuple)) or not all(
        isinstance(own, (list, tuple)) for own in params
    ):
        raise TypeError(
            "`params` must be one list of tensors per player. Received: "
            f"{params!r}."
        )
    if len(params) != num_players:
        raise ValueError(
            f"`params` must hold one list of tensors for each of "
            f"{num_players} players. Received {len(params)}."
        )
    return [[tf.convert_to_tensor(param) for param in own] for own in params]


def own_gradients(
    objective: Objective,
    params: Params,
    seed: Any,
    players: Sequence[int],
) -> dict[int, list[tf.Tensor]]:
    """Returns the gradients of players' values in their own parameters.

    Args:
      objective: what all players maximise.
      params: one list of tensors per player.
      seed: int32 `[2]`.
      players: whose gradients.

    Returns:
      For each of the players, tensors like its parameters, differentiable in
      all players' parameters by an outer tape.
    """
    with tf.GradientTape(
        persistent=True, watch_accessed_variables=False
    ) as tape:
        for player_id in players:
            tape.watch(params[player_id])
        values = objective(params, seed)
    return {
        player_id: gradient_of(tape, values[player_id], params[player_id])
        for player_id in players
    }


def gradient_of(
    tape: tf.GradientTape, value: tf.Tensor, params: list[tf.Tensor]
) -> list[tf.Tensor]:
    """Returns dense gradients, zeros where the value does not depend."""
    if not params:
        return []
    gradients = tape.gradient(
        value, params, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    # Embedding layers give IndexedSlices, which tensors cannot be added to.
    return [tf.convert_to_tensor(gradient) for gradient in gradients]


def check_learners(
    learners: Sequence[Learner | None], num_players: int
) -> tuple[Learner | None, ...]:
    """Returns the learners, one per player, or raises."""
    learners = check_per_player("learners", learners, num_players)
    for learner in learners:
        if learner is not None and not isinstance(learner, Learner):
            raise TypeError(
                "`learners` must hold dice_tf.learners.Learner objects, or "
                f"None for a frozen player. Received: {learner!r}."
            )
    return learners
