"""Evaluation while training: matches of the learners with given opponents."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from dice_tf.checks import check_whole_number
from dice_tf.evaluation.exact_matches import exact_match
from dice_tf.evaluation.matches import play_match
from dice_tf.games.finite import acts_by_state
from dice_tf.models.recurrent_models import has_memory
from dice_tf.objectives.game_objective import GameObjective
from dice_tf.objectives.objective import Objective
from dice_tf.training.averages import callback_list, swaps_of

# By name, one policy per seat, or what builds the one of a seat.
Opponents = Mapping[str, Sequence[keras.Model | None] | Callable]

# Of each match, where values are not exact and the user names no size.
_BATCH_SIZE = 1024
# Iterations count up from 0, so that no training meets these numbers.
_FIRST_MATCH = 2**30


class Validation(keras.callbacks.Callback):
    """Adds the returns of matches to the logs of every n-th epoch.

    It stands before the other callbacks, so that they see what it adds. The
    first epoch of a `fit` is evaluated, too: `CSVLogger` takes its columns
    from there.

    Args:
      opponents: as of `Trainer.evaluate`.
      batch_size: the same.
      every: number of epochs from one evaluation to the next.
      swaps: callbacks that swap averages in, as they do in Keras while it
        evaluates.
    """

    def __init__(
        self,
        opponents: Opponents,
        batch_size: int | None,
        every: int,
        swaps: Sequence[keras.callbacks.Callback] = (),
    ):
        super().__init__()
        self._swaps = swaps
        self._opponents = opponents
        self._batch_size = batch_size
        self._every = every
        self._is_first = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if (epoch + 1) % self._every and not self._is_first:
            return
        self._is_first = False
        for swap in self._swaps:
            swap.on_test_begin()
        returns = match_returns(self.model, self._opponents, self._batch_size)
        for swap in self._swaps:
            swap.on_test_end()
        self.model.synchronize()
        logs.update((f"val_{name}", value) for name, value in returns.items())


def match_returns(
    trainer: keras.Model, opponents: Opponents, batch_size: int | None
) -> dict[str, float]:
    """Returns what every learning player gets against each opponent.

    Args:
      trainer: whose players; its loaded run stays what it is.
      opponents: what `seat_opponents` returned.
      batch_size: as of `Trainer.evaluate`.

    Returns:
      Reported returns, means over runs, by `player_<i>/return_against_<name>`.
    """
    names = {
        f"player_{player_id}/return_against_{name}": (player_id, number, seats)
        for player_id, player in enumerate(trainer.players)
        if player.trainable
        for number, (name, seats) in enumerate(opponents.items())
    }
    loaded = trainer.loaded_run
    found: dict[str, list[float]] = {name: [] for name in names}
    try:
        for run in range(trainer.num_seeds):
            trainer.load_run(run)
            for name, (player_id, number, seats) in names.items():
                policies = list(seats)
                policies[player_id] = trainer.objective.policies[player_id]
                seed = (trainer.seed + run, _FIRST_MATCH + number)
                returns = _returns(
                    trainer.objective, policies, batch_size, seed
                )
                found[name].append(returns[player_id])
    finally:
        trainer.load_run(loaded)
    return {name: float(np.mean(own)) for name, own in found.items()}


def _returns(
    objective: GameObjective,
    policies: list[keras.Model],
    batch_size: int | None,
    seed: tuple[int, int],
) -> np.ndarray:
    game, discount = objective.game, objective.discount
    if batch_size is None and acts_by_state(game, map(has_memory, policies)):
        length = getattr(objective, "episode_length", game.episode_length)
        return exact_match(
            game, policies, discount=discount, episode_length=length
        ).mean
    size = batch_size or _BATCH_SIZE
    return play_match(
        game, policies, batch_size=size, seed=seed, discount=discount
    ).mean


def seat_opponents(objective: Objective, opponents: Any) -> Opponents:
    """Returns one policy per seat by name, or raises.

    Args:
      objective: whose game is played.
      opponents: as of `Trainer.evaluate`.
    """
    if not isinstance(objective, GameObjective):
        raise ValueError(
            "Matches need a game. The objective is a "
            f"{type(objective).__name__}, which has none."
        )
    if not isinstance(opponents, Mapping) or not opponents:
        raise TypeError(
            "The opponents must be a mapping from names to policies, such as "
            '{"tit_for_tat": dice_tf.policies.tit_for_tat}. Received: '
            f"{opponents!r}."
        )
    seats = range(objective.num_players)
    seated = {}
    for name, own in opponents.items():
        if callable(own) and not isinstance(own, keras.Model):
            own = [own(objective.game, seat) for seat in seats]
        if not isinstance(own, (list, tuple)) or len(own) != len(seats):
            raise ValueError(
                f"The opponents {name!r} must be a list with one policy for "
                f"each of {len(seats)} seats, or a function of game and seat "
                f"to a policy. Received: {own!r}."
            )
        seated[name] = list(own)
    return seated


def check_size(batch_size: Any) -> int | None:
    """Returns the number of episodes, or raises if there are none."""
    if batch_size is None:
        return None
    return check_whole_number("batch_size", batch_size, 1)


def with_validation(
    callbacks: Any,
    objective: Objective,
    opponents: Any,
    batch_size: Any,
    freq: Any,
) -> Any:
    """Returns the callbacks of a `fit`, the validation before the others."""
    if opponents is None:
        return callbacks
    callbacks = callback_list(callbacks)
    validation = Validation(
        seat_opponents(objective, opponents),
        check_size(batch_size),
        check_whole_number("validation_freq", freq, 1),
        swaps_of(callbacks),
    )
    return [validation, *callbacks]
