"""Where the runs of a trainer start."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dice_tf.checks import is_finite_in
from dice_tf.learners.learner import Learner
from dice_tf.models.seat_models import check_finite_weights
from dice_tf.objectives.game_objective import GameObjective
from dice_tf.objectives.objective import Objective
from dice_tf.policies.initial import initial_params
from dice_tf.training.steps import PlayerState

CURRENT = "current"
RANDOM = "random"


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
        `"random"`, drawn anew from the run's seed, but for frozen players;
        or per run one list of arrays per player.

    Returns:
      For each run one `PlayerState` per player.

    Raises:
      ValueError: if `start` does not fit the objective and the runs, or is
        not finite.
    """
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
    elif not isinstance(objective, GameObjective):
        raise ValueError(
            f"`initial_params` must be given for a "
            f"{type(objective).__name__}, which has no policies: for each "
            "run, one list of arrays per player."
        )
    else:
        all_params = [
            _policy_params(objective, learners, seed, start) for seed in seeds
        ]
    return [
        [
            PlayerState(
                own, critic, () if learner is None else learner.init(params)
            )
            for own, critic, learner in zip(
                params,
                _critic_params(objective, seed, start),
                learners,
                strict=True,
            )
        ]
        for params, seed in zip(all_params, seeds, strict=True)
    ]


def _policy_params(
    objective: GameObjective,
    learners: Sequence[Learner | None],
    seed: int,
    start: str,
) -> list[list[np.ndarray]]:
    return [
        initial_params(policy, [seed, player_id])
        if start == RANDOM and learner is not None
        else _current(f"policies[{player_id}]", policy)
        for player_id, (policy, learner) in enumerate(
            zip(objective.policies, learners, strict=True)
        )
    ]


def _critic_params(
    objective: Objective, seed: int, start: Any
) -> list[list[np.ndarray]]:
    critics = [
        critic.model.model for critic in getattr(objective, "critics", ())
    ]
    if not critics:
        return [[] for _ in range(objective.num_players)]
    if isinstance(start, str) and start == CURRENT:
        return [
            _current(f"critics[{player_id}]", critic)
            for player_id, critic in enumerate(critics)
        ]
    return [
        initial_params(critic, [seed, objective.num_players + player_id])
        for player_id, critic in enumerate(critics)
    ]


def _current(name: str, model: keras.Model) -> list[np.ndarray]:
    check_finite_weights(name, model)
    return [variable.numpy() for variable in model.trainable_variables]


def _check_params(
    objective: Objective, run: int, params: Sequence[Sequence[Any]]
) -> list[list[np.ndarray]]:
    params = [[np.asarray(value) for value in own] for own in params]
    shapes = [[value.shape for value in own] for own in params]
    expected = shapes
    if isinstance(objective, GameObjective):
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
    for player_id, own in enumerate(params):
        for index, value in enumerate(own):
            dtype = tf.as_dtype(value.dtype)
            if isinstance(objective, GameObjective):
                dtype = objective.game.dtype
            if not is_finite_in(value, dtype):
                raise ValueError(
                    f"`initial_params` must be finite in {dtype.name}. "
                    "Received NaN, infinity or a number that overflows in run "
                    f"{run}, player {player_id}, array {index} (all from 0)."
                )
    return params
