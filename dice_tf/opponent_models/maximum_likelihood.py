"""Fitting a policy to what a player was seen to do."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from dice_tf.estimators.returns import running_steps
from dice_tf.inner_optimizers import InnerOptimizer
from dice_tf.kernels.table_lookups import sum_by_entry
from dice_tf.learners.learner import gradient_of
from dice_tf.models.seat_models import Weights
from dice_tf.play.actors import Actor
from dice_tf.play.trajectories import Trajectory, player_log_probs
from dice_tf.replicas import mean_over_replicas, to_replicas

LogLikelihood = Callable[[Weights], tf.Tensor]


def log_likelihood(
    actor: Actor, trajectory: Trajectory, player_id: int
) -> LogLikelihood:
    """Returns the mean log-likelihood of what was done, by weights.

    `L(w) = mean_{t, b} log pi_w(a_t,b | o_t,b)`, over the steps until an
    episode ends.

    Args:
      actor: of the policy to be fitted.
      trajectory: what was played.
      player_id: the seat.

    Returns:
      A function from `Weights` to a scalar, differentiable in them.
    """
    if trajectory.states is None or actor.has_memory:
        running = running_steps(trajectory.discounts)
        running = tf.cast(running, trajectory.discounts.dtype)
        (total,) = mean_over_replicas([tf.reduce_sum(running)])
        shares = running / total

        def mean(weights: Weights) -> tf.Tensor:
            weights = weights._replace(params=to_replicas(weights.params))
            log_probs = player_log_probs(actor, weights, trajectory, player_id)
            return mean_over_replicas([tf.reduce_sum(shares * log_probs)])[0]

        return mean
    # A sum that is linear in the table needs only how often each entry was
    # seen.
    states, num_actions = actor.check_table()
    shape = [states.shape[0], num_actions]
    index = trajectory.states * shape[1] + trajectory.actions[player_id]
    seen = sum_by_entry(
        tf.ones_like(trajectory.discounts), index, shape[0] * shape[1]
    )
    shares = seen / tf.cast(tf.size(index), seen.dtype)
    (shares,) = mean_over_replicas([tf.reshape(shares, shape)])

    def value(weights: Weights) -> tf.Tensor:
        # What was never done may have the log-probability -infinity.
        table = actor.log_prob_table(weights)
        table = tf.where(shares > 0.0, table, tf.zeros_like(table))
        return tf.reduce_sum(shares * table)

    return value


def ascend(
    function: LogLikelihood,
    weights: Weights,
    slots: Any,
    optimizer: InnerOptimizer,
    learning_rate: Any,
    num_steps: int,
) -> tuple[Weights, Any]:
    """Makes steps of ascent on a function of the trainable weights.

    Args:
      function: from `Weights` to a scalar.
      weights: where to start.
      slots: what the optimiser remembers.
      optimizer: the rule of a step.
      learning_rate: of each step, a number or a scalar tensor.
      num_steps: how many.

    Returns:
      Weights and slots after the steps.
    """
    for _ in range(num_steps):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights.params)
            value = function(weights)
        params, slots = optimizer.step(
            weights.params,
            gradient_of(tape, value, weights.params),
            slots,
            learning_rate,
        )
        weights = weights._replace(params=params)
    return weights, slots
