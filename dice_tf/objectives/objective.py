"""What an objective is: every player's parameters to every player's value."""

import abc
import copy
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from dice_tf.checks import (
    check_flag,
    check_function,
    check_kind,
    check_lists,
)
from dice_tf.games.game import Game
from dice_tf.models.seat_models import Weights
from dice_tf.objectives.advantages import Advantages
from dice_tf.objectives.tape_places import TapePlace, current_place
from dice_tf.play.actors import Actor
from dice_tf.play.trajectories import Trajectory
from dice_tf.seeds import Seed

Params = Sequence[list[tf.Tensor]]


class Play(NamedTuple):
    """How the real players do, one entry per player.

    Attributes:
      values: scalars, discounted returns, not normalised; all of them NaN
        if a player acted on probabilities that are NaN.
      entropies: scalars, mean entropy in nats of the player's policy over the
        states visited. As for divergences, a visit at step t counts
        `discount^t`, and a visit behind the end of an episode does not count.
        Differentiable in the player's parameters, with the visits held
        constant. Sampled entropies estimate those of `ExactObjective`. Zeros
        if there are no policies.
      trajectory: the `Trajectory` played, `None` in closed form.
    """

    values: tuple[tf.Tensor, ...]
    entropies: tuple[tf.Tensor, ...]
    trajectory: Trajectory | None


