"""One iteration of training, as functions of tensors.

`iterate_runs` computes the iteration of all runs. It maps `iterate`, the
iteration of one run, which asks each player's learner for a step. Nothing
here changes a variable: `dice_tf.training.updates` applies what is computed.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from dice_tf.checks import check_number_per_player
from dice_tf.inner_optimizers.norms import global_norm
from dice_tf.kernels.philox import Draw, draw_many
from dice_tf.learners.learner import (
    Learner,
    LearnerStep,
    checked_step,
    gradient_of,
)
from dice_tf.models.seat_models import Weights
from dice_tf.objectives.game_objective import GameState
from dice_tf.objectives.objective import Objective, Play
from dice_tf.replicas import num_replicas
from dice_tf.seeds import HoistedSeed, child_keys, graph_of, make_seed
from dice_tf.training.shared_seats import (
    check_learning_alike,
    policy_seats,
    summed_over_seats,
)


class PlayerRule(NamedTuple):
    """How a player learns.

    Attributes:
      learner: its learner, `None` for a frozen player.
      entropy_coefficient: weight of the entropy of its policy.
      max_gradient_norm: norm to which its direction is clipped, or `None`.
    """

    learner: Learner | None
    entropy_coefficient: float = 0.0
    max_gradient_norm: float | None = None


class PlayerState(NamedTuple):
    """What training changes of a player.

    Attributes:
      params: list of tensors, the parameters of the policy.
      critic_params: list of tensors, those of the critic; empty without one.
      learner_state: nest of tensors, what the learner remembers.
      slow_critic_params: tensors like `critic_params`, those of the slow copy
        of the critic; empty without one.
    """

    params: list[tf.Tensor]
    critic_params: list[tf.Tensor]
    learner_state: Any
    slow_critic_params: Sequence[tf.Tensor] = ()


class RunState(NamedTuple):
    """What training changes of one run, or of all runs along a first axis.

    Attributes:
      players: one `PlayerState` per player.
      number: int32 scalar (or `[num_runs]`), which run it is, from 0.
    """

    players: list[PlayerState]
    number: tf.Tensor


class PlayerResult(NamedTuple):
    """What one iteration computes for a player.

    Attributes:
      direction: list of tensors like the parameters, to be ascended.
      learner_state: nest of tensors, what the learner remembers from now on.
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
      results: one `PlayerResult` per player.
      play: the `Play` whose returns are reported, on which critics are
        trained; empty without critics.
    """

    results: list[PlayerResult]
    play: Play | tuple[()]


class IterationSeeds(NamedTuple):
    """One seed per run and iteration of a program, and which iteration it is.

    Attributes:
      keys: int32 `[num_iterations * num_runs, 2]`, one seed for each run of
        each iteration that the program makes.
      num_runs: number of runs.
      offset: the current iteration, counted from the first one of the program;
        an int32 scalar in a loop.
      draw: how graphs draw random bits, see `HoistedSeed`.
    """

    keys: tf.Tensor
    num_runs: int
    offset: int | tf.Tensor = 0
    draw: Draw = draw_many

    def of_run(self, run: tf.Tensor) -> tf.Tensor | HoistedSeed:
        """Returns the seed of a run: int32 `[2]`, hoisted in graphs."""
        row = self.offset * self.num_runs + run
        if tf.executing_eagerly():
            return self.keys[row]
        return HoistedSeed(self.keys, row, self.num_runs, self.draw)

    def of_turn(self, player_id: int) -> "IterationSeeds":
        """Returns the seeds of a player's turn, another set for each turn."""
        # Create this operation in the graph of the keys. Inside the compiled
        # function, XLA would draw all bits that follow from it again for
        # every consumer.
        with graph_of(self.keys):
            keys = child_keys(self.keys, [player_id])[0]
        return self._replace(keys=keys)


def seeds_of_runs(run_seeds: Sequence[int]) -> np.ndarray:
    """Returns int32 `[num_runs, 2]`, made of whole numbers of any size."""
    return np.stack([make_seed(seed) for seed in run_seeds])


def iteration_seeds(
    run_seeds: tf.Tensor, iterations: tf.Tensor, draw: Draw
) -> IterationSeeds:
    """Returns the seeds of all runs in successive iterations.

    That of a run in an iteration is the child with the number of the iteration
    of the run's seed: it does not depend on how many runs or iterations are
    computed together.

    Args:
      run_seeds: int32 `[num_runs, 2]`, see `seeds_of_runs`.
      iterations: int32 `[num_iterations]`, their numbers.
      draw: how graphs draw random bits, see `HoistedSeed`.
    """
    keys = tf.reshape(child_keys(run_seeds, iterations), [-1, 2])
    return IterationSeeds(keys, run_seeds.shape[0], draw=draw)


