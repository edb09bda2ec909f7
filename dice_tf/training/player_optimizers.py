"""Keras optimisers for players, over variables stacked along runs."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dice_tf.checks import check_per_player, is_finite_in
from dice_tf.replicas import on_first_replica
from dice_tf.training.joint_optimizer import JointOptimizer

# They mix the entries of a variable, and with them the runs.
_NOT_ELEMENTWISE = ("Adafactor", "Lamb", "Muon")
# What they would do here is not what they are for. By name, since not every
# version of Keras has them all.
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
        (`None` where a player has no variables).
      variables: per player, its variables; empty for one that stands still.
      num_seeds: number of runs stacked in each variable. A Keras optimiser
        acts on each entry by itself, so that one serves all runs.

    Attributes:
      optimizers: the optimisers, built.

    Raises:
      TypeError: if something is not an optimiser.
      ValueError: if there is not one per player, two are the same object, one
        would mix the runs or do something else than what it is for, or a
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
        self.optimizers, self._groups = [], []
        for own, group in zip(given, groups, strict=True):
            group = [player_id for player_id in group if variables[player_id]]
            learned = [v for player_id in group for v in variables[player_id]]
            if own is None and not learned:
                continue
            own = _as_optimizer(name, own, num_seeds)
            if any(own is other for other in self.optimizers):
                raise ValueError(
                    f"`{name}` must hold a different object for each "
                    "player, since an optimiser remembers. To share one, "
                    "pass it without a list."
                )
            own.build(learned)
            _check_exclusions(name, own, learned)
            _check_rate(name, own)
            self.optimizers.append(own)
            self._groups.append((group, learned))
        if not self.optimizers:
            raise ValueError(f"`{name}` must hold at least one optimiser.")

    def check_separate(self) -> None:
        """Raises if one optimiser moves several players."""
        for group, _ in self._groups:
            if len(group) > 1:
                raise ValueError(
                    f"`{self._name}` must be a list with one optimiser per "
                    "player where players move one after the other: one for "
                    "all would count every move as a step of its own."
                )

    def of(self, player_id: int) -> keras.optimizers.Optimizer | None:
        """Returns the optimiser of a player, `None` if it stands still."""
        for own, (group, _) in zip(self.optimizers, self._groups, strict=True):
            if player_id in group:
                return own
        return None

    @property
    def use_averages(self) -> bool:
        """Whether an optimiser keeps averages, to be taken over at the end."""
        return any(own.use_ema for own in self.optimizers)

    def take_averages(self) -> None:
        """Puts averages in the place of the variables that they are of."""
        for own, (_, learned) in zip(
            self.optimizers, self._groups, strict=True
        ):
            own.finalize_variable_values(learned)

    def joint(self) -> keras.optimizers.Optimizer:
        """Returns the one optimiser, or what stands for several.

        An optimiser with averages does not stand for itself: Keras would hand
        it all variables of the trainer to overwrite, those of critics, too.
        """
        if len(self.optimizers) == 1 and not self.use_averages:
            return self.optimizers[0]
        moved = [learned for _, learned in self._groups]
        return JointOptimizer(self.optimizers, moved)

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
        gradients = [[-x for x in own] for own in directions]
        for optimizer, (group, learned) in zip(
            self.optimizers, self._groups, strict=True
        ):
            if player_id in (None, *group):
                _apply(optimizer, learned, group, gradients)

    def descend(self, gradients: Sequence[list[tf.Tensor]]) -> None:
        """Moves each player's variables against its gradients."""
        for optimizer, (group, learned) in zip(
            self.optimizers, self._groups, strict=True
        ):
            _apply(optimizer, learned, group, gradients)


def _apply(
    optimizer: keras.optimizers.Optimizer,
    learned: list[keras.Variable],
    group: list[int],
    gradients: Sequence[list[tf.Tensor]],
) -> None:
    if learned:
        own = [x for player_id in group for x in gradients[player_id]]
        # As Keras' own training step: `apply` divides by the scale again.
        own = [optimizer.scale_loss(x) for x in own]
        # Keras sums over replicas what is already the same on all of them.
        optimizer.apply(on_first_replica(own), learned)


def _check_rate(name: str, optimizer: keras.optimizers.Optimizer) -> None:
    """Raises if the learning rate overflows where it is kept, in float32."""
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
    """Raises if nothing is what was excluded from the decay of weights."""
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
