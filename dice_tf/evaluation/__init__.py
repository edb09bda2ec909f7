"""Evaluation: matches, cross-play, tournaments, best responses, names.

All returns are reported ones: `1 - discount` times the discounted sum of
rewards, the mean reward per step at discount 1.
"""

from dice_tf.evaluation.best_responses import BestResponse, best_response
from dice_tf.evaluation.deviations import Exploitability, exploitability
from dice_tf.evaluation.exact_matches import exact_match, visit_frequencies
from dice_tf.evaluation.matches import MatchResult, play_match
from dice_tf.evaluation.names import StrategyName, name_policy
from dice_tf.evaluation.payoff_matrices import CrossPlay, cross_play
from dice_tf.evaluation.policy_figures import policy_figure
from dice_tf.evaluation.strategies import strategy_distances
from dice_tf.evaluation.tables import action_probabilities
from dice_tf.evaluation.tournament_tables import (
    tournament_csv,
    tournament_table,
)
from dice_tf.evaluation.tournaments import TournamentResult, tournament
from dice_tf.evaluation.zero_determinant import (
    Extortion,
    ZeroDeterminant,
    extortion_fit,
    zero_determinant_fit,
)

__all__ = [
    "BestResponse",
    "CrossPlay",
    "Exploitability",
    "Extortion",
    "MatchResult",
    "StrategyName",
    "TournamentResult",
    "ZeroDeterminant",
    "action_probabilities",
    "best_response",
    "cross_play",
    "exact_match",
    "exploitability",
    "extortion_fit",
    "name_policy",
    "play_match",
    "policy_figure",
    "strategy_distances",
    "tournament",
    "tournament_csv",
    "tournament_table",
    "visit_frequencies",
    "zero_determinant_fit",
]
