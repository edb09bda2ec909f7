"""Exact matches of tables in the Coin Game, best responses, and episodes."""

from typing import NamedTuple

import numpy as np

import dice_tf

from .league_tables import (
    GRID_SIZE,
    NUM_ACTIONS,
    NUM_CELLS,
    shifted,
    situations,
)

# Actions whose worth differs by less are equally good.
_TOLERANCE = 1e-9
# By action, the place of the cell to which it leads, as seen from the player.
_STEPS = np.array([1, GRID_SIZE - 1, GRID_SIZE, GRID_SIZE * (GRID_SIZE - 1)])


class Dynamics(NamedTuple):
    """The rules, by state of `TabularCoinGame` and by both players' actions.

    Where on the torus player 0 stands is not part of the state: its cell
    changes by its own action alone.

    Attributes:
      rewards: `[2, S, 4, 4]`.
      pick_ups: `[2, 2, S, 4, 4]`, of each player, of its own coins first.
      transitions: `[S, 4, 4, S]`, probabilities.
      by_action: `[4, S * 4, S]`, the same by the action of player 0 first.
      initial: `[S]`, probabilities.
      seen: `[S]`, the number of the state that player 1 sees.
      other: `[S]`, where player 1 stands as seen from player 0.
    """

    rewards: np.ndarray
    pick_ups: np.ndarray
    transitions: np.ndarray
    by_action: np.ndarray
    initial: np.ndarray
    seen: np.ndarray
    other: np.ndarray


class Exploited(NamedTuple):
    """What the most profitable answer to a player leads to.

    Attributes:
      response_reward: mean reward a step of the best responder.
      reward: that of the player meanwhile.
    """

    response_reward: float
    reward: float


def dynamics() -> Dynamics:
    """Returns the rules of the Coin Game on the grid of the league."""
    game = dice_tf.games.TabularCoinGame(grid_size=GRID_SIZE, dtype="float64")
    by_action = np.moveaxis(game.transitions, 1, 0)
    return Dynamics(
        game.rewards,
        game.pick_ups,
        game.transitions,
        by_action.reshape([NUM_ACTIONS, -1, game.num_states]),
        game.initial,
        np.argmax(game.observations[1], axis=1),
        situations()[:, 0],
    )


def in_seat(rules: Dynamics, table: np.ndarray, seat: int) -> np.ndarray:
    """Returns a table by state and by the cell of player 0, `[C, S, 4]`.

    Args:
      rules: the rules.
      table: `[C, S, 4]`, by what the player sees, and by its own cell if that
        matters.
      seat: of the player.
    """
    if seat == 0:
        return table
    if len(table) == 1:
        return table[:, rules.seen]
    cells = shifted(np.arange(NUM_CELLS)[:, np.newaxis], rules.other)
    return table[cells, rules.seen]


