"""State values as baselines: of a critic, or from the batch itself."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from dice_tf.checks import check_choice
from dice_tf.estimators.dice import (
    LEAVE_ONE_OUT,
    is_leave_one_out,
    mean_of_others,
)
from dice_tf.estimators.returns import (
    discount_weights,
    discounted_rewards,
    returns_to_go,
)
from dice_tf.games.finite import FiniteGame
from dice_tf.games.game import Game
from dice_tf.kernels.table_lookups import (
    count_pairs,
    select_by_episode,
    select_by_step,
    sum_by_entry,
    sums_along,
)
from dice_tf.play.trajectories import Trajectory
from dice_tf.replicas import num_replicas, sum_over_replicas


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
    for baseline, player_rewards in zip(baselines, rewards, strict=True):
        discounted = discounted_rewards(player_rewards, discount)
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

    The value of state s at step t, for an episode, is the mean of the
    returns-to-go `G_t` of the other episodes that are in s at step t, and of
    one more that stands for all their play:

      `m_t + mean (G_k - m_k)`,

    where `m_t` is the mean of `G_t` over the other episodes, and the second
    mean is over their visits of s at any step k, each weighted by
    `discount^k` (0 if there are none). Where few episodes are in s at t, this
    term says most of what is known; where many are, their mean is the value
    of s with T - t steps to go. Since an episode's own actions have no part
    in its values, they are a baseline that leaves every derivative unbiased.

    Args:
      states: int32 `[T, B]`, with B of at least 2 over all replicas.
      rewards: `[T, B]`, of one player.
      num_states: number of states.
      discount: in [0, 1].

    Returns:
      `[T, B]`, constant.
    """
    states = tf.convert_to_tensor(states, tf.int32)
    weights = discount_weights(rewards, discount)
    returns = returns_to_go(rewards, discount)
    # [num_states, T]: sums over all episodes.
    visits, totals = sum_over_replicas(
        [
            sums_along(numbers, states, num_states, axis=0)
            for numbers in (tf.ones_like(rewards), returns)
        ]
    )
    batch_size = tf.cast(tf.shape(states)[1] * num_replicas(), rewards.dtype)
    of_step = tf.reduce_sum(totals, axis=0)[:, tf.newaxis] - returns
    of_step /= batch_size - 1.0
    # [num_states, B]: sums over time, of all episodes but one.
    weighted = visits * tf.transpose(weights)
    known = tf.reduce_sum(weighted, axis=1, keepdims=True)
    known -= sums_along(
        tf.broadcast_to(weights, states.shape), states, num_states, axis=1
    )
    surplus = (
        tf.linalg.matmul(totals, weights)
        - tf.linalg.matmul(weighted, of_step)
        - sums_along(weights * (returns - of_step), states, num_states, axis=1)
    )
    # Differences of sums leave rounding errors where there was no visit.
    is_known = known > 1e-5
    surplus = tf.where(is_known, surplus / tf.where(is_known, known, 1.0), 0.0)
    of_state = select_by_episode(surplus, states)
    # The visit that is left out makes room for the one that is added.
    return tf.stop_gradient(
        (select_by_step(totals, states) - returns + of_step + of_state)
        / select_by_step(visits, states)
    )


def bellman_state_values(
    states: tf.Tensor, rewards: tf.Tensor, num_states: int, discount: float
) -> tf.Tensor:
    """Returns the state values of the Markov chain that the batch shows.

    From all visits of the batch, at any step, the mean reward `r` of each
    state and the shares `P` of the states that follow it are counted. The
    value of state s at step t is that of the `T - t` steps to go,
    `V_{T-t}(s)`, with

      `V_0 = 0`, `V_k = r + discount P V_{k-1}`.

    These are the exact state values in the limit of many episodes, since the
    chain is the same at every step. They vary less than mean returns do: every
    visit of a state informs the value of all states that lead to it. An
    episode's own visits are counted too, a bias of the derivatives of the
    order of one over the visits. States never visited have the value 0.

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
    moves, rewards_seen, last_visits = sum_over_replicas(
        [
            count_pairs(states[:-1], states[1:], num_states, dtype),
            tf.reduce_sum(
                sums_along(rewards, states, num_states, axis=0), axis=1
            ),
            sum_by_entry(tf.ones_like(rewards[-1]), states[-1], num_states),
        ]
    )
    visits = tf.reduce_sum(moves, axis=1) + last_visits
    shares = tf.math.divide_no_nan(
        moves, tf.reduce_sum(moves, axis=1, keepdims=True)
    )
    expected = tf.math.divide_no_nan(rewards_seen, visits)
    values = _values_to_go(discount * shares, expected, length)
    return tf.stop_gradient(select_by_step(values, states))


def _values_to_go(
    matrix: tf.Tensor, rewards: tf.Tensor, length: int
) -> tf.Tensor:
    """Returns the value of each state at each step of a Markov chain.

    With k steps to go it is `V_k = r + M V_{k-1}`, where `V_0 = 0`. Every
    product gives as many values as are known, `V_{n+j} = V_n + M^n V_j`.

    Args:
      matrix: M, `[S, S]`, the discounted shares of the following states.
      rewards: r, `[S]`.
      length: T, the number of steps.

    Returns:
      `[S, T]`: `V_T` of the first step to `V_1` of the last.
    """
    values, power = rewards[:, tf.newaxis], matrix
    while values.shape[1] < length:
        if values.shape[1] > 1:
            power = power @ power
        nearest = values[:, -(length - values.shape[1]) :]
        farther = values[:, :1] + power @ nearest
        values = tf.concat([farther, values], axis=1)
    return values


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
    if baseline in OF_THE_BATCH and isinstance(game, FiniteGame):
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
