"""Keras optimisers for players, over variables stacked along runs."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from dice_tf.checks import check_per_player, is_finite_in, naming
from dice_tf.replicas import on_first_replica

# These mix the entries of a variable, and with them the runs.
_NOT_ELEMENTWISE = ("Adafactor", "Lamb", "Muon")
# These would not do here what they are for. They stand here by name, since
# not every version of Keras has them all.
_REFUSED = {
    "LossScaleOptimizer": (
        "which undoes a scale of the loss that is differentiated. Directions "
        "of learners are computed in float32 or float64, without such a "
        "scale. Pass its inner optimiser"
    ),
    "MultiOptimizer": (
        "which chooses by paths of variables. The trainer stacks the "
        "variables of all runs, and they have other paths than those of the "
        "policies. Pass a list with one optimiser per player"
    ),
    "Muon": (
        "which orthogonalises matrices. The trainer stacks the matrices of "
        "all runs, where it would fall back to AdamW. Pass "
        "keras.optimizers.AdamW"
    ),
}


class PlayerOptimizers:
    """One Keras optimiser for all players, or one per player.

    Args:
      name: how errors name them.
      optimizer: a Keras optimiser or its name, or a list with one per player
        (`None` for a player without variables).
      variables: per player, its variables; empty for a frozen one.
      num_seeds: number of runs stacked in each variable. A Keras optimiser
        acts on each entry separately, so one optimiser serves all runs.

    Attributes:
      optimizers: the optimisers, built.

    Raises:
      TypeError: if something is not an optimiser.
      ValueError: if there is not one per player, if two are the same object,
        if one would mix the runs or could not do what it is for, or if a
        learning rate is not finite.
    """

    def __init__(
        self,
        name: str,
        optimizer: Any,
        variables: Sequence[list[keras.Variable]],
        num_seeds: int,
    ):
        if isinstance(optimizer, (list, tuple)):
            given = check_per_player(name, optimizer, len(variables))
            groups = [[player_id] for player_id in range(len(variables))]
        else:
            given = [optimizer]
            groups = [list(range(len(variables)))]
        self._name = name
        self.optimizers: list[keras.optimizers.Optimizer] = []
        self._groups: list[_Group] = []
        for choice, player_ids in zip(given, groups, strict=True):
            moving = [i for i in player_ids if variables[i]]
            moved = [v for player_id in moving for v in variables[player_id]]
            if choice is None and not moved:
                continue
            built = _as_optimizer(name, choice, num_seeds)
            if any(built is earlier for earlier in self.optimizers):
                raise ValueError(
                    f"`{name}` must hold a different object for each "
                    "player, since an optimiser remembers. To share one, "
                    "pass it without a list."
                )
            built.build(moved)
            _check_exclusions(name, built, moved)
            _check_rate(name, built)
            self.optimizers.append(built)
            self._groups.append(_Group(built, moving, moved))
        if not self.optimizers:
            raise ValueError(f"`{name}` must hold at least one optimiser.")

    def check_separate(self) -> None:
        """Raises if one optimiser moves several players."""
        for group in self._groups:
            if len(group.player_ids) > 1:
                raise ValueError(
                    f"`{self._name}` must be a list with one optimiser per "
                    "player if players move one after the other. A single "
                    "one would count the move of each player as a step."
                )

    def of(self, player_id: int) -> keras.optimizers.Optimizer | None:
        """Returns the optimiser of a player, `None` for a frozen one."""
        for group in self._groups:
            if player_id in group.player_ids:
                return group.optimizer
        return None

    @property
    def use_averages(self) -> bool:
        """Whether an optimiser keeps averages, which replace what it moves."""
        return any(optimizer.use_ema for optimizer in self.optimizers)

    def take_averages(self) -> None:
        """Replaces the variables by the averages that are kept of them."""
        for group in self._groups:
            group.optimizer.finalize_variable_values(group.variables)

    def joint(self) -> keras.optimizers.Optimizer:
        """Returns the single optimiser, or one that stands for several.

        An optimiser with averages cannot stand for itself. Keras would hand
        it all variables of the trainer to overwrite, the critics' included.
        """
        if len(self.optimizers) == 1 and not self.use_averages:
            return self.optimizers[0]
        return JointOptimizer(
            self.optimizers, [group.variables for group in self._groups]
        )

    def ascend(
        self,
        directions: Sequence[list[tf.Tensor]],
        player_id: int | None = None,
    ) -> None:
        """Moves variables along their directions.

        Args:
          directions: one list of tensors per player.
          player_id: who moves, `None` for all players at once.
        """
        gradients = [[-x for x in direction] for direction in directions]
        for group in self._groups:
            if player_id in (None, *group.player_ids):
                _apply(group, gradients)

    def descend(self, gradients: Sequence[list[tf.Tensor]]) -> None:
        """Moves each player's variables against its gradients."""
        for group in self._groups:
            _apply(group, gradients)