def player_rules(
    objective: Objective,
    learners: Sequence[Learner | None],
    entropy_coefficient: Any,
    max_gradient_norm: Any,
) -> list[PlayerRule]:
    """Returns one rule per player; a single number is for all players.

    Raises:
      TypeError, ValueError: if there is not one number for all, or one per
        player, or players that share parameters could not move as one.
    """
    num_players = len(learners)
    coefficients = check_number_per_player(
        "entropy_coefficient", entropy_coefficient, num_players
    )
    norms = check_number_per_player(
        "max_gradient_norm", max_gradient_norm, num_players
    )
    check_learning_alike(policy_seats(objective), learners, norms)
    return [
        PlayerRule(*rule)
        for rule in zip(learners, coefficients, norms, strict=True)
    ]


def iterate_runs(
    objective: Objective,
    rules: Sequence[PlayerRule],
    states: Sequence[PlayerState],
    seeds: IterationSeeds,
) -> Iteration:
    """Computes one iteration of all runs.

    Args:
      objective: what the players maximise.
      rules: one per player.
      states: one per player, tensors with a leading axis of runs.
      seeds: those of the iteration.

    Returns:
      An `Iteration` of tensors with a leading axis of runs.
    """
    # A learner computes here what all runs share: a branch on its state cannot
    # be vectorised over runs.
    rules = [
        rule
        if rule.learner is None
        else rule._replace(learner=rule.learner.hoisted(state.learner_state))
        for rule, state in zip(rules, states, strict=True)
    ]
    return map_runs(
        functools.partial(iterate, objective, rules, seeds),
        RunState(list(states), tf.range(seeds.num_runs)),
        seeds.num_runs,
    )


def iterate(
    objective: Objective,
    rules: Sequence[PlayerRule],
    seeds: IterationSeeds,
    run: RunState,
) -> Iteration:
    """Computes one iteration of one run.

    All players start from the same parameters and get the same seed. The bound
    objective remembers what it has played with these tensors, so that all
    learners share the play whose returns are reported. Seats that share
    parameters all get the sum of their directions.

    Args:
      objective: what the players maximise.
      rules: one per player.
      seeds: those of the iteration, of all runs.
      run: the run.

    Returns:
      An `Iteration`.
    """
    seed = seeds.of_run(run.number)
    params = [state.params for state in run.players]
    critic_params = [state.critic_params for state in run.players]
    objective = _bind_critics(objective, critic_params)
    with tf.GradientTape(
        persistent=True, watch_accessed_variables=False
    ) as tape:
        tape.watch(params)
        play = objective.play(params, seed)
    steps = []
    for player_id, (rule, state) in enumerate(
        zip(rules, run.players, strict=True)
    ):
        learner, coefficient = _with_entropy(rule)
        step = _learner_step(objective, learner, params, player_id, seed, state)
        if coefficient:
            bonus = gradient_of(tape, play.entropies[player_id], state.params)
            direction = [
                gradient + coefficient * extra
                for gradient, extra in zip(step.direction, bonus, strict=True)
            ]
            step = step._replace(direction=direction)
        steps.append(step)
    directions = summed_over_seats(
        [step.direction for step in steps], policy_seats(objective)
    )
    results = []
    for player_id, (rule, step) in enumerate(zip(rules, steps, strict=True)):
        direction, norm = _clip(directions[player_id], rule.max_gradient_norm)
        learner = rule.learner
        results.append(
            PlayerResult(
                direction,
                step.state,
                objective.return_scale * play.values[player_id],
                play.entropies[player_id],
                norm,
                () if learner is None else learner.metrics(step.state),
            )
        )
    return Iteration(results, play if any(critic_params) else ())