def play_exactly(
    rules: Dynamics, first: np.ndarray, second: np.ndarray, episode_length: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns what two players earn and pick up in a step, in expectation.

    Args:
      rules: the rules.
      first: `[C, S, 4]`, of seat 0, as of `in_seat`.
      second: the same of seat 1.
      episode_length: T.

    Returns:
      Means over the steps of an episode: rewards `[2]`, and pick-ups `[2, 2]`
      of each player, of its own coins first.
    """
    num_cells = max(len(first), len(second))
    both = first[..., np.newaxis] * second[:, :, np.newaxis]
    both = np.broadcast_to(both, [num_cells, *both.shape[1:]])
    chances = np.tile(rules.initial / num_cells, [num_cells, 1])
    visits = np.zeros(both.shape[1:])
    if num_cells == 1:
        # The two players make one Markov chain of the states.
        chain = np.einsum("sab,sabt->st", both[0], rules.transitions)
    for _ in range(episode_length):
        joint = chances[..., np.newaxis, np.newaxis] * both
        visits += joint.sum(axis=0)
        if num_cells == 1:
            chances = chances @ chain
            continue
        after = np.zeros_like(chances)
        for action, step in enumerate(_STEPS):
            flows = joint[:, :, action].reshape([num_cells, -1])
            to = shifted(np.arange(num_cells), step)
            after[to] += flows @ rules.by_action[action]
        chances = after
    visits /= episode_length
    rewards = np.einsum("sab,psab->p", visits, rules.rewards)
    return rewards, np.einsum("sab,pksab->pk", visits, rules.pick_ups)


def best_response(
    rules: Dynamics, table: np.ndarray, seat: int, episode_length: int
) -> Exploited:
    """Returns what a best responder to a player earns, and the player then.

    The responder sits in the other seat, knows the table, the state and how
    many steps are left, and earns the most in an episode. Nothing that it
    could remember would help. Of actions that are equally good it takes the
    one that leaves the player the least.

    Args:
      rules: the rules.
      table: `[C, S, 4]`, as of `in_seat`.
      seat: of the player.
      episode_length: T.

    References:
      Puterman 1994 (Markov Decision Processes), chapter 4: backward induction.
    """
    num_cells, num_states, _ = table.shape
    # `worth` has the axes player, cell, state, and the actions of both seats.
    to_actions = np.expand_dims(table, 3 - seat)
    values = np.zeros([2, num_cells, num_states])
    for _ in range(episode_length):
        future = _expected_next(rules, values)
        worth = (rules.rewards[:, np.newaxis] + future) * to_actions
        response, player = worth.sum(axis=3 + seat)[[1 - seat, seat]]
        most = response.max(axis=-1)
        is_best = response >= most[..., np.newaxis] - _TOLERANCE
        least = np.where(is_best, player, np.inf).min(axis=-1)
        values[1 - seat], values[seat] = most, least
    rewards = values.mean(axis=1) @ rules.initial / episode_length
    return Exploited(float(rewards[1 - seat]), float(rewards[seat]))


def _expected_next(rules: Dynamics, values: np.ndarray) -> np.ndarray:
    """Returns what is expected after a step.

    Args:
      rules: the rules.
      values: `[2, C, S]`, of both players.

    Returns:
      `[2, C, S, 4, 4]`.
    """
    num_players, num_cells, num_states = values.shape
    flat = rules.transitions.reshape([-1, num_states])
    expected = (flat @ values.reshape([-1, num_states]).T).T.reshape(
        [num_players, num_cells, num_states, NUM_ACTIONS, NUM_ACTIONS]
    )
    if num_cells == 1:
        return expected
    return np.stack(
        [
            expected[:, :, :, action][:, shifted(np.arange(num_cells), step)]
            for action, step in enumerate(_STEPS)
        ],
        axis=3,
    )


class Outcomes(NamedTuple):
    """What can follow a state and both actions, the likeliest first.

    Attributes:
      states: `[S, 4, 4, K]`.
      bounds: `[S, 4, 4, K]`, sums of the probabilities up to each.
    """

    states: np.ndarray
    bounds: np.ndarray


def outcomes(rules: Dynamics) -> Outcomes:
    """Returns the states that can follow, so that episodes can be drawn."""
    most = int((rules.transitions > 0).sum(axis=-1).max())
    order = np.argsort(-rules.transitions, axis=-1, kind="stable")[..., :most]
    chances = np.take_along_axis(rules.transitions, order, axis=-1)
    return Outcomes(order, np.cumsum(chances, axis=-1))


def share_of_wins(
    rules: Dynamics,
    following: Outcomes,
    first: np.ndarray,
    second: np.ndarray,
    *,
    episode_length: int,
    num_episodes: int,
    generator: np.random.Generator,
) -> float:
    """Returns in which share of drawn episodes seat 0 earns more than seat 1.

    Episodes in which both earn the same count one half.
    """
    num_cells = max(len(first), len(second))
    cells = generator.integers(num_cells, size=num_episodes)
    states = generator.choice(
        len(rules.initial), size=num_episodes, p=rules.initial
    )
    cumulative = [np.cumsum(table, axis=-1) for table in (first, second)]
    leads = np.zeros(num_episodes)
    for _ in range(episode_length):
        noise = generator.random([3, num_episodes])
        actions = [
            _drawn(table[cells % len(table), states], row)
            for table, row in zip(cumulative, noise, strict=False)
        ]
        place = (states, *actions)
        leads += rules.rewards[0][place] - rules.rewards[1][place]
        drawn = _drawn(following.bounds[place], noise[2])
        states = following.states[(*place, drawn)]
        if num_cells > 1:
            cells = shifted(cells, _STEPS[actions[0]])
    return float(np.mean((leads > 0) + 0.5 * (leads == 0)))


def _drawn(bounds: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Returns `[B]`, the first entry whose bound `[B, K]` exceeds the noise."""
    passed = noise[:, np.newaxis] >= bounds
    # The last bound may be rounded to less than 1.
    return np.minimum(passed.sum(axis=1), bounds.shape[1] - 1)
