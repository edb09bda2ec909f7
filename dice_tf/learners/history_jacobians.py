"""How the outputs of a policy with memory depend on its parameters."""

import tensorflow as tf

from dice_tf.games.finite import FiniteGame
from dice_tf.kernels.finite_play import write_row
from dice_tf.kernels.scans import scan
from dice_tf.kernels.vectorised_loops import of_each_run
from dice_tf.learners.learner import gradient_of
from dice_tf.models.seat_models import SeatModel, Weights
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

    Two passes over time are enough for all rows. With `h_t` what is remembered
    before step t, `J_t` its derivative of `h_t+1`, and x_t what was seen, the
    adjoints of each mean z go back in time,

      `a_t = dz/dh_t + J_t^T a_t+1`,

    for all of them at once, and its row is a sum over steps,

      `dz/dtheta + sum_t a_t+1^T dh_t+1(theta, h_t, x_t)/dtheta`,

    in which `h_t` is held constant. The sums are taken one row after the other,
    as each may be large.

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
    model, params = actor.model, weights.params
    num_rows = game.num_states * model.num_outputs
    seen = trajectory.observations[player_id][:, :num_episodes]
    asked = tf.constant(game.observations[player_id], game.dtype)
    shares = _shares(game, trajectory, discount, num_episodes)
    shares = _for_each_output(shares, model.num_outputs)
    asked = tf.repeat(asked, model.num_outputs, axis=0)
    memory, adjoints = _adjoints(model, weights, seen, asked, shares)
    seen = tf.reshape(seen, [-1, *seen.shape[2:]])

    def row(number: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(params)
            _, following = model.step(weights, seen, memory)
            value = _mean_output(
                model, weights, memory, asked[number], shares[number]
            )
            for state, adjoint in zip(following, adjoints, strict=True):
                if adjoint is not None:
                    adjoint = tf.cast(adjoint[number], state.dtype)
                    moved = tf.reduce_sum(adjoint * state)
                    value += tf.cast(moved, value.dtype)
        gradients = gradient_of(tape, value, params)
        return tf.concat([tf.reshape(x, [-1]) for x in gradients], axis=0)

    num_params = sum(x.shape.num_elements() for x in params)
    rows = tf.zeros([num_rows, num_params], params[0].dtype)
    _, rows = tf.while_loop(
        lambda number, rows: number < num_rows,
        lambda number, rows: (
            number + 1,
            write_row(rows, number, row(number)),
        ),
        (tf.constant(0), of_each_run(rows, params[0])),
        maximum_iterations=num_rows,
    )
    return mean_over_replicas([rows])[0]


def _shares(
    game: FiniteGame, trajectory: Trajectory, discount: float, num_episodes: int
) -> tf.Tensor:
    """Returns the share of each step in the mean of each state, `[S, T, B]`."""
    # There are states: the game is finite.
    was_seen = tf.one_hot(
        trajectory.states[:, :num_episodes],  # type: ignore[index]
        game.num_states,
        axis=0,
        dtype=game.dtype,
    )
    visits = visit_weights(trajectory, discount)[:, :num_episodes]
    counts = (was_seen + _ALSO_SEEN) * visits
    return counts / tf.reduce_sum(counts, axis=[1, 2], keepdims=True)


def _for_each_output(shares: tf.Tensor, num_outputs: int) -> tf.Tensor:
    """Returns the share of each output of each step in each row.

    Args:
      shares: `[S, T, B]`.
      num_outputs: O.

    Returns:
      `[S * O, T * B, O]`, not 0 in one output of each row.
    """
    flat = tf.reshape(shares, [shares.shape[0], 1, -1, 1])
    outputs = tf.eye(num_outputs, dtype=shares.dtype)[:, tf.newaxis]
    return tf.reshape(flat * outputs, [-1, flat.shape[2], num_outputs])


def _mean_output(
    model: SeatModel,
    weights: Weights,
    memory: list[tf.Tensor],
    asked: tf.Tensor,
    shares: tf.Tensor,
) -> tf.Tensor:
    """Returns the mean of what a policy puts out if it sees an observation.

    Args:
      model: the policy.
      weights: its weights; the result is differentiable in them.
      memory: tensors `[T * B, ...]`, before each step; so it is in these.
      asked: `[...]`, the observation.
      shares: `[T * B, O]`.
    """
    batch = tf.broadcast_to(asked, [shares.shape[0], *asked.shape])
    outputs, _ = model.step(weights, batch, memory)
    return tf.reduce_sum(shares * outputs)


def _adjoints(
    model: SeatModel,
    weights: Weights,
    seen: tf.Tensor,
    asked: tf.Tensor,
    shares: tf.Tensor,
) -> tuple[list[tf.Tensor], list[tf.Tensor | None]]:
    """Returns what was remembered, and how much it counts for each row.

    All rows are one batch of R times as many episodes. A change of 0 is added
    to what is remembered before each step, and the derivative with respect to
    it is the adjoint.

    Args:
      model: the policy.
      weights: its weights.
      seen: `[T, B, ...]`, what it sees.
      asked: `[R, ...]`, what it would see, for each row.
      shares: `[R, T * B, O]`.

    Returns:
      Tensors `[T * B, ...]`, before each step, and `[R, T * B, ...]`, the
      adjoints of what follows it, `None` for states that are not floating.
    """
    length, batch_size = seen.shape[:2]
    num_rows, tail = asked.shape[0], seen.shape[2:]
    # Episodes by rows.
    seen = tf.tile(seen, [1, num_rows, *[1 for _ in tail]])
    start = model.initial_state(num_rows * batch_size)
    changes = [
        tf.zeros([length, *x.shape], x.dtype) for x in start if _changes(x)
    ]

    def cell(
        weights: Weights, memory: list[tf.Tensor], inputs: list[tf.Tensor]
    ) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        seen, *changes = inputs
        rest = iter(changes)
        memory = [x + next(rest) if _changes(x) else x for x in memory]
        _, following = model.step(weights, seen, memory)
        return following, memory

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(changes)
        _, memory = scan(cell, weights, start, [seen, *changes])
        memory = [_by_rows(x, num_rows) for x in memory]
        asked = tf.repeat(asked, length * batch_size, axis=0)
        outputs, _ = model.step(
            weights, asked, [tf.reshape(x, [-1, *x.shape[2:]]) for x in memory]
        )
        outputs = tf.reshape(outputs, shares.shape)
        means = tf.reduce_sum(shares * outputs)
    found = iter(gradient_of(tape, means, changes))
    return [x[0] for x in memory], [
        _by_rows(_one_step_later(next(found)), num_rows)
        if _changes(x)
        else None
        for x in start
    ]


def _changes(state: tf.Tensor) -> bool:
    """Returns whether derivatives exist for a state."""
    return state.dtype.is_floating


def _one_step_later(rows: tf.Tensor) -> tf.Tensor:
    """Returns the rows after the first, and zeros."""
    return tf.concat([rows[1:], tf.zeros_like(rows[:1])], axis=0)


def _by_rows(x: tf.Tensor, num_rows: int) -> tf.Tensor:
    """Returns `[R, T * B, ...]` for `[T, R * B, ...]`."""
    length, tail = x.shape[0], x.shape[2:]
    x = tf.reshape(x, [length, num_rows, -1, *tail])
    x = tf.transpose(x, [1, 0, *range(2, x.shape.rank)])
    return tf.reshape(x, [num_rows, -1, *tail])