def critic_gradients(
    objective: Objective,
    critic_params: Sequence[list[tf.Tensor]],
    slow_critic_params: Sequence[Sequence[tf.Tensor]],
    play: Play,
    num_runs: int,
) -> list[list[tf.Tensor]]:
    """Computes the gradients of all critics' losses on what was played.

    Args:
      objective: the objective with the critics.
      critic_params: one list of tensors per player, `[num_runs, ...]`.
      slow_critic_params: the same, of slow copies; empty lists without them.
      play: a `Play` of tensors with a leading axis of runs.
      num_runs: number of runs.

    Returns:
      Tensors like `critic_params`.
    """
    leaves = tf.nest.flatten(play)

    def run_gradients(
        inputs: tuple[list, list, list[tf.Tensor]],
    ) -> list[list[tf.Tensor]]:
        params, slow_params, played = inputs
        # Put each `None` of a `Play` back: it is not a tensor that
        # TensorFlow could vectorise.
        values = iter(played)
        filled = [None if leaf is None else next(values) for leaf in leaves]
        run_play = tf.nest.pack_sequence_as(play, filled)
        with tf.GradientTape(
            persistent=True, watch_accessed_variables=False
        ) as tape:
            tape.watch(params)
            losses = objective.critic_losses(
                params, run_play, _with_slow_critics(objective, slow_params)
            )
        return [
            gradient_of(tape, loss, player_params)
            for loss, player_params in zip(losses, params, strict=True)
        ]

    return map_runs(
        run_gradients,
        (
            [list(player_params) for player_params in critic_params],
            [list(player_params) for player_params in slow_critic_params],
            [leaf for leaf in leaves if leaf is not None],
        ),
        num_runs,
    )


def map_runs(function: Callable, inputs: Any, num_runs: int) -> Any:
    """Applies a function to each run, vectorised in graphs if possible.

    Args:
      function: from the nest of one run to a nest of tensors.
      inputs: nest of tensors with a leading axis of runs.
      num_runs: number of runs.

    Returns:
      A nest of tensors with a leading axis of runs. `None` stays `None`.
    """
    # TensorFlow cannot vectorise a reduction over replicas.
    can_vectorize = not tf.executing_eagerly() and num_replicas() == 1
    if num_runs > 1 and can_vectorize:
        return tf.vectorized_map(function, inputs)
    runs = [_take_run(inputs, run) for run in range(num_runs)]
    results = list(map(function, runs))
    return tf.nest.map_structure(
        lambda *values: None if values[0] is None else tf.stack(values),
        *results,
    )


def _take_run(nest: Any, run: int) -> Any:
    """Returns one run of a nest of tensors with a leading axis of runs."""
    return tf.nest.map_structure(lambda x: x[run], nest)


def _bind_critics(
    objective: Objective, critic_params: list[list[tf.Tensor]]
) -> Objective:
    """Returns the objective, bound for one iteration, with these critics."""
    # All tapes are opened after this call, within the map over runs, so that
    # the objective may use shorter formulas.
    if not any(critic_params):
        return objective.bind(tapes_inside=True)
    current = objective.initial_state()
    critics = tuple(
        Weights(player_params, weights.non_trainable)
        for player_params, weights in zip(
            critic_params, current.critics, strict=True
        )
    )
    state = current._replace(critics=critics)
    return objective.bind(state, tapes_inside=True)


def _with_slow_critics(
    objective: Objective, slow_params: Sequence[list[tf.Tensor]]
) -> GameState | None:
    """Returns the state in which slow copies of the critics make targets."""
    if not any(slow_params):
        return None
    state = objective.initial_state()
    slow_critics = tuple(
        Weights(player_params, weights.non_trainable)
        for player_params, weights in zip(
            slow_params, state.critics, strict=True
        )
    )
    return state._replace(slow_critics=slow_critics)


def _with_entropy(rule: PlayerRule) -> tuple[Learner | None, float]:
    """Returns who makes the step, and the coefficient of what it leaves out.

    A learner that takes the entropy bonus into its direction leaves out
    nothing, and passes through the policy once for both.
    """
    learner, coefficient = rule.learner, rule.entropy_coefficient
    if learner is None or not coefficient:
        return learner, 0.0
    complete = learner.with_entropy(coefficient)
    return (learner, coefficient) if complete is None else (complete, 0.0)


def _learner_step(
    objective: Objective,
    learner: Learner | None,
    params: list[list[tf.Tensor]],
    player_id: int,
    seed: tf.Tensor | HoistedSeed,
    state: PlayerState,
) -> LearnerStep:
    """Returns the step of a learner, zeros for a frozen player."""
    if learner is None:
        zeros = [tf.zeros_like(parameter) for parameter in state.params]
        return LearnerStep(zeros, state.learner_state)
    return checked_step(
        learner, objective, params, player_id, seed, state.learner_state
    )


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
        direction = [gradient * scale for gradient in direction]
    return direction, norm
