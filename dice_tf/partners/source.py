"""Where partners come from: what takes the other seats, and how it changes."""

import abc
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dice_tf.checks import check_shapes
from dice_tf.learners.learner import Situation
from dice_tf.objectives.objective import Params


class PartnerSource:
    """Where partners of `AgainstPartners` come from.

    What it remembers is a part of the learner's state: a nest of tensors of
    fixed shapes.
    """

    def init(self, params: Params) -> Any:
        """Returns the state to start from; `()` if there is none.

        Args:
          params: one list of tensors per player.
        """
        del params
        return ()

    def advanced(
        self, state: Any, situation: Situation, count: tf.Tensor
    ) -> Any:
        """Returns what is remembered after an iteration.

        Args:
          state: what `init` or this method returned.
          situation: that of the learner, before its step; the seed is apart
            from those that it plays with.
          count: int32 scalar, number of iterations before this one.
        """
        del situation, count
        return state


class DrawnPartners(PartnerSource, abc.ABC):
    """Partners that play with the policies of the objective.

    They differ from the opponents in nothing but their parameters, so that
    many of them can be drawn and evaluated as one program.
    """

    @abc.abstractmethod
    def drawn(
        self,
        state: Any,
        situation: Situation,
        count: tf.Tensor,
        noise: tf.Tensor,
    ) -> list[list[tf.Tensor]]:
        """Returns the parameters of D sets of partners.

        Args:
          state: what is remembered.
          situation: that of the learner.
          count: int32 scalar, number of iterations before this one.
          noise: float32 `[D]`, uniform on [0, 1).

        Returns:
          One list of tensors per player, `[D, ...]` or `[1, ...]`; empty for
          a seat that stays with its own player.
        """


def check_remembered(
    params: Params, remembered: Sequence[Sequence[tf.Tensor]]
) -> None:
    """Raises if a source remembers parameters of other shapes.

    Args:
      params: one list of tensors per player.
      remembered: the same as a source has them; empty for a seat without.
    """
    for seat, tensors in enumerate(remembered):
        if tensors:
            check_shapes(f"params[{seat}]", params[seat], tensors, "the state")


def as_pool(pool: Sequence[Any]) -> list[tuple[float, PartnerSource]]:
    """Returns pairs of a probability and a source, or raises.

    Raises:
      TypeError: if it is not a list of pairs of a number and a source.
    """
    if not isinstance(pool, (list, tuple)) or not all(
        isinstance(entry, (list, tuple))
        and len(entry) == 2
        and isinstance(entry[1], PartnerSource)
        for entry in pool
    ):
        raise TypeError(
            "`pool` must be a list of pairs of a probability and a source of "
            "partners, such as [(0.5, dice_tf.partners.PastSelves(100))]. "
            f"Received: {pool!r}."
        )
    return [tuple(entry) for entry in pool]
