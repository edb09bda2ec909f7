"""Matches of learning players against given opponents."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from dice_tf.checks import check_whole_number
from dice_tf.evaluation.exact_matches import exact_match
from dice_tf.evaluation.matches import play_match
from dice_tf.games.finite import acts_by_state
from dice_tf.models.recurrent_models import has_memory
from dice_tf.objectives.objective import Objective, discount_of, game_of
from dice_tf.seeds import Seed, make_seed

# By name, one policy per seat, or a function that makes the policy of a seat.
Opponents = Mapping[str, Sequence[keras.Model | None] | Callable]

# Number of episodes of a match without exact values, if the user names none.
_BATCH_SIZE = 1024


def match_returns(
    objective: Objective,
    player_ids: Sequence[int],
    opponents: Mapping[str, Sequence[keras.Model]],
    batch_size: int | None,
    seed: int,
) -> dict[str, float]:
    """Returns what players get against each opponent, as their policies are.

    Args:
      objective: the objective, with the game and the players' policies.
      player_ids: the players that sit down, each in its own seat.
      opponents: what `check_opponents` returned.
      batch_size: as of `Trainer.evaluate`.
      seed: that of the run.

    Returns:
      Reported returns by `player_<i>/return_against_<name>`.
    """
    returns = {}
    for player_id in player_ids:
        for number, (name, seats) in enumerate(opponents.items()):
            policies = list(seats)
            policies[player_id] = objective.policies[player_id]
            match_seed = make_seed(seed, number)
            found = _play(objective, policies, batch_size, match_seed)
            returns[f"player_{player_id}/return_against_{name}"] = found[
                player_id
            ]
    return returns


def mean_returns(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Returns means over runs of what `match_returns` returned for each."""
    return {
        name: float(np.mean([returns[name] for returns in runs]))
        for name in runs[0]
    }


def _play(
    objective: Objective,
    policies: list[keras.Model],
    batch_size: int | None,
    seed: Seed,
) -> np.ndarray:
    """Returns each seat's reported return in one match, `[num_players]`."""
    game, discount = game_of(objective), discount_of(objective)
    if batch_size is None and acts_by_state(game, map(has_memory, policies)):
        return exact_match(
            game,
            policies,
            discount=discount,
            episode_length=objective.episode_length,
        ).mean
    size = batch_size or _BATCH_SIZE
    return play_match(
        game, policies, batch_size=size, seed=seed, discount=discount
    ).mean


def check_opponents(
    objective: Objective, opponents: Any
) -> dict[str, list[keras.Model]]:
    """Returns one policy per seat by name, or raises.

    Args:
      objective: the objective whose game is played.
      opponents: as of `Trainer.evaluate`.

    Raises:
      TypeError: if the opponents are not a mapping, or it is empty.
      ValueError: if there is no game, or not one policy per seat.
    """
    if objective.game is None:
        raise ValueError(
            "Matches need a game. The objective is a "
            f"{type(objective).__name__}, which has none."
        )
    if not isinstance(opponents, Mapping) or not opponents:
        raise TypeError(
            "`opponents` (of `fit`: `validation_opponents`) must be a mapping "
            "from names to policies, such as "
            '{"tit_for_tat": dice_tf.policies.tit_for_tat}. Received: '
            f"{opponents!r}."
        )
    seats = range(objective.num_players)
    seated = {}
    for name, policies in opponents.items():
        if callable(policies) and not isinstance(policies, keras.Model):
            policies = [policies(objective.game, seat) for seat in seats]
        if not isinstance(policies, (list, tuple)) or len(policies) != len(
            seats
        ):
            raise ValueError(
                f"`opponents`: {name!r} must be a list with one policy for "
                f"each of {len(seats)} seats, or a function of game and seat "
                f"to a policy. Received: {policies!r}."
            )
        seated[name] = list(policies)
    return seated


def check_size(batch_size: Any) -> int | None:
    """Returns the number of episodes of a match, or raises if it is below 1."""
    if batch_size is None:
        return None
    return check_whole_number("batch_size", batch_size, 1)
