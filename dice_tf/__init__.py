"""Opponent shaping in TensorFlow: LOLA-DiCE and the field around it.

Arguments that mean the same stand in the same order everywhere:

    learner, objective, params
    game, policies (or policy), player_id
    discount, episode_length, batch_size, seed

At most the first three arguments of a function are positional, unless a
longer signature is shared by everything of its kind, as by all learners.
"""

from dice_tf import (
    bridges,
    callbacks,
    critics,
    diagnostics,
    estimators,
    evaluation,
    export,
    games,
    inner_optimizers,
    layers,
    learners,
    objectives,
    opponent_models,
    partners,
    play,
    policies,
    seeds,
    zoo,
)
from dice_tf.estimators.dice import dice_objective, magic_box
from dice_tf.estimators.stochastic_graph import StochasticComputationGraph
from dice_tf.games.game_check import check_game
from dice_tf.kernels.scans import scan
from dice_tf.policies.policy_check import check_policy
from dice_tf.trainer import Trainer
from dice_tf.version import __version__

__all__ = [
    "StochasticComputationGraph",
    "Trainer",
    "__version__",
    "bridges",
    "callbacks",
    "check_game",
    "check_policy",
    "critics",
    "diagnostics",
    "dice_objective",
    "estimators",
    "evaluation",
    "export",
    "games",
    "inner_optimizers",
    "layers",
    "learners",
    "magic_box",
    "objectives",
    "opponent_models",
    "partners",
    "play",
    "policies",
    "scan",
    "seeds",
    "zoo",
]