class Objective(abc.ABC):
    """Every player's value as a function of all players' parameters.

    Called as `objective(params, seed, state=None)`: it returns one scalar per
    player, to be maximised, differentiable in the parameters.

    All that learners, trainers and diagnostics read of an objective is declared
    here. The defaults are those of an objective without a game, policies and
    sampling.

    Attributes:
      num_players: N.
      return_scale: factor that turns a value into a reported return.
      has_memory: whether a policy or critic carries a state from step to step.
        Its pass over time can be vectorised once: over runs, say.
      game: the game, or `None`.
      policies: one `keras.Model` per player, or empty.
      actors: the policies in their seats, or empty.
      critics: the critics in their seats, or empty.
      critic_target_momentum: how much of their own parameters slow copies of
        the critics keep in each step, 0 without such copies.
      discount: of the game's rewards, or `None`.
      episode_length: number of steps that values are sums over, or `None` for
        an infinite horizon or if there is no game.
      batch_size: number of episodes of each call, or `None` for an objective
        that is not sampled.
      num_groups: number of groups of episodes that are differentiated one
        after the other.
    """

    num_players: int
    return_scale: float = 1.0
    has_memory: bool = False
    game: Game | None = None
    policies: Sequence[keras.Model] = ()
    actors: Sequence[Actor] = ()
    critics: Sequence[Any] = ()
    critic_target_momentum: float = 0.0
    discount: float | None = None
    episode_length: int | None = None
    batch_size: int | None = None
    num_groups: int = 1
    _bound_state: Any = None
    # By what they were computed from; `None` if the objective is not bound.
    _results: dict[Any, Any] | None = None
    # By identity: a tensor, and the one with which it shares its play.
    _played_as: dict[int, tuple[tf.Tensor, tf.Tensor]] = {}
    _tapes: TapePlace | None = None

    def __call__(
        self, params: Params, seed: Seed | None = None, state: Any = None
    ) -> tuple[tf.Tensor, ...]:
        """Evaluates the objective.

        Args:
          params: one list of tensors per player, in the order of its
            policy's `trainable_variables`.
          seed: int32 `[2]`; ignored by an objective that is not sampled.
          state: what training changes beside parameters, see `initial_state`;
            `None` means the values that the variables have now.

        Returns:
          One scalar per player: values, not normalised.

        Raises:
          TypeError, ValueError: if there is not one list per player.
        """
        params = self._check_params("params", params)
        return self._values(params, seed, self._resolve(state))

    def bind(
        self, state: Any = None, *, tapes_inside: bool = False
    ) -> "Objective":
        """Returns a copy for one step of training.

        The copy uses `state` if a call does not give one. If it is called
        several times with the same parameters and the same seed (the same
        objects), it plays once, so that all players can share the play of the
        parameters that they start from.

        Args:
          state: as of a call.
          tapes_inside: whether all tapes that differentiate the copy's values
            are opened after this call, as in the step of a trainer, and not
            around a `tf.vectorized_map` in which this call stands. The copy
            may then compute its values by shorter formulas, whose derivatives
            `tf.vectorized_map` would forget. It does so only in the place
            where it was bound, and not inside a loop, a map or a function that
            was entered since.
        """
        check_flag("tapes_inside", tapes_inside)
        bound = copy.copy(self)
        bound._bound_state = self._resolve(state)
        bound._results, bound._played_as = {}, {}
        bound._tapes = current_place() if tapes_inside else None
        return bound

    def share_play(self, params: Params, like: Params) -> None:
        """Says that parameters have the values of others, played before.

        A bound objective then does not play again with them.

        Args:
          params: one list of tensors per player, of the same values as `like`,
            but made of other tensors, to which they are differentiable.
          like: one list of tensors per player.
        """
        if self._results is None:
            return
        for one, played in zip(
            tf.nest.flatten(list(params)),
            tf.nest.flatten(list(like)),
            strict=True,
        ):
            self._played_as[id(one)] = one, played

    def once(
        self, compute: Callable[[], Any], objects: Sequence[Any], key: Hashable
    ) -> Any:
        """Returns what a function returns; a bound objective calls it once.

        All learners of a step are then given the same tensors.

        Args:
          compute: the function.
          objects: tensors, seeds and what else the result depends on. The
            result is found again with the same objects, in the same graph.
          key: what else it depends on, which is compared, with a name that no
            other computation has.

        Raises:
          TypeError: if `compute` is not such a function.
        """
        check_function("compute", compute, "a function without arguments", 0)
        if self._results is None:
            return compute()
        place = SameObjects(objects), key
        if place not in self._results:
            self._results[place] = compute()
        return self._results[place]

    @property
    def tapes_are_inside(self) -> bool:
        """Whether the objective was bound here, with `tapes_inside`."""
        return self._tapes is not None and self._tapes.is_here()

    def play(
        self, params: Params, seed: Seed | None, state: Any = None
    ) -> Play:
        """Measures the players as they are, see `Play`."""
        values = self(params, seed, state)
        return Play(values, tuple(map(tf.zeros_like, values)), None)

    def divergences(
        self,
        params: Params,
        other_params: Params,
        seed: Seed | None = None,
        state: Any = None,
    ) -> tuple[tf.Tensor, ...]:
        """Returns how far each player's policy is from another one.

        `D_i = sum_s d(s) KL(pi_i(. | s) || pi'_i(. | s))` in nats, where
        `d(s)` are the shares of discounted visits of the states if all play
        as in `params`, held constant.

        Args:
          params: one list of tensors per player, of the policies `pi`.
          other_params: one list of tensors per player, of the `pi'`.
          seed: int32 `[2]`. A sampled objective plays with it: the same play
            as for the values at `params`.
          state: as of a call.

        Returns:
          One scalar per player, differentiable in both lists of parameters.

        Raises:
          ValueError: if the objective has no policies.
        """
        self._check_params("params", params)
        self._check_params("other_params", other_params)
        state = self._resolve(state)
        return self._divergences(params, other_params, seed, state)

    def advantages(
        self, params: Params, seed: Seed | None, state: Any = None
    ) -> Advantages:
        """Returns the advantages of all players in one play, see `Advantages`.

        The baseline of the objective says which state values they are made
        of, and its `tau` how far they trust these.

        Args:
          params: one list of tensors per player.
          seed: int32 `[2]`. The objective plays with it: the same play as for
            the values at `params`.
          state: as of a call.

        Returns:
          `Advantages`. Its log-probabilities are differentiable in `params`.

        Raises:
          ValueError: if the objective does not play.
        """
        self._check_params("params", params)
        return self._advantages(params, seed, self._resolve(state))

    def critic_losses(
        self, critic_params: Params, play: Play, state: Any = None
    ) -> tuple[tf.Tensor, ...]:
        """Returns the loss of each player's critic; zeros without critics."""
        del critic_params, state
        check_kind("play", play, Play, "what `play` returned")
        return tuple(tf.zeros_like(value) for value in play.values)

    def average(
        self,
        function: Callable[["Objective", Any], Any],
        seed: Seed | None = None,
    ) -> Any:
        """Returns the mean over tasks of a function of each.

        An objective that is not a `TaskFamily` is a single task, whose seed is
        `seed` itself.

        Args:
          function: from the objective of a task and the seed of that task to
            a nest of floating tensors.
          seed: int32 `[2]`; may be `None` if nothing is sampled.

        Returns:
          The nest of means, differentiable in what the function captures.
        """
        check_task_function(function)
        return function(self, seed)

    def with_policies(self, policies: Sequence[keras.Model]) -> "Objective":
        """Returns a copy in which other models play.

        Args:
          policies: one `keras.Model` per player.

        Raises:
          ValueError: if the objective is not that of a game.
        """
        raise self._without_policies("`with_policies`")

    def initial_params(self) -> list[list[tf.Tensor]]:
        """Returns current values of the policies' trainable variables.

        Raises:
          ValueError: if the objective has no policies.
        """
        raise self._without_policies("`initial_params`")

    def player_weights(
        self, params: Params, state: Any = None
    ) -> list[Weights]:
        """Pairs parameters with the policies' other variables.

        Args:
          params: one list of tensors per player.
          state: as of a call.

        Returns:
          The `Weights` of each player's policy.

        Raises:
          ValueError: if the objective is not that of a game.
        """
        raise self._without_policies("`player_weights`")

    def initial_state(self) -> Any:
        """Returns what training changes beside parameters, as it is now.

        This is the `state` of all methods: a nest of tensors, `None` if there
        is nothing.
        """
        return None

    @abc.abstractmethod
    def _values(
        self, params: Params, seed: Seed | None, state: Any
    ) -> tuple[tf.Tensor, ...]:
        """Computes the values, all arguments checked and resolved."""

    def _divergences(
        self, params: Params, anchor: Params, seed: Seed | None, state: Any
    ) -> tuple[tf.Tensor, ...]:
        """Computes the divergences from `anchor`, the state resolved."""
        raise ValueError(
            f"{type(self).__name__} has no policies to tell apart: use the "
            "objective of a game, such as dice_tf.objectives.ExactObjective, "
            "or a learner without a penalty."
        )

    def _advantages(
        self, params: Params, seed: Seed | None, state: Any
    ) -> Advantages:
        """Computes the advantages, the state resolved."""
        raise ValueError(
            f"{type(self).__name__} does not play, so that no action has an "
            "advantage. Use a sampled objective, such as "
            "dice_tf.objectives.DiCEObjective."
        )

    def _check_params(self, name: str, params: Params) -> Params:
        """Returns parameters, or raises if there is not one list per player."""
        return check_lists(name, params, self.num_players)

    def _without_policies(self, method: str) -> ValueError:
        return ValueError(
            f"{method} needs the objective of a game, such as "
            "dice_tf.objectives.ExactObjective. Received a "
            f"{type(self).__name__}, which has no policies."
        )

    def _resolve(self, state: Any) -> Any:
        if state is None:
            state = self._bound_state
        return self.initial_state() if state is None else state


