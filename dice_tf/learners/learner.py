"""What a learner is: an update rule applied to an objective."""

import abc
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from dice_tf.checks import (
    Kind,
    as_tensors,
    check_kind,
    check_per_player,
    check_player_id,
    described,
)
from dice_tf.objectives.objective import Objective, Params, check_objective
from dice_tf.seeds import Seed


class Situation(NamedTuple):
    """All that the direction of a learner without memory depends on.

    Attributes:
      objective: what all players maximise.
      params: one list of tensors per player.
      player_id: the player that learns.
      seed: a `Seed`, see `Learner.step`.
    """

    objective: Objective
    params: Params
    player_id: int
    seed: Seed | None


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
    the parameters that it is given. It knows nothing of sampling: it passes
    its seed on to the objective, and splits the seed if it evaluates the
    objective more than once, see `evaluation_seeds`.

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
        seed: Seed | None,
        state: Any,
    ) -> LearnerStep:
        """Computes the direction in which a player moves.

        Args:
          objective: what all players maximise.
          params: one list of tensors per player.
          player_id: the player that learns.
          seed: a `dice_tf.seeds.Seed`, and not always a tensor: int32 `[2]`
            in a call of yours, but in a `Trainer` an object, whose random
            bits are drawn outside of the compiled step. Pass it on to the
            objective, split it by `dice_tf.seeds.split_seed(seed, num)` for
            further evaluations, or draw by `dice_tf.seeds.uniform(seed, shape,
            dtype)`; nothing else can be done with it. `None` in a call for an
            objective that is not sampled.
          state: what `init` or the last step returned.

        Returns:
          A `LearnerStep`, or such a tuple: tensors of the shapes and dtypes of
          `params[player_id]`, and a state of the structure, shapes and dtypes
          of `state`. Who asks for the step checks that, see `checked_step`.
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

        If weights are set on such a model, a trainer puts them in the place
        of its parameters.

        Args:
          state: what the learner remembers, of tensors or variables.
        """
        del state
        return []

    def hoisted(self, states: Any) -> "Learner":
        """Returns the learner for one step, with what all runs share computed.

        A trainer asks for it before it vectorises a step over runs.
        Computations with a branch, such as some schedules of rates, belong
        here: they cannot be vectorised.

        Args:
          states: what the runs remember, with a leading axis of runs.
        """
        del states
        return self

    def with_entropy(self, coefficient: float) -> "Learner | None":
        """Returns the learner with an entropy bonus in its direction, if any.

        A trainer adds to each direction `coefficient` times the gradient of the
        entropy of the player's policy, see `Play`. A learner that passes back
        through the policy on the same play can take both in one pass. The
        trainer then asks the learner that this method returns for its steps.

        Args:
          coefficient: weight of the entropy.

        Returns:
          A learner with the same memory, or `None`, as by default, if the
          trainer is to add the bonus itself.
        """
        del coefficient
        return None

    def gradient(
        self,
        objective: Objective,
        params: Params,
        player_id: int,
        seed: Seed | None = None,
    ) -> list[tf.Tensor]:
        """Returns the direction of one `step` from `init`.

        Args:
          objective: what all players maximise.
          params: one list of tensors per player.
          player_id: the player that learns.
          seed: a `dice_tf.seeds.Seed`, such as int32 `[2]`; may be `None` for
            an objective that is not sampled.

        Returns:
          Tensors like `params[player_id]`, the direction of ascent.

        Raises:
          TypeError: if `params` is not a list of lists.
          ValueError: if there is not one list per player, or the player is
            not one of them.
          TypeError, ValueError: as of `checked_step`.
        """
        params = check_step(objective, params, player_id)
        state = self.init(params)
        arguments = objective, params, player_id, seed, state
        return checked_step(self, *arguments).direction


class StatelessLearner(Learner):
    """A learner that remembers nothing. A player without parameters stays."""

    def step(
        self,
        objective: Objective,
        params: Params,
        player_id: int,
        seed: Seed | None,
        state: Any,
    ) -> LearnerStep:
        params = check_step(objective, params, player_id)
        if not params[player_id]:
            return LearnerStep([], state)
        situation = Situation(objective, params, player_id, seed)
        return LearnerStep(self.direction(situation), state)

    @abc.abstractmethod
    def direction(self, situation: Situation) -> list[tf.Tensor]:
        """Returns the direction of a player that has parameters."""


def checked_step(
    learner: Learner,
    objective: Objective,
    params: Params,
    player_id: int,
    seed: Seed | None,
    state: Any,
) -> LearnerStep:
    """Returns a step of a learner, or raises if it is not what it should be.

    All that is checked is known while a graph is built: a compiled step checks
    nothing.

    Args:
      learner: the learner.
      objective: what all players maximise.
      params: one list of tensors per player.
      player_id: the player that learns.
      seed: as of `Learner.step`.
      state: what `init` or the last step returned.

    Raises:
      TypeError, ValueError: if the learner does not return a direction and a
        state; if the direction is not one tensor for each of the player's
        parameters, of its shape and dtype; if the structure, a shape or a dtype
        of the state changes.
    """
    result = learner.step(objective, params, player_id, seed, state)
    what = f"`{type(learner).__name__}.step` of player {player_id}"
    if not isinstance(result, tuple) or len(result) != 2:
        raise TypeError(
            f"{what} must return a dice_tf.learners.LearnerStep: a direction "
            f"and a state. Received: {described(result)}."
        )
    step = LearnerStep(*result)
    _check_direction(what, step.direction, params[player_id])
    _check_state(what, state, step.state)
    return step


