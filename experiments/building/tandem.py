"""The tandem game: a check of learners on losses that are plain functions.

Two players choose x and y, and pay (x + y)^2 - 2x and (x + y)^2 - 2y. Naive
learners come to rest at x + y = 1, where they pay 0 on average. LOLA players
each try to push the other, and end up paying.

Reference: Letcher et al. 2019 (Stable Opponent Shaping in Differentiable
Games).
"""

import functools

import numpy as np
import tensorflow as tf

import dice_tf

from ..settings.matrix_games import TANDEM_PLAYERS

# Standard deviation of the starts, which are normal around 0.
_START_STD = 0.1


def tandem_objective() -> dice_tf.objectives.FunctionObjective:
    """Returns the players' values: what they pay, negated."""
    return dice_tf.objectives.FunctionObjective(
        [functools.partial(_value, player_id=i) for i in range(TANDEM_PLAYERS)]
    )


def tandem_starts(num_seeds: int, seed: int) -> list[list[list[np.ndarray]]]:
    """Returns for each run one list of arrays per player.

    Args:
      num_seeds: number of runs.
      seed: of the first run; run r draws from `seed + r`.
    """
    starts = []
    for run in range(num_seeds):
        draws = np.random.default_rng(seed + run).normal(
            0.0, _START_STD, TANDEM_PLAYERS
        )
        starts.append([[draw] for draw in draws.astype(np.float32)])
    return starts


def _value(params: list[list[tf.Tensor]], player_id: int) -> tf.Tensor:
    x, y = params[0][0], params[1][0]
    return 2.0 * params[player_id][0] - (x + y) ** 2