def game_of(objective: Objective) -> Game:
    """Returns the game of an objective, or raises if it is not of a game."""
    if objective.game is None:
        raise _without_game(objective)
    return objective.game


def discount_of(objective: Objective) -> float:
    """Returns the discount of a game's rewards, or raises if there is none."""
    if objective.discount is None:
        raise _without_game(objective)
    return objective.discount


def _without_game(objective: Objective) -> ValueError:
    return ValueError(
        "The objective must be that of a game, such as "
        "dice_tf.objectives.ExactObjective. Received a "
        f"{type(objective).__name__}."
    )


def check_objective(objective: Any, name: str = "objective") -> Objective:
    """Returns the objective, or raises if it is not an `Objective`."""
    expected = "a dice_tf.objectives.Objective"
    return check_kind(name, objective, Objective, expected)


def check_task_function(function: Any) -> None:
    """Raises if it is not a function of a task's objective and seed."""
    expected = "a function of a task and a seed"
    check_function("function", function, expected, 2)


class SameObjects:
    """A key that is found again with the same objects, in the same graph.

    Identity counts, not equality: tensors of a graph cannot be compared. The
    key holds its objects, so that no later object can take over their identity.

    Args:
      objects: tensors and seeds.
    """

    def __init__(self, objects: Sequence[Any]):
        self._objects = (tf.compat.v1.get_default_graph(), *objects)
        self._identities = tuple(map(id, self._objects))

    def __hash__(self) -> int:
        return hash(self._identities)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SameObjects):
            return NotImplemented
        return self._identities == other._identities