def _check_direction(what: str, direction: Any, params: list[Any]) -> None:
    count = len(params)
    if not isinstance(direction, (list, tuple)) or len(direction) != count:
        raise ValueError(
            f"{what} must return as its direction a list of one tensor for "
            f"each of {count} parameters, of shapes "
            f"{[tuple(parameter.shape) for parameter in params]}. Received: "
            f"{described(direction)}."
        )
    for index, (part, parameter) in enumerate(
        zip(direction, params, strict=True)
    ):
        name = f"{what}: `direction[{index}]`"
        if part is None:
            raise ValueError(
                f"{name} must be a tensor. Received: None, which a tape "
                "returns if the value does not depend on the parameter. Give "
                "it unconnected_gradients='zero', and watch the parameters."
            )
        _check_like(name, part, parameter, "the parameter")


def _check_state(what: str, before: Any, after: Any) -> None:
    try:
        # A trainer puts the state into lists and tuples of its own.
        tf.nest.assert_same_structure(before, after, check_types=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{what} must return a state of the structure that `init` and the "
            f"last step gave: {described(before)}. Received: "
            f"{described(after)}."
        ) from error
    for index, (old, new) in enumerate(
        zip(tf.nest.flatten(before), tf.nest.flatten(after), strict=True)
    ):
        if tf.is_tensor(old) and old is not new:
            name = f"{what}: tensor {index} of the state"
            _check_like(name, new, old, "it before the step")


def _check_like(name: str, value: Any, like: tf.Tensor, of_what: str) -> None:
    """Raises if a value has not the shape and dtype of a tensor."""
    if isinstance(value, tf.IndexedSlices):
        # The gradient of an embedding.
        value = tf.convert_to_tensor(value)
    expected = (
        f"{name} must have the shape and the dtype of {of_what}, "
        f"{described(like)}. Received: {described(value)}."
    )
    # Numbers of Python take the dtype that they meet.
    is_array = tf.is_tensor(value) or isinstance(value, np.ndarray)
    if is_array and tf.as_dtype(value.dtype) != like.dtype:
        raise ValueError(expected)
    try:
        shape = tf.TensorShape(np.shape(value) if not is_array else value.shape)
    except (TypeError, ValueError) as error:
        raise TypeError(expected) from error
    if not shape.is_compatible_with(like.shape):
        raise ValueError(expected)


def check_learner(learner: Any) -> Learner:
    """Returns the learner, or raises if it is not a `Learner`."""
    if not isinstance(learner, Learner):
        raise TypeError(
            "`learner` must be a dice_tf.learners.Learner. Received: "
            f"{learner!r}."
        )
    return learner


def check_step(
    objective: Objective, params: Params, player_id: int
) -> list[list[tf.Tensor]]:
    """Returns `as_params` of a learner's arguments, or raises.

    Raises:
      TypeError: if the objective is not an `Objective`, `params` not a list of
        lists, or the player not a whole number.
      ValueError: if there is not one list per player, or the player is not one
        of them.
    """
    num_players = check_objective(objective).num_players
    check_player_id(player_id, num_players)
    return as_params(params, num_players)


def check_state(state: Any, kind: type[Kind], name: str = "state") -> Kind:
    """Returns what a learner remembers, or raises if it is of another type."""
    return check_kind(name, state, kind, "what `init` or a step returned")


def as_params(
    params: Params, num_players: int | None = None
) -> list[list[tf.Tensor]]:
    """Returns parameters as lists of tensors, one list per player.

    Variables are read once, so that all later reads see one snapshot.

    Args:
      params: one list of tensors per player.
      num_players: number of players; `None` for any.

    Raises:
      TypeError: if `params` is not a list of lists.
      ValueError: if there is not one list per player, or no list, or an entry
        is not a tensor.
    """
    if not isinstance(params, (list, tuple)) or not all(
        isinstance(player_params, (list, tuple)) for player_params in params
    ):
        raise TypeError(
            "`params` must be one list of tensors per player. Received: "
            f"{params!r}."
        )
    if not params:
        raise ValueError("`params` must not be empty.")
    if num_players is not None and len(params) != num_players:
        raise ValueError(
            f"`params` must hold one list of tensors for each of "
            f"{num_players} players. Received {len(params)}."
        )
    return [
        as_tensors(f"params[{player_id}]", player_params)
        for player_id, player_params in enumerate(params)
    ]


def own_gradients(
    objective: Objective,
    params: Params,
    player_ids: Sequence[int],
    seed: Seed | None,
) -> dict[int, list[tf.Tensor]]:
    """Returns the gradients of players' values in their own parameters.

    Args:
      objective: what all players maximise.
      params: one list of tensors per player.
      player_ids: the players whose gradients are computed.
      seed: int32 `[2]`.

    Returns:
      For each of the players, tensors like its parameters, differentiable in
      all players' parameters by an outer tape.
    """
    with tf.GradientTape(
        persistent=True, watch_accessed_variables=False
    ) as tape:
        for player_id in player_ids:
            tape.watch(params[player_id])
        values = objective(params, seed)
    return {
        player_id: gradient_of(tape, values[player_id], params[player_id])
        for player_id in player_ids
    }


def gradient_of(
    tape: tf.GradientTape, value: tf.Tensor, params: list[tf.Tensor]
) -> list[tf.Tensor]:
    """Returns gradients, zeros in parameters that the value is not made of."""
    if not params:
        return []
    gradients = tape.gradient(
        value, params, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    # Those of embedding layers are `tf.IndexedSlices`, which cannot be added
    # to tensors.
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
