"""One iteration: all players move at once, in one run or in many."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from dice_tf.checks import check_number_per_player
from dice_tf.inner_optimizers.norms import global_norm
from dice_tf.kernels.philox import Draw, draw_many
from dice_tf.learners.learner import Learner, LearnerStep, gradient_of
from dice_tf.models.seat_models import Weights
from dice_tf.objectives.objective import Objective
from dice_tf.seeds import HoistedSeed
from dice_tf.training.many_runs import map_runs


class PlayerRule(NamedTuple):
    """How a player moves.

    Attributes:
      learner: its learner, `None` if it stands still.
      entropy_coefficient: weight of its policy's entropy.
      max_gradient_norm: norm to clip its direction to, or `None`.
    """

    learner: Learner | None
    entropy_coefficient: float = 0.0
    max_gradient_norm: float | None = None


class PlayerState(NamedTuple):
    """What training changes of a player.

    Attributes:
      params: list of tensors, the policy's parameters.
      critic_params: list of tensors, the critic's; empty without one.
      learner_state: nest of tensors, what the learner remembers.
    """

    params: list[tf.Tensor]
    critic_params: list[tf.Tensor]
    learner_state: Any


class PlayerStep(NamedTuple):
    """What one iteration computes for a player.

    Attributes:
      direction: list of tensors like the parameters, to be ascended.
      learner_state: nest of tensors, after the step.
      reported_return: scalar, of real play before the update.
      entropy: scalar, mean entropy of the policy in nats.
      gradient_norm: scalar, norm of the direction before clipping.
      learner_metrics: scalars, what the learner measured.
    """

    direction: list[tf.Tensor]
    learner_state: Any
    reported_return: tf.Tensor
    entropy: tf.Tensor
    gradient_norm: tf.Tensor
    learner_metrics: tuple[tf.Tensor, ...]


class Iteration(NamedTuple):
    """What one iteration computes.

    Attributes:
      steps: one `PlayerStep` per player.
      play: the `Play` that was reported, on which critics are trained; empty
        without critics.
    """

    steps: list[PlayerStep]
    play: Any


class StepSeeds(NamedTuple):
    """The seeds of one iteration of all runs, among those of some steps.

    Attributes:
      keys: int32 `[num_steps * num_runs, 2]`, a seed for each run in each step.
      step: which of the steps it is, from 0.
      draw: how random bits are drawn in graphs, see `HoistedSeed`.
    """

    keys: tf.Tensor
    step: Any = 0
    draw: Draw = draw_many


def player_rules(
    learners: Sequence[Learner | None],
    entropy_coefficient: Any,
    max_gradient_norm: Any,
) -> list[PlayerRule]:
    """Returns one rule per player; a number given once is for all."""
    num_players = len(learners)
    return [
        PlayerRule(*rule)
        for rule in zip(
            learners,
            check_number_per_player(
                "entropy_coefficient", entropy_coefficient, num_players
            ),
            check_number_per_player(
                "max_gradient_norm", max_gradient_norm, num_players
            ),
            strict=True,
        )
    ]


def step_runs(
    objective: Objective,
    rules: Sequence[PlayerRule],
    states: Sequence[PlayerState],
    seeds: StepSeeds,
    num_runs: int,
) -> Iteration:
    """Computes one iteration of all runs.

    Args:
      objective: what the players maximise.
      rules: one per player.
      states: one per player, tensors with a leading axis of runs.
      seeds: of the iteration.
      num_runs: number of runs.

    Returns:
      An `Iteration` of tensors with a leading axis of runs.
    """
    eager = tf.executing_eagerly()
    keys, step, draw = seeds
    rules = [
        rule
        if rule.learner is None
        else rule._replace(learner=rule.learner.hoisted(state.learner_state))
        for rule, state in zip(rules, states, strict=True)
    ]

    def step_run(inputs: tuple[list[PlayerState], Any]) -> Iteration:
        own, run = inputs
        row = step * num_runs + run
        seed = keys[row] if eager else HoistedSeed(keys, row, num_runs, draw)
        return run_step(objective, rules, own, seed)

    inputs = (list(states), tf.range(num_runs))
    return map_runs(step_run, inputs, num_runs, not objective.has_memory)


def run_step(
    objective: Objective,
    rules: Sequence[PlayerRule],
    states: Sequence[PlayerState],
    seed: Any,
) -> Iteration:
    """Computes one iteration of one run, from one snapshot.

    All players get the same seed, so that they can share the play of the
    parameters that they start from, which is also what is reported.

    Args:
      objective: what the players maximise.
      rules: one per player.
      states: one per player.
      seed: int32 `[2]`, or a `HoistedSeed`.

    Returns:
      An `Iteration`.
    """
    params = [state.params for state in states]
    critic_params = [state.critic_params for state in states]
    objective = _bind_critics(objective, critic_params)
    with tf.GradientTape(
        persistent=True, watch_accessed_variables=False
    ) as tape:
        tape.watch(params)
        play = objective.play(params, seed)
    steps = []
    for player_id, (rule, state) in enumerate(zip(rules, states, strict=True)):
        learner = rule.learner
        direction, learner_state = _learner_step(
            objective, rule, params, player_id, seed, state
        )
        if rule.entropy_coefficient:
            bonus = gradient_of(tape, play.entropies[player_id], state.params)
            direction = [
                own + rule.entropy_coefficient * extra
                for own, extra in zip(direction, bonus, strict=True)
            ]
        direction, norm = _clip(direction, rule.max_gradient_norm)
        steps.append(
            PlayerStep(
                direction,
                learner_state,
                objective.return_scale * play.values[player_id],
                play.entropies[player_id],
                norm,
                () if learner is None else learner.metrics(learner_state),
            )
        )
    return Iteration(steps, play if any(critic_params) else ())


def _learner_step(
    objective: Objective,
    rule: PlayerRule,
    params: list[list[tf.Tensor]],
    player_id: int,
    seed: Any,
    state: PlayerState,
) -> LearnerStep:
    if rule.learner is None:
        zeros = [tf.zeros_like(param) for param in state.params]
        return LearnerStep(zeros, state.learner_state)
    return rule.learner.step(
        objective, params, player_id, seed, state.learner_state
    )


def _bind_critics(
    objective: Objective, critic_params: list[list[tf.Tensor]]
) -> Objective:
    if not any(critic_params):
        return objective.bind(tapes_inside=True)
    current = objective.initial_state()
    critics = tuple(
        Weights(own, weights.non_trainable)
        for own, weights in zip(critic_params, current.critics, strict=True)
    )
    state = current._replace(critics=critics)
    return objective.bind(state, tapes_inside=True)


def _clip(
    direction: list[tf.Tensor], max_norm: float | None
) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Scales a direction down to a norm, and returns its norm before."""
    if not direction:
        return direction, tf.zeros([])
    norm = global_norm(direction)
    if max_norm is not None:
        scale = tf.math.divide_no_nan(
            tf.constant(max_norm, norm.dtype), tf.maximum(norm, max_norm)
        )
        direction = [own * scale for own in direction]
    return direction, norm
