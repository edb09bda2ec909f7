"""How the outputs of a policy with memory depend on its parameters."""

import tensorflow as tf

from dice_tf.games.finite import FiniteGame
from dice_tf.kernels.finite_play import write_row
from dice_tf.kernels.scans import scan
from dice_tf.learners.learner import gradient_of
from dice_tf.models.seat_models import Weights
from dice_tf.objectives.visits import visit_weights
from dice_tf.play.actors import Actor
from dice_tf.play.trajectories import Trajectory
from dice_tf.replicas import mean_over_replicas

# Each state counts as seen in this share of the steps, in addition to those in
# which it was seen. Outputs for states that play avoids, such as the answer to
# a defection while all cooperate, are then measured, too. A step that moves
# other outputs would move them along, and nobody would notice.
_ALSO_SEEN = 0.01


def history_jacobian(
    game: FiniteGame,
    actor: Actor,
    weights: Weights,
    trajectory: Trajectory,
    player_id: int,
    *,
    discount: float,
    num_episodes: int,
) -> tf.Tensor:
    """Returns the Jacobian of a policy's mean outputs after what it saw last.

    What a policy with memory puts out depends on all that it has seen. For
    each state s of the game it is summed up in one mean over the histories
    `h_t,b` before each step that was played,

      `z_s = sum_t,b w_t,b(s) z(h_t,b, s) / sum_t,b w_t,b(s)`,

    where `z(h, s)` is the output of the policy if it sees s after h, whether or
    not this is what it saw, and `w_t,b(s) = discount^t (1[s_t,b = s] + 0.01)`.
    Without memory this is the output for s.

    The rows are computed one after the other, in a loop. Vectorised they would
    be loops in a vectorised map, which TensorFlow cannot convert if the runs
    are vectorised, too.

    Args:
      game: the game.
      actor: the player's actor, with memory.
      weights: its weights.
      trajectory: what was played.
      player_id: the seat.
      discount: in [0, 1].
      num_episodes: number of episodes whose histories are used, at most.

    Returns:
      `[S * num_outputs, num_params]`, constant, equal on all replicas. The
      outputs for one state are next to each other.
    """
    params, num_outputs = weights.params, actor.model.num_outputs
    num_rows = game.num_states * num_outputs
    seen = trajectory.observations[player_id][:, :num_episodes]
    table = tf.constant(game.observations[player_id], game.dtype)
    shares = _shares(game, trajectory, discount)[:, :num_episodes]

    def row(number: tf.Tensor) -> tf.Tensor:
        state = number // num_outputs
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(params)
            outputs = _outputs_after_histories(
                actor, weights, seen, tf.gather(table, state)
            )
            chosen = tf.gather(outputs, number % num_outputs, axis=2)
            counts = tf.gather(shares, state, axis=2)
            mean = tf.reduce_sum(counts * chosen) / tf.reduce_sum(counts)
        gradients = gradient_of(tape, mean, params)
        return tf.concat([tf.reshape(x, [-1]) for x in gradients], axis=0)

    # A buffer of zeros would be one for all runs: see `dice_tf.scan`.
    num_params = sum(x.shape.num_elements() for x in params)
    entry = tf.reshape(params[0], [-1])[0]
    _, rows = tf.while_loop(
        lambda number, rows: number < num_rows,
        lambda number, rows: (
            number + 1,
            write_row(rows, number, row(number)),
        ),
        (tf.constant(0), tf.fill([num_rows, num_params], entry)),
        maximum_iterations=num_rows,
    )
    return mean_over_replicas([rows])[0]


def _shares(
    game: FiniteGame, trajectory: Trajectory, discount: float
) -> tf.Tensor:
    """Returns how much each step counts for each state, `[T, B, S]`."""
    was_seen = tf.one_hot(trajectory.states, game.num_states, dtype=game.dtype)
    visits = visit_weights(trajectory, discount)
    return (was_seen + _ALSO_SEEN) * visits[..., tf.newaxis]


def _outputs_after_histories(
    actor: Actor, weights: Weights, seen: tf.Tensor, observation: tf.Tensor
) -> tf.Tensor:
    """Returns what a policy puts out if it sees an observation at any step.

    Args:
      actor: the player's actor.
      weights: its weights, to which the result is differentiable.
      seen: `[T, B, ...]`, what it sees, which makes the history of later steps.
      observation: `[...]`, what it would see.

    Returns:
      `[T, B, num_outputs]`.
    """
    model, batch_size = actor.model, seen.shape[1]
    asked = tf.broadcast_to(observation, seen.shape[1:])

    def cell(
        params: tuple[Weights, tf.Tensor],
        memory: list[tf.Tensor],
        seen: tf.Tensor,
    ) -> tuple[list[tf.Tensor], tf.Tensor]:
        weights, asked = params
        # One call for both: what it sees first, then what it would see.
        outputs, following = model.step(
            weights,
            tf.concat([seen, asked], axis=0),
            [tf.concat([x, x], axis=0) for x in memory],
        )
        return [x[:batch_size] for x in following], outputs[batch_size:]

    start = model.initial_state(batch_size)
    _, outputs = scan(cell, (weights, asked), start, seen)
    return outputs