class JointOptimizer(keras.optimizers.Optimizer):
    """Stands for one optimiser per player where Keras expects a single one.

    It moves nothing: each player's optimiser does. Callbacks of Keras find
    these in `optimizers`, like those of a `keras.optimizers.MultiOptimizer`.
    `LearningRateScheduler` and `ReduceLROnPlateau` therefore set each rate
    separately. Versions of Keras that do not look there set `learning_rate`,
    the rate of the first optimiser. The other rates follow in proportion.

    Args:
      optimizers: the optimisers, built.
      variables: what each of them moves.

    Attributes:
      optimizers: the optimisers.
    """

    def __init__(
        self,
        optimizers: Sequence[keras.optimizers.Optimizer],
        variables: Sequence[Sequence[keras.Variable]],
    ):
        super().__init__(learning_rate=0.0, name="joint_optimizer")
        self.optimizers = list(optimizers)
        self._moved = [list(moved) for moved in variables]
        self.built = True

    @property
    def variables(self) -> list[keras.Variable]:
        return [x for optimizer in self.optimizers for x in optimizer.variables]

    @property
    def iterations(self) -> keras.Variable:
        return self.optimizers[0].iterations

    @property
    def learning_rate(self) -> Any:
        return self.optimizers[0].learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        first = float(tf.convert_to_tensor(self.learning_rate))
        for optimizer in self.optimizers[1:]:
            rate = float(tf.convert_to_tensor(optimizer.learning_rate))
            optimizer.learning_rate = rate * value / first if first else value
        self.optimizers[0].learning_rate = value

    def finalize_variable_values(self, var_list: Any) -> None:
        del var_list
        for optimizer, moved in zip(self.optimizers, self._moved, strict=True):
            optimizer.finalize_variable_values(moved)

    # Each optimiser saves its state itself, as an attribute of the trainer.
    def save_own_variables(self, store: Any) -> None:
        del store

    def load_own_variables(self, store: Any) -> None:
        del store


class _Group(NamedTuple):
    """An optimiser, and what it moves.

    Attributes:
      optimizer: the optimiser, built.
      player_ids: the players that it moves.
      variables: the variables of these players.
    """

    optimizer: keras.optimizers.Optimizer
    player_ids: list[int]
    variables: list[keras.Variable]


def _apply(group: _Group, gradients: Sequence[list[tf.Tensor]]) -> None:
    if group.variables:
        # `apply` divides by the scale of the loss, which Keras' training step
        # multiplies with before.
        scaled = [
            group.optimizer.scale_loss(gradient)
            for player_id in group.player_ids
            for gradient in gradients[player_id]
        ]
        # Keras sums over replicas, and these are the same on all replicas.
        group.optimizer.apply(on_first_replica(scaled), group.variables)


def _check_rate(name: str, optimizer: keras.optimizers.Optimizer) -> None:
    """Raises if the learning rate overflows in float32, its dtype."""
    rate = float(np.asarray(optimizer.learning_rate))
    if not is_finite_in(rate, "float32"):
        raise ValueError(
            f"`{name}` ({type(optimizer).__name__}) must have a finite "
            f"learning rate, in float32. Received: learning_rate={rate}."
        )


def _as_optimizer(
    name: str, optimizer: Any, num_seeds: int
) -> keras.optimizers.Optimizer:
    if isinstance(optimizer, str):
        with naming(name, optimizer, "the name of a Keras optimiser"):
            optimizer = keras.optimizers.get(optimizer)
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise TypeError(
            f"`{name}` must be a Keras optimiser, its name, or a list with "
            f"one per player. Received: {optimizer!r}."
        )
    kinds = [kind.__name__ for kind in type(optimizer).__mro__]
    for kind, reason in _REFUSED.items():
        if kind in kinds:
            raise ValueError(f"`{name}` is a {kind}, {reason}.")
    if num_seeds > 1:
        for option in ("clipnorm", "global_clipnorm"):
            if getattr(optimizer, option, None) is not None:
                raise ValueError(
                    f"`{name}` has {option}={getattr(optimizer, option)}, "
                    "which would clip all runs together. Use the trainer's "
                    "`max_gradient_norm`, which clips each run by itself."
                )
        if any(kind in kinds for kind in _NOT_ELEMENTWISE):
            raise ValueError(
                f"`{name}` is {type(optimizer).__name__}, which would mix "
                f"the {num_seeds} runs. Use an optimiser that acts on each "
                "entry by itself, such as SGD or Adam, or a single run."
            )
    return optimizer


def _check_exclusions(
    name: str,
    optimizer: keras.optimizers.Optimizer,
    variables: Sequence[keras.Variable],
) -> None:
    """Raises if exclusions from weight decay meet none of the variables."""
    # Keras can set these exclusions, and has no public way to read them.
    is_asked = getattr(
        optimizer, "_exclude_from_weight_decay", None
    ) or getattr(optimizer, "_exclude_from_weight_decay_pattern", None)
    if optimizer.weight_decay is None or not is_asked:
        return
    if all(map(optimizer._use_weight_decay, variables)):
        raise ValueError(
            f"`{name}` excludes variables from weight decay, and moves none "
            "of them. It moves the trainer's variables, which stack those of "
            f"the policies: {[variable.path for variable in variables]}. "
            "Exclude these, in `trainer.players`, by `var_list` or "
            "`var_names`."
        )
