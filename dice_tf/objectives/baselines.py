"""State values as baselines: of a critic, or from the batch itself."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from dice_tf.checks import check_choice
from dice_tf.dice import LEAVE_ONE_OUT, is_leave_one_out, mean_of_others
from dice_tf.exact import geometric_sum
from dice_tf.games.finite import FiniteGame
from dice_tf.games.game import Game
from dice_tf.replicas import num_replicas, sum_over_replicas
from dice_tf.returns import (
    discount_weights,
    discounted_rewards,
    returns_to_go,
)
from dice_tf.tables import lookup
from dice_tf.trajectory import Trajectory


class CentringMeans(NamedTuple):
    """A leave-one-out baseline that has been computed, see `dice_objective`.

    Attributes:
      means: `[T, B]`, what centres the discounted rewards.
    """

    means: tf.Tensor

    def __call__(self, discounted: tf.Tensor) -> tf.Tensor:
        return self.means


def by_episode(
    baselines: Sequence[Any], rewards: Sequence[tf.Tensor], discount: Any
) -> list[Any]:
    """Returns baselines that hold tensors `[T, B]` (or are `None`).

    Args:
      baselines: of `dice_objective`, one per player, all of one kind.
      rewards: one tensor `[T, B]` per player.
      discount: of `dice_objective`.
    """
    if baselines[0] is None or not is_leave_one_out(baselines[0]):
        return list(baselines)
    means = []
    for baseline, own in zip(baselines, rewards, strict=True):
        discounted = discounted_rewards(own, discount)
        means.append(CentringMeans(mean_of_others(baseline, discounted)))
    return means


def leave_one_out_over_replicas(x: tf.Tensor) -> tf.Tensor:
    """Returns the mean over the other episodes of all replicas.

    Args:
      x: `[T, B / N]`, the share of one of N replicas.

    Returns:
      `[T, B / N]`, constant.
    """
    (total,) = sum_over_replicas([tf.reduce_sum(x, axis=1, keepdims=True)])
    batch_size = tf.shape(x)[1] * num_replicas()
    return (total - x) / tf.cast(batch_size - 1, x.dtype)


def leave_one_out_state_values(
    states: tf.Tensor, rewards: tf.Tensor, num_states: int, discount: float
) -> tf.Tensor:
    """Returns the mean return that the *other* episodes had from each state.

    The value of state s, for an episode, is the mean of the returns-to-go
    `G_t` over all visits of s by the other episodes, at any time, each
    weighted by `discount^t`. A state that no other episode visits gets their
    mean over all states. Since an episode's own actions have no part in its
    values, they are a baseline that leaves every derivative unbiased.

    Args:
      states: int32 `[T, B]`.
      rewards: `[T, B]`, of one player.
      num_states: number of states.
      discount: in [0, 1].

    Returns:
      `[T, B]`, constant.
    """
    weights = discount_weights(discount, rewards)
    returns = weights * returns_to_go(rewards, discount)
    number = tf.range(num_states)[:, tf.newaxis, tf.newaxis]
    visited = tf.cast(states[tf.newaxis] == number, rewards.dtype)
    # [num_states, B]: sums over an episode, then over all but that episode.
    own = [
        tf.reduce_sum(visited * returns, axis=1),
        tf.reduce_sum(visited * weights, axis=1),
    ]
    every = sum_over_replicas(
        [tf.reduce_sum(x, axis=1, keepdims=True) for x in own]
    )
    totals, visits = (x - y for x, y in zip(every, own, strict=True))
    overall = tf.math.divide_no_nan(
        tf.reduce_sum(totals, axis=0), tf.reduce_sum(visits, axis=0)
    )
    # Differences of sums leave rounding errors where there was no visit.
    known = visits > 1e-5
    values = tf.where(known, totals / tf.where(known, visits, 1.0), overall)
    return tf.stop_gradient(
        tf.reduce_sum(visited * values[:, tf.newaxis], axis=0)
    )


def bellman_state_values(
    states: tf.Tensor, rewards: tf.Tensor, num_states: int, discount: float
) -> tf.Tensor:
    """Returns the state values of the Markov chain that the batch shows.

    From all visits of the batch, at any time, the mean reward `r` of each
    state and the shares `P` of the states that follow it are counted; the
    values are `sum_t (discount P)^t r` over the length of an episode. They
    vary less than mean returns do, since every visit of a state informs the
    value of all that lead to it. An episode's own visits are counted too, a
    bias of the order of one over the visits. States never visited have the
    value 0.

    Args:
      states: int32 `[T, B]`.
      rewards: `[T, B]`, of one player.
      num_states: number of states.
      discount: in [0, 1].

    Returns:
      `[T, B]`, constant.
    """
    states = tf.convert_to_tensor(states, tf.int32)
    length = states.shape[0]
    dtype = rewards.dtype
    number = tf.range(num_states)[:, tf.newaxis, tf.newaxis]
    visited = tf.cast(tf.expand_dims(states, 0) == number, dtype)
    before = tf.reshape(visited[:, :-1], [num_states, -1])
    after = tf.reshape(visited[:, 1:], [num_states, -1])
    moves, rewards_seen, visits = sum_over_replicas(
        [
            tf.linalg.matmul(before, after, transpose_b=True),
            tf.reduce_sum(visited * rewards, axis=[1, 2]),
            tf.reduce_sum(visited, axis=[1, 2]),
        ]
    )
    shares = tf.math.divide_no_nan(
        moves, tf.reduce_sum(moves, axis=1, keepdims=True)
    )
    expected = tf.math.divide_no_nan(rewards_seen, visits)
    total = geometric_sum(
        tf.constant(discount, dtype) * shares,
        tf.eye(num_states, dtype=dtype),
        length,
    )
    values = tf.linalg.matvec(total, expected)
    return tf.stop_gradient(lookup(values, states))


STATE_VALUES = "state_values"
BELLMAN_VALUES = "bellman_values"
CRITIC = "critic"

OF_THE_BATCH = {
    STATE_VALUES: leave_one_out_state_values,
    BELLMAN_VALUES: bellman_state_values,
}


def batch_baseline(
    baseline: str | None,
    game: Game,
    trajectory: Trajectory,
    discount: float,
    player_id: int,
) -> Any:
    """Returns what `dice_objective` takes as the baseline of that name.

    Args:
      baseline: any but that of critics.
      game: what was played.
      trajectory: the play.
      discount: in [0, 1].
      player_id: whose baseline.
    """
    if baseline in OF_THE_BATCH:
        return OF_THE_BATCH[baseline](
            trajectory.states,
            trajectory.rewards[player_id],
            game.num_states,
            discount,
        )
    if baseline == LEAVE_ONE_OUT and num_replicas() > 1:
        return leave_one_out_over_replicas
    return baseline


def check_baseline(
    baseline: Any, game: Game, batch_size: int, critics: Any
) -> str | None:
    """Returns the name of a baseline, or raises if it does not fit."""
    choices = (None, LEAVE_ONE_OUT, *OF_THE_BATCH, CRITIC)
    check_choice("baseline", baseline, choices)
    if baseline in (LEAVE_ONE_OUT, STATE_VALUES) and batch_size == 1:
        raise ValueError(
            f"The baseline {baseline!r} needs `batch_size` of at least "
            "2. Received: batch_size=1."
        )
    if baseline in OF_THE_BATCH and not isinstance(game, FiniteGame):
        raise ValueError(
            f"The baseline {baseline!r} needs a game with finitely many "
            "states (a dice_tf.games.FiniteGame). Received: "
            f"{type(game).__name__}. Use the baseline 'critic'."
        )
    if (critics is not None) != (baseline == CRITIC):
        raise ValueError(
            "`critics` and baseline='critic' belong together. Received: "
            f"baseline={baseline!r} and "
            f"{'no' if critics is None else 'some'} critics."
        )
    return baseline


def check_state_values(reason: str, baseline: str | None) -> None:
    """Raises if a baseline is not one of state values."""
    if baseline not in (*OF_THE_BATCH, CRITIC):
        raise ValueError(
            f"{reason} a baseline of state values: {STATE_VALUES!r}, "
            f"{BELLMAN_VALUES!r} or {CRITIC!r}. Received: "
            f"baseline={baseline!r}."
        )
