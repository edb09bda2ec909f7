"""The share of the shaping term in a learner's direction."""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from dice_tf.checks import check_player_id, check_whole_number
from dice_tf.diagnostics.repetitions import (
    check_repetitions,
    params_of,
    repeat,
)
from dice_tf.learners.learner import Learner
from dice_tf.learners.naive import Naive
from dice_tf.objectives.objective import Objective, Params, check_objective


class ShapingShare(NamedTuple):
    """How much of a learner's direction is there to shape the opponents.

    Directions are means over the repetitions, lists of NumPy arrays like the
    player's parameters.

    Attributes:
      direction: the learner's.
      held_constant: the learner's, of the same play, with each player's value
        differentiated in its own parameters only: what the opponents learn is
        held constant, and no shaping term is left.
      naive: the direction of `dice_tf.learners.Naive`, from the same seeds.
      share: scalar, `|direction - held_constant| / |direction|`: the share of
        the shaping term. 0 for a learner that does not shape, above 1 where
        the term turns the direction around.
      share_beside_naive: scalar, `|direction - naive| / |direction|`: also
        what looking ahead changes without shaping. Its noise falls with the
        number of repetitions, since a look-ahead plays on seeds of its own.
      shares: `[R]`, `share` of each repetition by itself.
    """

    direction: list[np.ndarray]
    held_constant: list[np.ndarray]
    naive: list[np.ndarray]
    share: float
    share_beside_naive: float
    shares: np.ndarray


def shaping_share(
    learner: Learner,
    objective: Objective,
    player_id: int,
    params: Params | None = None,
    *,
    num_repetitions: int = 16,
    seed: Any = (0, 0),
    repetitions_at_once: int = 1,
    jit_compile: bool = False,
) -> ShapingShare:
    """Measures how much of a learner's direction is its shaping term.

    Args:
      learner: the learner.
      objective: what the players maximise, sampled or exact.
      player_id: the player that learns.
      params: one list of tensors per player. Default: the current values of
        the objective's policies.
      num_repetitions: R, over which directions are averaged; 1 is enough for
        an objective that is not sampled.
      seed: int32 `[2]`; repetition r uses `[seed[0], seed[1] + r]`.
      repetitions_at_once: how many directions are computed by one vectorised
        program. More than 1 pays off with XLA and many repetitions.
      jit_compile: whether to compile with XLA, which takes seconds, and pays
        off for large batches.

    Returns:
      A `ShapingShare`.

    Raises:
      TypeError, ValueError: if an argument is out of its range.

    Example:
      >>> dice_tf.diagnostics.shaping_share(learner, objective, 0).share
    """
    if not isinstance(learner, Learner):
        raise TypeError(
            "`learner` must be a dice_tf.learners.Learner. Received: "
            f"{learner!r}."
        )
    num_players = check_objective(objective).num_players
    player_id = check_player_id(player_id, num_players)
    check_whole_number("num_repetitions", num_repetitions, 1)
    params = params_of(objective, params)
    sources = (
        (learner, objective),
        (learner, OwnParametersOnly(objective)),
        (Naive(), objective),
    )
    check_repetitions(objective, repetitions_at_once, jit_compile)
    directions = repeat(
        lambda key: [
            own.gradient(source, params, player_id, key)
            for own, source in sources
        ],
        num_repetitions,
        seed,
        repetitions_at_once,
        jit_compile,
    )
    means = [[x.mean(axis=0) for x in own] for own in directions]
    rows = [_rows(own) for own in directions]
    total, constant, naive = (own.mean(axis=0) for own in rows)
    return ShapingShare(
        *means,
        share=_norm(total - constant) / _norm(total),
        share_beside_naive=_norm(total - naive) / _norm(total),
        shares=np.linalg.norm(rows[0] - rows[1], axis=1)
        / np.linalg.norm(rows[0], axis=1),
    )


class OwnParametersOnly(Objective):
    """The same values, each differentiable in its player's parameters only.

    Learners that differentiate through what others learn, or through another
    player's value, find nothing there: their shaping terms are 0. With the
    same seeds the play is the same.
    """

    def __init__(self, objective: Objective):
        self._objective = objective
        self.num_players = objective.num_players
        self.return_scale = objective.return_scale

    def __getattr__(self, name: str) -> Any:
        # What some learners ask of an objective beside its values.
        return getattr(self._objective, name)

    def _values(
        self, params: Params, seed: Any, state: Any
    ) -> tuple[tf.Tensor, ...]:
        constant = tf.nest.map_structure(tf.stop_gradient, list(params))
        return tuple(
            self._objective(
                [
                    own if seat == player_id else constant[seat]
                    for seat, own in enumerate(params)
                ],
                seed,
                state,
            )[player_id]
            for player_id in range(self.num_players)
        )


def _rows(arrays: list[np.ndarray]) -> np.ndarray:
    """Joins arrays `[R, ...]` to one `[R, n]`."""
    return np.concatenate([x.reshape(len(x), -1) for x in arrays], axis=1)


def _norm(x: np.ndarray) -> float:
    return float(np.linalg.norm(x))
