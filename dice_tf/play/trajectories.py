"""What was played, and the log-probabilities of it.

The log-probabilities of a stored trajectory are computed anew, in one batched
call, as functions of the parameters: that is what keeps the inner updates of a
look-ahead differentiable. Of a policy with memory, it is a pass over time.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from dice_tf.distributions import action_log_probs, all_log_probs
from dice_tf.estimators.dice import magic_box
from dice_tf.estimators.returns import running_steps
from dice_tf.kernels.table_lookups import lookup
from dice_tf.models.seat_models import Weights
from dice_tf.play.actors import Actor
from dice_tf.policies.entropies import divergence, entropy


class Trajectory(NamedTuple):
    """What was seen and done in `B` episodes of `T` steps. Constant.

    What stands behind the end of an episode does not count, wherever a
    trajectory is read: it may be anything, such as NaN.

    Attributes:
      observations: one tensor per player, `[T, B, ...]`.
      actions: one tensor per player, int32 `[T, B]` (`[T, B, ...]`, or a nest
        of such, where the player's actions are not a finite set).
      rewards: one tensor per player, `[T, B]`.
      discounts: `[T, B]`, 0 at the step that ended an episode early, else 1.
      states: int32 `[T, B]`, the states of a `FiniteGame`, whose episodes
        never end early; else `None`.
      truncations: one tensor per player, `[T, B]`: 1 at the step that ended
        an episode early by cutting it off for this player. What the player
        saw then is its observation of the step after. Empty, as by default:
        never.
    """

    observations: tuple[tf.Tensor, ...]
    actions: tuple[tf.Tensor, ...]
    rewards: tuple[tf.Tensor, ...]
    discounts: tf.Tensor
    states: tf.Tensor | None
    truncations: tuple[tf.Tensor, ...] = ()


class PlayerSteps(NamedTuple):
    """What a player saw and did, all of it legal.

    Attributes:
      observations: `[T, B, ...]`.
      actions: `[T, B, ...]`, or a nest of such.
    """

    observations: tf.Tensor
    actions: tf.Tensor


def player_steps(trajectory: Trajectory, player_id: int) -> PlayerSteps:
    """Returns what a player saw and did; its first step behind the end.

    A network that is evaluated on what stands behind the end of an episode
    may return NaN there, and has then NaN as its derivatives, whatever weight
    of 0 they are given. The first step can stand for any other. What the
    player saw when its episode was cut off stays, since critics read it.

    Args:
      trajectory: what was played.
      player_id: the seat.
    """
    steps = PlayerSteps(
        trajectory.observations[player_id], trajectory.actions[player_id]
    )
    if trajectory.states is not None:
        return steps
    is_read = running_steps(trajectory.discounts)
    if trajectory.truncations:
        # Not by what stands behind another end.
        is_cut_off = is_read & (trajectory.truncations[player_id] > 0.0)
        is_read |= tf.concat(
            [tf.zeros_like(is_cut_off[:1]), is_cut_off[:-1]], axis=0
        )

    def until_end(x: tf.Tensor) -> tf.Tensor:
        axes = (tf.newaxis,) * (x.shape.rank - 2)
        return tf.where(is_read[(..., *axes)], x, x[:1])

    return tf.nest.map_structure(until_end, steps)


def step_discounts(trajectory: Trajectory, discount: float) -> Any:
    """Returns one discount where no episode ends early, else `[T, B]`.

    Args:
      trajectory: what was played.
      discount: in [0, 1], of each step.
    """
    if trajectory.states is not None:
        return discount
    return discount * trajectory.discounts


def player_log_probs(
    actor: Actor, weights: Weights, trajectory: Trajectory, player_id: int
) -> tf.Tensor:
    """Returns the log-probabilities of what a player did.

    Args:
      actor: the player's actor.
      weights: its weights, to which the result is differentiable.
      trajectory: what was played, held constant.
      player_id: the seat.

    Returns:
      `[T, B]`.

    Raises:
      ValueError: if the policy's distribution gives several log-probabilities
        for one action.

    Example:
      >>> actor = dice_tf.play.Actor(game, policies[0], 0)
      >>> opponent = dice_tf.play.Actor(game, policies[1], 1)
      >>> weights = [actor.model.weights(), opponent.model.weights()]
      >>> trajectory = dice_tf.play.sample_trajectory(
      ...     game, [actor, opponent], weights, batch_size=64, seed=(0, 1)
      ... )
      >>> with tf.GradientTape() as tape:
      ...     tape.watch(weights[0].params)
      ...     log_probs = dice_tf.play.player_log_probs(
      ...         actor, weights[0], trajectory, 0
      ...     )
      ...     returns = dice_tf.dice_objective(
      ...         log_probs, trajectory.rewards[0], discount=0.96
      ...     )
      >>> gradients = tape.gradient(returns, weights[0].params)
    """
    if not _has_table(actor, trajectory):
        observations, actions = player_steps(trajectory, player_id)
        distribution = actor.distribution(weights, observations)
        log_probs = action_log_probs(distribution, actions, actor.num_actions)
        if log_probs.shape.rank != 2:
            raise ValueError(
                f"The head of player {player_id} must return a distribution "
                "with one log-probability per action, of shape [T, B]. "
                f"Received shape {tuple(log_probs.shape)} from "
                f"{distribution}: make the last axes one event, with "
                "tfp.distributions.Independent."
            )
        return log_probs
    table = actor.log_prob_table(weights)
    actions = trajectory.actions[player_id]
    index = trajectory.states * actor.num_actions + actions
    return lookup(tf.reshape(table, [-1]), index)


def player_entropies(
    actor: Actor, weights: Weights, trajectory: Trajectory, player_id: int
) -> tf.Tensor:
    """Returns the entropy of a player's policy at each step, in nats.

    Where the actions are not a finite set and the distribution does not know
    its entropy, it is estimated by `-log_prob` of the action taken.

    Args:
      actor: the player's actor.
      weights: its weights, to which the result is differentiable.
      trajectory: what was played, held constant.
      player_id: the seat.

    Returns:
      `[T, B]`.

    Example:
      >>> actor = dice_tf.play.Actor(game, policies[0], 0)
      >>> opponent = dice_tf.play.Actor(game, policies[1], 1)
      >>> weights = [actor.model.weights(), opponent.model.weights()]
      >>> trajectory = dice_tf.play.sample_trajectory(
      ...     game, [actor, opponent], weights, batch_size=64, seed=(0, 1)
      ... )
      >>> entropies = dice_tf.play.player_entropies(
      ...     actor, weights[0], trajectory, 0
      ... )
      >>> bool(tf.reduce_all(entropies <= np.log(2.0)))
      True
    """
    if _has_table(actor, trajectory):
        table = actor.log_prob_table(weights)
        return lookup(entropy(table), trajectory.states)
    observations, actions = player_steps(trajectory, player_id)
    distribution = actor.distribution(weights, observations)
    if actor.num_actions is not None:
        return entropy(all_log_probs(distribution, actor.num_actions))
    try:
        return distribution.entropy()
    except (NotImplementedError, ValueError):
        # TFP raises the latter for a joint distribution of dependent parts.
        log_probs = distribution.log_prob(actions)
        return -magic_box(log_probs) * log_probs


def player_divergences(
    actor: Actor,
    weights: Weights,
    other: Actor,
    other_weights: Weights,
    trajectory: Trajectory,
    player_id: int,
) -> tf.Tensor:
    """Returns the divergence between two policies at each step, in nats.

    `KL(pi || pi') = sum_a pi(a) (log pi(a) - log pi'(a))`. Where the actions
    are not a finite set it is estimated by `log pi - log pi'` of the action
    taken, without bias if `pi` took it; the gradient in the parameters of `pi`
    is then that of the expectation.

    Args:
      actor: of `pi`.
      weights: its weights, to which the result is differentiable.
      other: the actor of `pi'`, in the same seat.
      other_weights: its weights, to which the result is differentiable.
      trajectory: what was played, held constant.
      player_id: the seat.

    Returns:
      `[T, B]`.
    """
    if actor.num_actions is None:
        log_probs = player_log_probs(actor, weights, trajectory, player_id)
        log_ratios = log_probs - player_log_probs(
            other, other_weights, trajectory, player_id
        )
        return magic_box(log_probs) * log_ratios
    if _has_table(actor, trajectory) and not other.has_memory:
        table = divergence(
            actor.log_prob_table(weights), other.log_prob_table(other_weights)
        )
        return lookup(table, trajectory.states)
    observations, _ = player_steps(trajectory, player_id)
    return divergence(
        *(
            all_log_probs(
                own.distribution(values, observations), actor.num_actions
            )
            for own, values in ((actor, weights), (other, other_weights))
        )
    )


def _has_table(actor: Actor, trajectory: Trajectory) -> bool:
    """Returns whether a state of the game tells what the player does."""
    return trajectory.states is not None and not actor.has_memory
