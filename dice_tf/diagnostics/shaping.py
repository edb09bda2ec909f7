"""The share of the shaping term in a learner's direction."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from dice_tf.checks import check_player_id, check_whole_number
from dice_tf.diagnostics.repetitions import (
    MOST_REPETITIONS,
    check_repetitions,
    params_of,
    repeat,
)
from dice_tf.learners.learner import Learner, check_learner
from dice_tf.learners.naive import Naive
from dice_tf.objectives.advantages import Advantages
from dice_tf.objectives.objective import Objective, Params, check_objective
from dice_tf.objectives.wrapper import ObjectiveWrapper
from dice_tf.seeds import Seed, as_seed


class ShapingShare(NamedTuple):
    """How much of a learner's direction shapes the opponents.

    Directions are means over the repetitions, lists of NumPy arrays like the
    player's parameters.

    Attributes:
      direction: the learner's.
      held_constant: the learner's, of the same play, with the opponents held
        still: the learning steps that it expects of them are taken, but held
        constant in the player's own parameters. No shaping term is left.
      naive: the direction of `dice_tf.learners.Naive`, from the same seeds.
      share: scalar, `|direction - held_constant| / |direction|`: the share of
        the shaping term. 0 for a learner that does not shape, such as
        `LookAhead`, and for a direction of 0; above 1 if the term turns the
        direction around.
      share_beside_naive: scalar, `|direction - naive| / |direction|`: counts
        also what looking ahead changes without shaping. It has noise, which
        falls with the number of repetitions, since the evaluations of a
        learner after the first play with other seeds than `Naive`.
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
    *,
    params: Params | None = None,
    num_repetitions: int = 16,
    seed: Seed = (0, 0),
    repetitions_at_once: int = 1,
    jit_compile: bool = False,
) -> ShapingShare:
    """Measures how much of a learner's direction is its shaping term.

    The shaping term of player i is its direction less the same direction with
    the opponents held still. The latter is what the learner returns if
    `theta_i` is a constant in the value `V_j` of every opponent j: derivatives
    such as `d^2 V_j / dtheta_j dtheta_i` are then 0, while those of `V_i` stay.
    For `LOLA` the share is

      `|sum_j (d^2 V_j / dtheta_i dtheta_j) a dV_i/dtheta_j| / |direction|`.

    For `LOLAFullGradient` the direction of the opponents held still is that
    of `LookAhead`, and for `SOS` the term is weighted by p. `Naive`,
    `LookAhead`, `Extragradient` and `MAML` have a share of 0. The same rule
    holds for other learners that differentiate opponents' gradients, such as
    `Consensus`; signs and weights that they compute from derivatives are
    computed again. Opponents that are held still do not shape the player in
    turn, which `HOLA` expects of them from order 2 on.

    Args:
      learner: the learner.
      objective: what the players maximise, sampled or exact.
      player_id: the player that learns.
      params: one list of tensors per player. Default: the current values of
        the objective's policies.
      num_repetitions: R, over which directions are averaged; 1 is enough for
        an objective that is not sampled.
      seed: int32 `[2]`; repetition r uses its child r, see
        `dice_tf.seeds.split_seed`.
      repetitions_at_once: how many directions are computed by one vectorised
        program. More than 1 pays off with XLA and many repetitions.
      jit_compile: whether to compile with XLA, which takes seconds, and pays
        off for large batches.

    Returns:
      A `ShapingShare`.

    Raises:
      TypeError, ValueError: if an argument is out of its range.

    Example:
      >>> found = dice_tf.diagnostics.shaping_share(learner, objective, 0)
      >>> bool(found.share > 0.0)
      True
    """
    check_learner(learner)
    num_players = check_objective(objective).num_players
    player_id = check_player_id(player_id, num_players)
    check_whole_number("num_repetitions", num_repetitions, 1, MOST_REPETITIONS)
    as_seed(seed)
    params = params_of(objective, params)
    sources = (
        (learner, objective),
        (learner, OpponentsHeldStill(objective, player_id)),
        (Naive(), objective),
    )
    check_repetitions(repetitions_at_once, jit_compile)
    directions = repeat(
        lambda key: [
            moved.gradient(source, params, player_id, key)
            for moved, source in sources
        ],
        num_repetitions,
        seed=seed,
        at_once=repetitions_at_once,
        jit_compile=jit_compile,
    )
    direction, held_constant, towards_naive = (
        [x.mean(axis=0) for x in found] for found in directions
    )
    rows = [_rows(found, num_repetitions) for found in directions]
    total, constant, naive = (found.mean(axis=0) for found in rows)
    return ShapingShare(
        direction,
        held_constant,
        towards_naive,
        share=float(_share(total - constant, total)),
        share_beside_naive=float(_share(total - naive, total)),
        shares=_share(rows[0] - rows[1], rows[0]),
    )


class OpponentsHeldStill(ObjectiveWrapper):
    """The same values, with the opponents blind to one player's parameters.

    The value of the player does not change. In the values of its opponents the
    player's parameters are constants: the opponents make the same steps, but
    these do not depend on the player. Their advantages are 0. With the same
    seeds the play is the
    same. Every call evaluates the objective twice.

    Args:
      objective: the objective.
      player_id: the player that the opponents do not react to.

    Raises:
      TypeError: if `objective` is not an `Objective`.
    """

    def __init__(self, objective: Objective, player_id: int):
        super().__init__(objective)
        self._player_id = player_id

    def _divergences(
        self, params: Params, anchor: Params, seed: Seed | None, state: Any
    ) -> tuple[tf.Tensor, ...]:
        return self._hold(
            lambda known: self.objective.divergences(
                known, anchor, seed, state
            ),
            params,
        )

    def _advantages(
        self, params: Params, seed: Seed | None, state: Any
    ) -> Advantages:
        found = self.objective.advantages(params, seed, state)
        # To a player whose opponents are blind to it, what they gain or lose
        # by its actions does not matter.
        advantages = list(map(tf.zeros_like, found.advantages))
        advantages[self._player_id] = found.advantages[self._player_id]
        return found._replace(advantages=tuple(advantages))

    def _values(
        self, params: Params, seed: Seed | None, state: Any
    ) -> tuple[tf.Tensor, ...]:
        return self._hold(
            lambda known: self.objective(known, seed, state), params
        )

    def _hold(
        self,
        function: Callable[[Params], tuple[tf.Tensor, ...]],
        params: Params,
    ) -> tuple[tf.Tensor, ...]:
        """Evaluates what belongs to opponents with the player held constant.

        Args:
          function: from all parameters to one scalar per player.
          params: one list of tensors per player.
        """
        player_id = self._player_id
        constant = list(params)
        constant[player_id] = [tf.stop_gradient(x) for x in params[player_id]]
        results = list(function(constant))
        results[player_id] = function(params)[player_id]
        return tuple(results)


def _rows(arrays: list[np.ndarray], num_rows: int) -> np.ndarray:
    """Joins arrays `[R, ...]` to one `[R, n]`, with n = 0 if there is none."""
    rows = [x.reshape(num_rows, -1) for x in arrays]
    return np.concatenate([np.zeros([num_rows, 0]), *rows], axis=1)


def _share(term: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Returns the ratio of norms over the last axis; 0 for a direction of 0."""
    size = np.linalg.norm(direction, axis=-1)
    return np.linalg.norm(term, axis=-1) / np.where(size == 0.0, 1.0, size)
