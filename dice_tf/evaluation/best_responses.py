"""Best responses: the most that a player can make of the others' policies.

Against policies that see only the state of a `FiniteGame` (in an iterated
matrix game the previous joint action, or the start) a player faces a Markov
decision process with the same states. Nothing that it could remember beyond
them helps, so that an optimal policy of that process is a best response among
all policies, of any memory.
"""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np

from dice_tf.checks import check_model, check_per_player, check_player_id
from dice_tf.evaluation.tables import (
    check_finite_game,
    log_prob_table,
    observation_of_state,
)
from dice_tf.games.finite import FiniteGame
from dice_tf.play.actors import Actor
from dice_tf.play.exact_values import (
    OF_THE_GAME,
    EpisodeLength,
    Horizon,
    check_horizon,
)

# Relative to the largest value: below it actions are equally good.
_TOLERANCE = 1e-11

# Steps times states of backward induction: minutes, and 80 MB of actions.
_MOST_STEPS = 10**7


class BestResponse(NamedTuple):
    """The most that a player can get, and how.

    Attributes:
      value: the reported return: `1 - discount` times the discounted sum of
        rewards, the mean reward per step at discount 1.
      actions: the best action for each observation of the player (own action
        first): int `[num_observations]` with an infinite horizon, and
        `[T, num_observations]` in an episode of T steps, where what is best
        depends on how many are left. The first one of equally good actions.
    """

    value: float
    actions: np.ndarray


class DecisionProcess(NamedTuple):
    """What a player faces, the others' policies given.

    Attributes:
      rewards: expected, `[S, A]`.
      transitions: probabilities, `[S, A, S]`.
      initial: probabilities, `[S]`.
      legal: which actions are legal, bool `[S, A]`.
    """

    rewards: np.ndarray
    transitions: np.ndarray
    initial: np.ndarray
    legal: np.ndarray


def best_response(
    game: FiniteGame,
    policies: Sequence[keras.Model | None],
    player_id: int,
    *,
    discount: float = 0.96,
    episode_length: EpisodeLength = OF_THE_GAME,
) -> BestResponse:
    """Returns a best response of a player to the policies of the others.

    Exact, in float64: by policy iteration with an infinite horizon, by
    backward induction in an episode. For any number of players.

    Args:
      game: a `FiniteGame` in which the player sees the state one-hot, such as
        every iterated matrix game.
      policies: one `keras.Model` per player. The entry of the player itself
        does not count, and may be `None`.
      player_id: who responds.
      discount: in [0, 1], below 1 with an infinite horizon.
      episode_length: number of steps, or `None` for an infinite horizon.
        Default: that of the game.

    Returns:
      A `BestResponse`. No policy of any memory gets more.

    Raises:
      TypeError: if the game is not a `FiniteGame`, or a policy is not a
        `keras.Model`.
      ValueError: if a policy does not fit its seat, a number is outside of
        its range, observations are not one-hot, or probabilities of the others
        are not finite.

    Example:
      >>> opponent = dice_tf.policies.tit_for_tat(game, 1)
      >>> response = dice_tf.evaluation.best_response(
      ...     game, [None, opponent], 0, discount=0.96, episode_length=None
      ... )
      >>> response.actions
      array([0, 0, 0, 0, 0])
      >>> policy = dice_tf.policies.fixed_policy(
      ...     game, 0, np.eye(game.num_actions[0])[response.actions]
      ... )

    References:
      Puterman 1994 (Markov Decision Processes), chapters 4 and 6.
    """
    check_finite_game(game)
    player_id = check_player_id(player_id, game.num_players)
    policies = check_per_player("policies", policies, game.num_players)
    horizon = check_horizon(game, discount, episode_length)
    for seat, policy in enumerate(policies):
        if seat != player_id:
            check_model(f"policies[{seat}]", policy)
    probabilities = [
        None
        if seat == player_id
        else np.exp(log_prob_table(Actor(game, policy, seat)).numpy())
        for seat, policy in enumerate(policies)
    ]
    for seat, table in enumerate(probabilities):
        if table is not None and not np.all(np.isfinite(table)):
            raise ValueError(
                f"`policies[{seat}]` ({policies[seat].name!r}) must give "
                "finite probabilities: there is no best response to NaN. Its "
                "weights may be those of a training that has diverged."
            )
    return respond(game, probabilities, player_id, horizon)


