"""Playing a game: trajectories, sampled in a forward-only loop.

No gradient flows through a rollout: differentiating through a loop under XLA
on CPU can hang, and what a learner differentiates are the log-probabilities of
the trajectory, see `dice_tf.play.trajectories`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import tensorflow as tf

from dice_tf.checks import (
    LARGEST_SIZE,
    check_kind,
    check_per_player,
    check_whole_number,
)
from dice_tf.distributions import all_log_probs
from dice_tf.games.finite import FiniteGame, acts_by_state
from dice_tf.games.game import Game, TimeStep, check_game_type
from dice_tf.kernels.finite_play import write_row
from dice_tf.kernels.vectorised_loops import of_each_run
from dice_tf.models.seat_models import Weights
from dice_tf.play.actors import Actor
from dice_tf.play.finite_rollouts import sample_finite
from dice_tf.play.trajectories import Trajectory
from dice_tf.policies.sampling import have_nan, nan_where, sample_actions
from dice_tf.replicas import own_seed, own_share, share_size
from dice_tf.seeds import (
    child_tensors,
    private_seed,
    seed_tensor,
    split_seed,
    uniform,
)


def sample_trajectory(
    game: Game,
    actors: Sequence[Actor],
    weights: Sequence[Weights],
    *,
    batch_size: int,
    seed: Any,
) -> Trajectory:
    """Plays `batch_size` episodes of a game; a replica plays its share.

    Episodes are the same however many replicas share them, but for what is
    drawn from a seed during play: by the head of a policy whose actions are
    not a finite set, and by `Game.step`. There each replica has its own seed.

    Args:
      game: the game.
      actors: one per player.
      weights: the weights that each plays with; no gradient flows to them.
      batch_size: B.
      seed: int32 `[2]`.

    Returns:
      A `Trajectory`.

    Raises:
      TypeError: if an argument is of another type.
      ValueError: if there is not one actor and one entry of weights per
        player; if `batch_size` is below 1, or so large that the actions of a
        play cannot be numbered in int32; or if the replicas cannot share it
        evenly.

    Example:
      >>> actors = [
      ...     dice_tf.play.Actor(game, policy, player_id)
      ...     for player_id, policy in enumerate(policies)
      ... ]
      >>> weights = [actor.model.weights() for actor in actors]
      >>> trajectory = dice_tf.play.sample_trajectory(
      ...     game, actors, weights, batch_size=64, seed=(0, 1)
      ... )
      >>> trajectory.rewards[0].shape == (game.episode_length, 64)
      True
    """
    check_game_type(game)
    for name, values, kind, expected in (
        ("actors", actors, _Player, "a dice_tf.play.Actor"),
        ("weights", weights, Weights, "what `actor.model.weights()` returns"),
    ):
        check_per_player(name, values, game.num_players)
        for player_id, value in enumerate(values):
            check_kind(f"{name}[{player_id}]", value, kind, expected)
    check_play_size(game, batch_size)
    share_size(batch_size)
    # Not even recorded: a loop that a tape has seen cannot be vectorised.
    weights = tf.nest.map_structure(tf.stop_gradient, list(weights))
    if acts_by_state(game, (actor.has_memory for actor in actors)):
        trajectory = sample_finite(game, actors, weights, batch_size, seed)
    else:
        trajectory = _sample_general(game, actors, weights, batch_size, seed)
    # To tf.nest, `None` is a leaf.
    return tf.nest.map_structure(
        lambda x: None if x is None else tf.stop_gradient(x), trajectory
    )


def check_play_size(game: Game, batch_size: Any) -> int:
    """Returns `batch_size`, or raises if a play has too many steps.

    TensorFlow counts in int32 what is drawn for a play.
    """
    batch_size = check_whole_number("batch_size", batch_size, 1)
    num_draws = game.episode_length * game.num_players * batch_size
    if num_draws > LARGEST_SIZE:
        raise ValueError(
            "`batch_size` must be smaller: with "
            f"episode_length={game.episode_length} and {game.num_players} "
            f"players, batch_size={batch_size} are {num_draws} actions, and a "
            f"play may have {LARGEST_SIZE}."
        )
    return batch_size


@runtime_checkable
class _Player(Protocol):
    """What the play of a game needs of an `Actor`, at least."""

    has_memory: bool

    def log_prob_table(self, weights: Weights) -> tf.Tensor: ...


class _Acts(NamedTuple):
    """What all players do at one step.

    Attributes:
      actions: one per player, as of `Game.step`.
      memories: one per player, what its policy remembers after the step.
      are_nan: bool `[B]`, whether a probability or an action is NaN.
    """

    actions: tuple[Any, ...]
    memories: list[Any]
    are_nan: tf.Tensor


def _sample_general(
    game: Game,
    actors: Sequence[Actor],
    weights: Sequence[Weights],
    batch_size: int,
    seed: Any,
) -> Trajectory:
    """Plays step by step, with each policy called at every step.

    What policies with memory remember is carried from step to step. Of a
    finite game, its states are kept.

    NaN probabilities would play the first action. The rewards of such a step
    are NaN for all players: nothing that follows from it is a return.
    """
    length = game.episode_length
    # A learner may split the seed too, and play again with a child of it.
    reset_seed, *seeds = split_seed(private_seed(seed), 2 + game.num_players)
    *player_keys, game_keys = [child_tensors(child, length) for child in seeds]
    keeps_states = isinstance(game, FiniteGame)

    def act_all(step: tf.Tensor, observations: Any, memories: Any) -> _Acts:
        acts = [
            _act(
                actor,
                weights[player_id],
                observations[player_id],
                memories[player_id],
                player_keys[player_id][step],
                batch_size,
            )
            for player_id, actor in enumerate(actors)
        ]
        actions, memories, are_nan = zip(*acts, strict=True)
        return _Acts(actions, list(memories), tf.reduce_any(are_nan, axis=0))

    def play(
        step: tf.Tensor, state: Any, observations: Any, memories: Any, rows: Any
    ) -> tuple[Any, ...]:
        acts = act_all(step, observations, memories)
        before = state if keeps_states else ()
        state, after = game.step(state, acts.actions, own_seed(game_keys[step]))
        rewards = [nan_where(acts.are_nan, reward) for reward in after.rewards]
        after = after._replace(rewards=tuple(rewards))
        row = _row(observations, acts.actions, after, before)
        rows = _write(rows, step, row)
        return step + 1, state, after.observations, acts.memories, rows

    state, first = own_share(game.reset(seed_tensor(reset_seed), batch_size))
    memories = [
        actor.model.initial_state(share_size(batch_size)) for actor in actors
    ]
    # The first actions are drawn for their shapes and dtypes.
    actions = act_all(tf.constant(0), first.observations, memories).actions
    before = state if keeps_states else ()
    rows = _empty(length, _row(first.observations, actions, first, before))
    start = of_each_run(
        (state, first.observations, memories, rows), seed_tensor(reset_seed)
    )
    *_, played = tf.while_loop(
        lambda step, *_: step < length,
        play,
        (tf.constant(0), *start),
        maximum_iterations=length,
    )
    trajectory = Trajectory(*played)
    return trajectory if keeps_states else trajectory._replace(states=None)


def _act(
    actor: Actor,
    weights: Weights,
    observations: tf.Tensor,
    memory: list[tf.Tensor],
    key: tf.Tensor,
    batch_size: int,
) -> tuple[Any, list[tf.Tensor], tf.Tensor]:
    """Returns what one player does, its memory, and `are_nan` of it alone."""
    distribution, memory = actor.step(weights, observations, memory)
    if actor.num_actions is None:
        action = distribution.sample(seed=own_seed(key))
        return action, memory, have_nan(action)
    log_probs = all_log_probs(distribution, actor.num_actions)
    noise = own_share(uniform(key, [batch_size], log_probs.dtype))
    action = sample_actions(log_probs, noise)
    return action, memory, have_nan(log_probs)


def _empty(length: int, row: Any) -> Any:
    """Returns nests of rows of zeros, one for each step, like those of one."""
    return tf.nest.map_structure(
        lambda x: tf.zeros([length, *x.shape], x.dtype), row
    )


def _write(rows: Any, step: tf.Tensor, row: Any) -> Any:
    """Returns nests of rows with those of a step written."""
    return tf.nest.map_structure(
        lambda buffer, one: write_row(buffer, step, one), rows, row
    )


def _row(
    observations: tuple[Any, ...],
    actions: tuple[Any, ...],
    after: TimeStep,
    before: Any,
) -> tuple[Any, ...]:
    """Returns what is kept of a step, in the order of `Trajectory`."""
    return (
        observations,
        actions,
        after.rewards,
        after.discounts,
        before,
        after.truncations,
    )
