"""Round-robin tournaments."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import keras
import numpy as np

from dice_tf.checks import check_flag
from dice_tf.evaluation.pairings import check_two_players
from dice_tf.evaluation.payoff_matrices import CrossPlay, cross_play
from dice_tf.games.game import Game
from dice_tf.play.exact_values import OF_THE_GAME, EpisodeLength
from dice_tf.seeds import Seed

# One policy for both seats, one per seat, or a builder of (game, player_id).
Entrant: TypeAlias = (
    keras.Model | Sequence[keras.Model] | Callable[[Game, int], keras.Model]
)

# Scores that differ by less are a draw, in units of payoff.
_DRAW = 1e-9


class TournamentResult(NamedTuple):
    """Who did how well. Arrays are NumPy float64; n entrants in given order.

    Returns are reported ones: `1 - discount` times the discounted sum of
    rewards, the mean reward per step at discount 1.

    Attributes:
      names: of the entrants.
      ranking: the names, the best score first; after a draw in given order.
        Who has no score comes last.
      scores: `[n]`, the mean of an entrant's `pair_scores`. Pairs that have
        none are left out; an entrant without any has the score NaN.
      standard_errors: `[n]`, of the scores: zeros where they are exact.
      cooperation_rates: `[n]`, share of action 0, averaged like the scores.
      pair_scores: `[n, n]`, what the row gets against the column, the mean
        over both seatings; NaN against itself where that is not played, and
        where the probabilities of one of them are NaN.
      matches: the `CrossPlay` of all seatings, rows in seat 0.
    """

    names: tuple[str, ...]
    ranking: tuple[str, ...]
    scores: np.ndarray
    standard_errors: np.ndarray
    cooperation_rates: np.ndarray
    pair_scores: np.ndarray
    matches: CrossPlay


def tournament(
    game: Game,
    entrants: Mapping[str, Entrant],
    *,
    discount: float = 0.96,
    episode_length: EpisodeLength = OF_THE_GAME,
    batch_size: int | None = None,
    seed: Seed = (0, 0),
    with_itself: bool = True,
) -> TournamentResult:
    """Lets every entrant meet every other, once in each seat.

    Args:
      game: a game of two players.
      entrants: by name a policy that can take both seats, as those of
        two-player games with memory-one observations do; or one policy per
        seat; or a function `(game, player_id)` that builds them, such as
        `dice_tf.policies.tit_for_tat`.
      discount: in [0, 1], below 1 with an infinite horizon.
      episode_length: as of `dice_tf.evaluation.cross_play`.
      batch_size: as of `dice_tf.evaluation.cross_play`: exact values by
        default where there are any.
      seed: int32 `[2]`, of what is sampled.
      with_itself: whether an entrant also meets itself, as in Axelrod's
        tournaments.

    Returns:
      A `TournamentResult`.

    Raises:
      TypeError: if an entrant is something else, or as of `cross_play`.
      ValueError: if there are too few entrants, or as of `cross_play`.

    Example:
      >>> result = dice_tf.evaluation.tournament(
      ...     game,
      ...     {
      ...         "tit_for_tat": dice_tf.policies.tit_for_tat,
      ...         "random": dice_tf.policies.random,
      ...         "learned": policies,
      ...     },
      ... )
      >>> len(result.ranking)
      3
      >>> text = dice_tf.evaluation.tournament_table(result)

    References:
      Axelrod 1980 (Effective Choice in the Prisoner's Dilemma).
    """
    check_two_players(game)
    with_itself = check_flag("with_itself", with_itself)
    seats = _seats(game, entrants, 1 if with_itself else 2)
    matches = cross_play(
        game,
        {name: [first] for name, (first, _) in seats.items()},
        {name: [second] for name, (_, second) in seats.items()},
        discount=discount,
        episode_length=episode_length,
        batch_size=batch_size,
        seed=seed,
    )
    names = tuple(seats)
    is_counted = np.ones((len(names),) * 2, bool)
    if not with_itself:
        np.fill_diagonal(is_counted, False)
    pair_scores = np.where(is_counted, _both_seats(matches.payoffs), np.nan)
    is_counted = np.isfinite(pair_scores)
    scores = _means(pair_scores, is_counted)
    order = np.argsort(-np.round(scores / _DRAW), kind="stable")
    return TournamentResult(
        names,
        tuple(names[i] for i in order),
        scores,
        _score_errors(matches.standard_errors, is_counted),
        _means(_both_seats(matches.cooperation_rates), is_counted),
        pair_scores,
        matches,
    )


def _both_seats(values: np.ndarray) -> np.ndarray:
    """Returns `[n, n]`: the mean over seatings of what the row has."""
    return (values[0] + values[1].T) / 2.0


def _means(values: np.ndarray, is_counted: np.ndarray) -> np.ndarray:
    """Returns the mean of each row over what counts, NaN of nothing."""
    totals = np.sum(values, axis=1, where=is_counted)
    with np.errstate(invalid="ignore"):
        return totals / is_counted.sum(axis=1)


def _score_errors(errors: np.ndarray, is_counted: np.ndarray) -> np.ndarray:
    """Returns the standard errors of the scores.

    The two matches of a pair are independent. Those in both seats of a match
    with itself are not, and count as if they went together.
    """
    variances = (errors[0] ** 2 + errors[1].T ** 2) / 4.0
    twice = (np.diagonal(errors[0]) + np.diagonal(errors[1])) ** 2 / 4.0
    np.fill_diagonal(variances, twice)
    total = np.sum(variances, axis=1, where=is_counted)
    with np.errstate(invalid="ignore"):
        return np.sqrt(total) / is_counted.sum(axis=1)


def _seats(
    game: Game, entrants: Any, fewest: int
) -> dict[str, list[keras.Model]]:
    """Returns one policy per seat of each entrant."""
    if not isinstance(entrants, Mapping):
        raise TypeError(
            "`entrants` must be a mapping from names to policies. Received: "
            f"entrants={entrants!r}."
        )
    if len(entrants) < fewest:
        raise ValueError(
            f"`entrants` must hold at least {fewest}. Received: "
            f"{len(entrants)}."
        )
    return {
        name: _seat(game, name, entrant) for name, entrant in entrants.items()
    }


def _seat(game: Game, name: str, entrant: Any) -> list[keras.Model]:
    # A keras.Model can be called, too.
    if isinstance(entrant, keras.Model):
        return [entrant, entrant]
    if callable(entrant):
        return [entrant(game, player_id) for player_id in range(2)]
    if isinstance(entrant, (list, tuple)) and len(entrant) == 2:
        return list(entrant)
    raise TypeError(
        f"`entrants[{name!r}]` must be a keras.Model, a list of one per seat "
        f"(2), or a function (game, player_id) that builds them. Received: "
        f"{entrant!r}."
    )