def respond(
    game: FiniteGame,
    probabilities: Sequence[np.ndarray | None],
    player_id: int,
    horizon: Horizon,
) -> BestResponse:
    """Returns a best response to finite probabilities `[S, A_j]`, by state."""
    numbers = observation_of_state(game, player_id)
    process = decision_process(game, probabilities, player_id)
    if horizon.episode_length is None:
        values, by_state = iterate_policies(process, horizon.discount)
    else:
        values, by_state = induce_backwards(
            process, horizon.discount, horizon.episode_length
        )
    actions = np.empty_like(by_state)
    actions[..., numbers] = by_state
    value = horizon.return_scale * float(process.initial @ values)
    return BestResponse(value, actions)


def decision_process(
    game: FiniteGame,
    probabilities: Sequence[np.ndarray | None],
    player_id: int,
) -> DecisionProcess:
    """Averages a game's tables over what the other players do."""

    def average(table: np.ndarray) -> np.ndarray:
        # Start at the last seat, so that earlier seats keep their axes.
        for seat, chances in reversed([*enumerate(probabilities)]):
            if chances is not None and seat != player_id:
                table = np.einsum(
                    "sa,sa...->s...",
                    chances,
                    np.moveaxis(table, 1 + seat, 1),
                )
        return table

    rewards = average(game.rewards[player_id])
    legal = np.ones(rewards.shape, bool)
    if game.action_masks is not None:
        legal = game.action_masks[player_id]
    return DecisionProcess(
        rewards, average(game.transitions), game.initial, legal
    )


def iterate_policies(
    process: DecisionProcess, discount: float
) -> tuple[np.ndarray, np.ndarray]:
    """Solves a process with an infinite horizon, by policy iteration.

    Args:
      process: the process.
      discount: below 1.

    Returns:
      Values `[S]`, discounted sums of rewards, and actions int `[S]`.
    """
    states = np.arange(len(process.rewards))
    actions, _ = _best(process.rewards, process.legal)
    while True:
        chain = process.transitions[states, actions]
        values = np.linalg.solve(
            np.eye(len(states)) - discount * chain,
            process.rewards[states, actions],
        )
        worth = process.rewards + discount * process.transitions @ values
        best, good = _best(worth, process.legal)
        # Keep an action that is as good as the best one: otherwise rounding
        # could make the iteration cycle.
        if np.all(good[states, actions]):
            return values, best
        actions = np.where(good[states, actions], actions, best)


def induce_backwards(
    process: DecisionProcess, discount: float, episode_length: int
) -> tuple[np.ndarray, np.ndarray]:
    """Solves an episode, by backward induction.

    Args:
      process: the process.
      discount: in [0, 1].
      episode_length: T.

    Returns:
      Values `[S]` at the first step, discounted sums of rewards, and actions
      int `[T, S]`.

    Raises:
      ValueError: if there are too many steps.
    """
    if episode_length * len(process.rewards) > _MOST_STEPS:
        raise ValueError(
            "`episode_length` must be smaller, or None: a best response has "
            "an action for each step and state, and at most "
            f"{_MOST_STEPS} of them. Received: episode_length="
            f"{episode_length}, for {len(process.rewards)} states."
        )
    values = np.zeros(len(process.rewards))
    actions = np.empty((episode_length, len(values)), int)
    for step in reversed(range(episode_length)):
        worth = process.rewards + discount * process.transitions @ values
        actions[step], _ = _best(worth, process.legal)
        values = worth.max(axis=1, where=process.legal, initial=-np.inf)
    return values, actions


def _best(
    worth: np.ndarray, legal: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the first best action `[S]`, and which are as good `[S, A]`."""
    most = worth.max(axis=1, keepdims=True, where=legal, initial=-np.inf)
    good = legal & (worth >= most - _TOLERANCE * np.abs(worth[legal]).max())
    return np.argmax(good, axis=1), good
