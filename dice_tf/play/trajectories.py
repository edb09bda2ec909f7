"""What was played, and the log-probabilities of it.

The log-probabilities of a stored trajectory are computed anew, in one batched
call, as functions of the parameters. This keeps the inner updates of a
look-ahead differentiable. A policy with memory takes a pass over time.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from dice_tf.checks import check_kind, check_player_id
from dice_tf.distributions import action_log_probs, all_log_probs
from dice_tf.estimators.dice import magic_box
from dice_tf.estimators.returns import running_steps
from dice_tf.kernels.table_lookups import lookup
from dice_tf.models.seat_models import Weights
from dice_tf.play.actors import Actor, check_weights
from dice_tf.policies.entropies import divergence, entropy


class Trajectory(NamedTuple):
    """What was seen and done in `B` episodes of `T` steps, held constant.

    What stands behind the end of an episode has no part in any result, and
    may be anything, such as NaN.

    Attributes:
      observations: one tensor per player, `[T, B, ...]`.
      actions: one tensor per player, int32 `[T, B]` (`[T, B, ...]`, or a nest
        of such, where the player's actions are not a finite set).
      rewards: one tensor per player, `[T, B]`.
      discounts: `[T, B]`, 0 at the step that ended an episode early, else 1.
      states: int32 `[T, B]`, the states of a `FiniteGame`, whose episodes
        never end early; `None` in other games.
      truncations: one tensor per player, `[T, B]`: 1 at the step that ended
        an episode early by cutting it off for this player. What the player
        saw then is its observation of the step after. It is empty, as by
        default, if no episode is ever cut off.
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
    """Returns what a player saw and did, and its first step behind the end.

    A network that is evaluated on what stands behind the end of an episode
    may return NaN there. Its derivatives are then NaN, even with a weight of
    0. Behind the end, the first step of the episode is put in its place. What
    the player saw when its episode was cut off stays, since critics read it.

    Args:
      trajectory: what was played.
      player_id: the seat.

    Returns:
      A `PlayerSteps`, held constant.
    """
    steps = PlayerSteps(
        trajectory.observations[player_id], trajectory.actions[player_id]
    )
    if trajectory.states is not None:
        return steps
    is_read = running_steps(trajectory.discounts)
    if trajectory.truncations:
        # What stands behind another end does not count as cut off.
        is_cut_off = is_read & (trajectory.truncations[player_id] > 0.0)
        is_read |= tf.concat(
            [tf.zeros_like(is_cut_off[:1]), is_cut_off[:-1]], axis=0
        )

    def until_end(x: tf.Tensor) -> tf.Tensor:
        axes = (tf.newaxis,) * (x.shape.rank - 2)
        return tf.where(is_read[(..., *axes)], x, x[:1])

    return tf.nest.map_structure(until_end, steps)


def step_discounts(trajectory: Trajectory, discount: float) -> Any:
    """Returns the discount of each step, 0 at the step that ended an episode.

    Args:
      trajectory: what was played.
      discount: in [0, 1], of each step.

    Returns:
      `discount` if no episode ends early, as in a `FiniteGame`, else `[T, B]`.
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
    _check_play(actor, weights, trajectory, player_id)
    acts = _acts(actor, weights, trajectory, player_id)
    return _log_probs(acts, actor, trajectory, player_id)


def player_action_log_probs(
    actor: Actor, weights: Weights, trajectory: Trajectory, player_id: int
) -> tf.Tensor:
    """Returns the log-probabilities of all actions at each step.

    Args:
      actor: the actor of a player whose actions are a finite set.
      weights: its weights, to which the result is differentiable.
      trajectory: what was played, held constant.
      player_id: the seat.

    Returns:
      `[T, B, num_actions]`.
    """
    states = _states(actor, trajectory)
    if states is not None:
        return tf.gather(actor.log_prob_table(weights), states)
    observations, _ = player_steps(trajectory, player_id)
    distribution = actor.distribution(weights, observations)
    # Of a finite set, as the arguments say.
    return all_log_probs(distribution, actor.num_actions)  # type: ignore[arg-type]


def player_entropies(
    actor: Actor, weights: Weights, trajectory: Trajectory, player_id: int
) -> tf.Tensor:
    """Returns the entropy of a player's policy at each step, in nats.

    If the actions are not a finite set and the distribution does not know its
    entropy, it is estimated by `-log_prob` of the action taken.

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
    _check_play(actor, weights, trajectory, player_id)
    acts = _acts(actor, weights, trajectory, player_id)
    return _entropies(acts, actor, trajectory)


class PlayerActs(NamedTuple):
    """What a policy says of a play.

    Attributes:
      log_probs: `[T, B]`, what `player_log_probs` returns.
      entropies: `[T, B]`, what `player_entropies` returns.
    """

    log_probs: tf.Tensor
    entropies: tf.Tensor


def player_acts(
    actor: Actor, weights: Weights, trajectory: Trajectory, player_id: int
) -> PlayerActs:
    """Returns log-probabilities and entropies, of one pass of the policy.

    The gradient of a sum of both passes back through the policy once. Each by
    itself would take a pass of its own, there and back.

    Args:
      actor: the player's actor.
      weights: its weights, to which the result is differentiable.
      trajectory: what was played, held constant.
      player_id: the seat.
    """
    acts = _acts(actor, weights, trajectory, player_id)
    return PlayerActs(
        _log_probs(acts, actor, trajectory, player_id),
        _entropies(acts, actor, trajectory),
    )


def player_divergences(
    actor: Actor,
    weights: Weights,
    compared_actor: Actor,
    compared_weights: Weights,
    trajectory: Trajectory,
    player_id: int,
) -> tf.Tensor:
    """Returns the divergence between two policies at each step, in nats.

    `KL(pi || pi') = sum_a pi(a) (log pi(a) - log pi'(a))`. If the actions are
    not a finite set, it is estimated by `log pi - log pi'` of the action
    taken, without bias if `pi` took it; the gradient in the parameters of `pi`
    is then that of the expectation.

    Args:
      actor: the actor of `pi`.
      weights: its weights, to which the result is differentiable.
      compared_actor: the actor of `pi'`, in the same seat.
      compared_weights: its weights, to which the result is differentiable.
      trajectory: what was played, held constant.
      player_id: the seat.

    Returns:
      `[T, B]`.
    """
    if actor.num_actions is None:
        log_probs = player_log_probs(actor, weights, trajectory, player_id)
        log_ratios = log_probs - player_log_probs(
            compared_actor, compared_weights, trajectory, player_id
        )
        return magic_box(log_probs) * log_ratios
    states = _states(actor, trajectory)
    if states is not None and not compared_actor.has_memory:
        table = divergence(
            actor.log_prob_table(weights),
            compared_actor.log_prob_table(compared_weights),
        )
        return lookup(table, states)
    observations, _ = player_steps(trajectory, player_id)
    distributions = (
        actor.distribution(weights, observations),
        compared_actor.distribution(compared_weights, observations),
    )
    return divergence(
        *(
            all_log_probs(distribution, actor.num_actions)
            for distribution in distributions
        )
    )


class _Acts(NamedTuple):
    """What a policy puts out for a play, and what was done.

    Attributes:
      outputs: a distribution over `[T, B]`; if the state of the game tells
        what the player does, its `log_prob_table` instead.
      actions: as of `Trajectory`.
    """

    outputs: Any
    actions: Any


def _acts(
    actor: Actor, weights: Weights, trajectory: Trajectory, player_id: int
) -> _Acts:
    if _states(actor, trajectory) is not None:
        table = actor.log_prob_table(weights)
        return _Acts(table, trajectory.actions[player_id])
    observations, actions = player_steps(trajectory, player_id)
    return _Acts(actor.distribution(weights, observations), actions)


def _log_probs(
    acts: _Acts, actor: Actor, trajectory: Trajectory, player_id: int
) -> tf.Tensor:
    """Returns `player_log_probs`."""
    outputs, actions = acts
    states = _states(actor, trajectory)
    if states is not None:
        num_actions = actor.check_table().num_actions
        index = states * num_actions + actions
        return lookup(tf.reshape(outputs, [-1]), index)
    log_probs = action_log_probs(outputs, actions, actor.num_actions)
    if log_probs.shape.rank != 2:
        raise ValueError(
            f"The head of player {player_id} must return a distribution "
            "with one log-probability per action, of shape [T, B]. "
            f"Received shape {tuple(log_probs.shape)} from "
            f"{outputs}: make the last axes one event, with "
            "tfp.distributions.Independent."
        )
    return log_probs


def _entropies(acts: _Acts, actor: Actor, trajectory: Trajectory) -> tf.Tensor:
    """Returns `player_entropies`."""
    outputs, actions = acts
    states = _states(actor, trajectory)
    if states is not None:
        return lookup(entropy(outputs), states)
    if actor.num_actions is not None:
        return entropy(all_log_probs(outputs, actor.num_actions))
    try:
        return outputs.entropy()
    except (NotImplementedError, ValueError):
        # TFP raises the latter for a joint distribution of dependent parts.
        log_probs = outputs.log_prob(actions)
        return -magic_box(log_probs) * log_probs


def _check_play(
    actor: Any, weights: Any, trajectory: Any, player_id: Any
) -> None:
    """Raises if these are not of a player and what was played."""
    check_kind("actor", actor, Actor, "a dice_tf.play.Actor")
    check_weights(weights)
    check_kind(
        "trajectory", trajectory, Trajectory, "a dice_tf.play.Trajectory"
    )
    check_player_id(player_id, len(trajectory.actions))


def _states(actor: Actor, trajectory: Trajectory) -> tf.Tensor | None:
    """Returns the states of the game if they tell what the player does."""
    return None if actor.has_memory else trajectory.states
