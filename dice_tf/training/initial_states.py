"""The parameters and memories from which the runs of a trainer start."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dice_tf.checks import check_kind, is_finite_in
from dice_tf.learners.learner import Learner
from dice_tf.models.seat_models import check_finite_weights
from dice_tf.objectives.objective import Objective, game_of
from dice_tf.policies.initial import initial_params
from dice_tf.training.iteration import PlayerState
from dice_tf.training.shared_seats import (
    check_equal_start,
    critic_seats,
    policy_seats,
)

CURRENT = "current"
RANDOM = "random"
# The user has given the parameters of each run. This is not a value of
# `initial_params`.
GIVEN = "given"


def initial_run_states(
    objective: Objective,
    learners: Sequence[Learner | None],
    seeds: Sequence[int],
    start: Any,
) -> list[list[PlayerState]]:
    """Returns the state that each run starts from.

    Args:
      objective: what the players maximise.
      learners: one per player, `None` for a frozen one.
      seeds: the seed of each run.
      start: `"current"`, the current values of policies and critics;
        `"random"`, drawn from the run's seed, except for frozen players;
        or for each run one list of arrays per player.

    Returns:
      For each run one `PlayerState` per player.

    Raises:
      TypeError: if `start` is neither a string nor a list.
      ValueError: if `start` does not fit the objective and the runs, is not
        finite, or differs for seats that share their parameters.
    """
    kinds = (str, list, tuple, np.ndarray)
    check_kind("initial_params", start, kinds, "a list of runs")
    if not isinstance(start, str):
        if len(start) != len(seeds):
            raise ValueError(
                "`initial_params` must have one entry per run, "
                f"{len(seeds)}. Received {len(start)}."
            )
        all_params = [
            _check_params(objective, run, params)
            for run, params in enumerate(start)
        ]
    elif start not in (CURRENT, RANDOM):
        raise ValueError(
            f"`initial_params` must be {CURRENT!r}, {RANDOM!r} or one list "
            f"of arrays per player for each run. Received: {start!r}."
        )
    elif objective.game is None:
        raise ValueError(
            f"`initial_params` must be given for a "
            f"{type(objective).__name__}, which has no policies: for each "
            "run, one list of arrays per player."
        )
    else:
        all_params = [
            _policy_params(objective, learners, seed, start) for seed in seeds
        ]
    for params in all_params:
        check_equal_start(params, policy_seats(objective))
    return [
        [
            PlayerState(
                player_params,
                critic_params,
                () if learner is None else learner.init(params),
                critic_params if objective.critic_target_momentum else (),
            )
            for player_params, critic_params, learner in zip(
                params,
                _critic_params(objective, seed, start),
                learners,
                strict=True,
            )
        ]
        for params, seed in zip(all_params, seeds, strict=True)
    ]


def _policy_params(
    objective: Objective,
    learners: Sequence[Learner | None],
    seed: int,
    start: str,
) -> list[list[np.ndarray]]:
    return [
        _in_game(objective, initial_params(policy, [seed, seat]))
        if start == RANDOM and learner is not None
        else _current(objective, f"policies[{seat}]", policy)
        for policy, learner, seat in zip(
            objective.policies, learners, policy_seats(objective), strict=True
        )
    ]


def _critic_params(
    objective: Objective, seed: int, start: Any
) -> list[list[np.ndarray]]:
    critics = [critic.network for critic in objective.critics]
    if not critics:
        return [[] for _ in range(objective.num_players)]
    if isinstance(start, str) and start == CURRENT:
        return [
            _current(objective, f"critics[{player_id}]", critic)
            for player_id, critic in enumerate(critics)
        ]
    return [
        _in_game(
            objective,
            initial_params(critic, [seed, objective.num_players + seat]),
        )
        for critic, seat in zip(critics, critic_seats(objective), strict=True)
    ]


def _current(
    objective: Objective, name: str, model: keras.Model
) -> list[np.ndarray]:
    check_finite_weights(name, model)
    params = [variable.numpy() for variable in model.trainable_variables]
    return _in_game(objective, params)


def _in_game(
    objective: Objective, params: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """Returns parameters in the dtype of the game, as a `SeatModel` does."""
    dtype = game_of(objective).dtype.as_numpy_dtype
    return [param.astype(dtype, copy=False) for param in params]


def _check_params(
    objective: Objective, run: int, params: Sequence[Sequence[Any]]
) -> list[list[np.ndarray]]:
    found = [list(map(np.asarray, player_params)) for player_params in params]
    shapes = [[value.shape for value in arrays] for arrays in found]
    expected = shapes
    if objective.game is not None:
        expected = [
            [tuple(variable.shape) for variable in policy.trainable_variables]
            for policy in objective.policies
        ]
    if shapes != expected or len(shapes) != objective.num_players:
        raise ValueError(
            "`initial_params` must hold for each run one list of arrays per "
            f"player, like the policies' trainable variables: {expected} "
            f"for {objective.num_players} players. Received: {shapes}."
        )
    for player_id, arrays in enumerate(found):
        for index, value in enumerate(arrays):
            dtype = tf.as_dtype(value.dtype)
            if objective.game is not None:
                dtype = objective.game.dtype
            if not is_finite_in(value, dtype):
                raise ValueError(
                    f"`initial_params` must be finite in {dtype.name}. "
                    "Received NaN, infinity or a number that overflows in run "
                    f"{run}, player {player_id}, array {index} (all from 0)."
                )
    return found
