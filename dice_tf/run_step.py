"""One iteration of one run: all players move at once, as a pure function."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from dice_tf.learners.learner import Learner, gradient_of
from dice_tf.models import Weights
from dice_tf.objectives.objective import Objective
from dice_tf.seeds import split_seed


class RunState(NamedTuple):
    """What training changes in one run, one entry per player.

    Attributes:
      params: list of tensors, the policy's parameters.
      critic_params: list of tensors, the critic's; empty without critics.
      learner_states: nests of tensors, what the learner remembers.
    """

    params: list[list[tf.Tensor]]
    critic_params: list[list[tf.Tensor]]
    learner_states: list[Any]


class RunStep(NamedTuple):
    """What one iteration of one run computes, one entry per player.

    Attributes:
      directions: list of tensors like the parameters, to be ascended.
      critic_gradients: list of tensors, of the critic's loss.
      learner_states: nests of tensors, after the step.
      returns: scalar, reported return of real play before the update.
      entropies: scalar, mean entropy of the policy in nats.
      gradient_norms: scalar, norm of the direction before clipping.
    """

    directions: list[list[tf.Tensor]]
    critic_gradients: list[list[tf.Tensor]]
    learner_states: list[Any]
    returns: list[tf.Tensor]
    entropies: list[tf.Tensor]
    gradient_norms: list[tf.Tensor]


def run_step(
    objective: Objective,
    learners: Sequence[Learner | None],
    state: RunState,
    seed: Any,
    *,
    entropy_coefficients: Sequence[float],
    max_gradient_norms: Sequence[float | None],
) -> RunStep:
    """Computes the directions of all players from one snapshot.

    Args:
      objective: what the players maximise.
      learners: one per player, `None` for a player that stands still.
      state: what the run is at.
      seed: int32 `[2]`, or a `HoistedSeed`.
      entropy_coefficients: per player, the weight of its policy's entropy.
      max_gradient_norms: per player, the norm to clip to, or `None`.

    Returns:
      A `RunStep`.
    """
    players = range(objective.num_players)
    play_seed, *seeds = split_seed(seed, objective.num_players + 1)
    params = state.params
    objective = _bind_critics(objective, state.critic_params)
    with tf.GradientTape(
        persistent=True, watch_accessed_variables=False
    ) as tape:
        tape.watch(params)
        tape.watch(state.critic_params)
        play = objective.play(params, play_seed)
        critic_losses = ()
        if any(state.critic_params):
            critic_losses = objective.critic_losses(state.critic_params, play)
    directions, learner_states, norms = [], [], []
    for player_id in players:
        direction, learner_state = _zeros(params[player_id]), ()
        if learners[player_id] is not None:
            direction, learner_state = learners[player_id].step(
                objective,
                params,
                player_id,
                seeds[player_id],
                state.learner_states[player_id],
            )
            if entropy_coefficients[player_id]:
                bonus = gradient_of(
                    tape, play.entropies[player_id], params[player_id]
                )
                direction = [
                    own + entropy_coefficients[player_id] * extra
                    for own, extra in zip(direction, bonus, strict=True)
                ]
        direction, norm = _clip(direction, max_gradient_norms[player_id])
        directions.append(direction)
        learner_states.append(learner_state)
        norms.append(norm)
    return RunStep(
        directions,
        [
            gradient_of(tape, loss, own)
            for loss, own in zip(
                critic_losses, state.critic_params, strict=False
            )
        ],
        learner_states,
        [objective.return_scale * value for value in play.values],
        list(play.entropies or [tf.zeros_like(v) for v in play.values]),
        norms,
    )


def _bind_critics(
    objective: Objective, critic_params: list[list[tf.Tensor]]
) -> Objective:
    if not any(critic_params):
        return objective
    current = objective.initial_state()
    critics = tuple(
        Weights(own, weights.non_trainable)
        for own, weights in zip(critic_params, current.critics, strict=True)
    )
    return objective.bind(current._replace(critics=critics))


def _zeros(params: list[tf.Tensor]) -> list[tf.Tensor]:
    return [tf.zeros_like(param) for param in params]


def _clip(
    direction: list[tf.Tensor], max_norm: float | None
) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Scales a direction down to a norm, and returns its norm before."""
    if not direction:
        return direction, tf.zeros([])
    norm = tf.linalg.global_norm(direction)
    if max_norm is not None:
        scale = max_norm / tf.maximum(norm, max_norm)
        direction = [own * scale for own in direction]
    return direction, norm
