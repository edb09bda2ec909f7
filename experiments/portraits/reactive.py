"""Learning in the plane of reactive strategies, by exact values.

A reactive strategy answers what the opponent did last: it is P(C after C) and
P(C after D). Players learn the log-odds of both. Two players with one strategy
and one learner stay alike, so that what they do is a path in the plane.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

import dice_tf

from ..building.builders import build_learner
from ..comparisons.ends import count_ends
from ..results.curves import failed_runs
from .portrait_settings import PortraitSettings

# Of the game: values have an infinite horizon.
_SOME_LENGTH = 150
# What is drawn: arrows at the middle of so many cells along an axis, and paths
# from so many starts along it.
_NUM_ARROWS, _NUM_STARTS = 13, 4
# No learner here draws anything.
_SEED = (0, 0)


class Portrait(NamedTuple):
    """How two players learn that have the same strategy.

    A strategy is P(C after C) and P(C after D). G is the number of arrows,
    S the number of paths and M that of updates.

    Attributes:
      strategies: `[G, 2]`, where the arrows start.
      velocities: `[G, 2]`, change of a strategy by an update, for each unit of
        the learning rate, which is small.
      paths: `[M + 1, S, 2]`, the strategies before each update and at the end.
      returns: `[M + 1, S]`, the return of either player, normalised.
    """

    strategies: np.ndarray
    velocities: np.ndarray
    paths: np.ndarray
    returns: np.ndarray


def reactive_game() -> dice_tf.games.FiniteGame:
    """Returns the prisoner's dilemma of players who see each other's last move.

    They see it one-hot, cooperation first. In the first round they do as after
    cooperation.
    """
    game = dice_tf.games.iterated_prisoners_dilemma(_SOME_LENGTH)
    # After CC, CD, DC, DD, the player's own action first, and at the start.
    last = np.array([[1, 0], [0, 1], [1, 0], [0, 1], [1, 0]])
    return dice_tf.games.FiniteGame(
        game.rewards,
        game.transitions,
        game.initial,
        episode_length=_SOME_LENGTH,
        observations=[seen @ last for seen in game.observations],
    )


def reactive_objective(discount: float) -> dice_tf.objectives.ExactObjective:
    """Returns the values of two players whose parameters are `[2, 1]`.

    These are the log-odds of cooperation, after C and after D.
    """
    policies = [
        keras.Sequential(
            [keras.Input([2]), keras.layers.Dense(1, use_bias=False)]
        )
        for _ in range(2)
    ]
    return dice_tf.objectives.ExactObjective(
        reactive_game(), policies, discount=discount, episode_length=None
    )


def draw_from(settings: PortraitSettings) -> Portrait:
    """Computes the arrows and paths of a learner."""
    objective = reactive_objective(settings.discount)
    learner = build_learner(settings, objective.game, 0)
    directions, values = _directions(objective, learner), _values(objective)
    strategies = _grid(_NUM_ARROWS)
    # A strategy p moves by p (1 - p) times the change of its log-odds.
    slopes = strategies * (1.0 - strategies)
    velocities = slopes * directions(_log_odds(strategies)).numpy()
    visited = [tf.constant(_log_odds(_grid(_NUM_STARTS)))]
    for _ in range(settings.num_iterations):
        step = settings.learning_rate[0] * directions(visited[-1])
        visited.append(visited[-1] + step)
    log_odds = tf.stack(visited)
    returns = values(tf.reshape(log_odds, [-1, 2])).numpy()
    return Portrait(
        strategies,
        velocities,
        tf.sigmoid(log_odds).numpy(),
        (1.0 - settings.discount) * returns.reshape(log_odds.shape[:2]),
    )


def summarise(portrait: Portrait) -> dict[str, Any]:
    """Returns the entry of `summary.json`: how many paths end in which way."""
    both = np.repeat(portrait.returns[:, :, np.newaxis], 2, axis=2)
    ends = count_ends(both)
    # Players that stay alike do not extort each other.
    del ends["extortion"]
    return {
        "num_paths_to": ends,
        "failed_paths": failed_runs(portrait.returns[-1]),
        "final_return_per_path": portrait.returns[-1].tolist(),
    }


def returns_in_plane(discount: float, num_cells: int) -> np.ndarray:
    """Returns what two players of one strategy earn, normalised.

    Args:
      discount: in [0, 1).
      num_cells: number of cells along each axis.

    Returns:
      `[num_cells, num_cells]`, by P(C after D) and P(C after C), of the middle
      of each cell.
    """
    values = _values(reactive_objective(discount))
    log_odds = tf.constant(_log_odds(_grid(num_cells)))
    returns = (1.0 - discount) * values(log_odds).numpy()
    return returns.reshape(num_cells, num_cells)


def _grid(num_cells: int) -> np.ndarray:
    """Returns the middles of the cells of the plane, `[num_cells^2, 2]`."""
    middles = (np.arange(num_cells) + 0.5) / num_cells
    after_d, after_c = np.meshgrid(middles, middles, indexing="ij")
    return np.stack([after_c.ravel(), after_d.ravel()], axis=1)


def _log_odds(strategies: np.ndarray) -> np.ndarray:
    return np.log(strategies / (1.0 - strategies)).astype(np.float32)


def _params(log_odds: tf.Tensor) -> list[list[tf.Tensor]]:
    """Returns the parameters of two players that have one strategy."""
    # Two tensors: a derivative by one player's must not be one by both.
    column = tf.reshape(log_odds, [2, 1])
    return [[tf.identity(column)], [tf.identity(column)]]


def _directions(
    objective: dice_tf.objectives.Objective, learner: dice_tf.learners.Learner
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a function from log-odds `[N, 2]` to the learner's directions."""

    def direction(log_odds: tf.Tensor) -> tf.Tensor:
        seed = tf.constant(_SEED)
        moved = learner.gradient(objective, _params(log_odds), 0, seed)
        return tf.reshape(moved[0], [2])

    return _at_all(direction)


def _values(
    objective: dice_tf.objectives.Objective,
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a function from log-odds `[N, 2]` to values `[N]`."""

    def value(log_odds: tf.Tensor) -> tf.Tensor:
        return objective(_params(log_odds), tf.constant(_SEED))[0]

    return _at_all(value)


def _at_all(
    function: Callable[[tf.Tensor], tf.Tensor],
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the function of many points, `[N, 2]`, of one of a point."""
    # XLA would take longer to compile it than it is called.
    return tf.function(
        lambda points: tf.vectorized_map(function, points), autograph=False
    )
