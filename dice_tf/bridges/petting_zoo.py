"""Environments of PettingZoo as games, and games as such environments."""

import functools
from collections.abc import Callable
from typing import Any

from dice_tf.bridges.python_game import PythonGame
from dice_tf.bridges.vector_environment import Episodes, VectorEnvironment
from dice_tf.checks import check_function, check_installed
from dice_tf.games.game import Game, check_game_type


def from_pettingzoo(
    make_environment: Callable[[], Any],
    episode_length: int,
    *,
    num_workers: int = 0,
    dtype: str = "float32",
) -> PythonGame:
    """Makes a game of a PettingZoo `ParallelEnv`.

    Seats are those of `possible_agents`. Observations of a `Box` stay as they
    are; those of other spaces are flattened, a number of a `Discrete` space to
    a one-hot vector.

    Actions of a `Discrete` space are numbered from 0. Those of a
    `MultiDiscrete` or `MultiBinary` are numbered as joint actions of all
    parts, row-major (`np.ravel_multi_index`), if they are at most 1024. Those
    of a `Box` are real arrays, which are clipped to it, and rounded if it
    holds whole numbers. The environment's `action_mask`s, if it gives any, do
    not reach the policies.

    An episode is over when all agents have terminated or been truncated,
    whatever `agents` holds; if the last ones were truncated, critics say what
    would have followed, see `dice_tf.objectives.DiCEObjective`. An agent that
    is out before the others, terminated or truncated, does not act any more:
    it sees zeros and earns 0, and nothing is added for what was cut off. Its
    policy still draws actions, which nobody receives: they add noise to the
    derivatives, but no bias. Episodes are longer than the environment's
    own limit only by steps that count for nothing. At `episode_length` an
    episode ends as if terminated.

    Args:
      make_environment: a function without arguments that returns a new
        environment at each call; with `num_workers` a function of a module of
        yours, since processes find it by its name.
      episode_length: T.
      num_workers: processes among which the episodes of a play are shared.
      dtype: floating dtype, "float32" or "float64".

    Returns:
      A `PythonGame`.

    Raises:
      ImportError: if PettingZoo is not installed.
      TypeError: if it is not a `ParallelEnv`, or a space is of no known kind.
      ValueError: if an agent has too many joint actions. While playing: if
        an observation or reward of an agent that plays is missing, NaN or
        infinite, or does not fit its space; see `PythonGame`.

    Example:
      An environment of the package mpe2 (`pip install mpe2`):

      >>> from mpe2 import simple_push_v3
      >>> game = dice_tf.bridges.from_pettingzoo(
      ...     simple_push_v3.parallel_env, episode_length=25
      ... )
    """
    check_installed("pettingzoo", "This needs PettingZoo", "pettingzoo")
    check_function(
        "make_environment",
        make_environment,
        "a function that returns a new environment at each call, such as the "
        "`parallel_env` of a module",
        0,
    )
    return PythonGame(
        functools.partial(_episodes, make_environment),
        episode_length,
        num_workers=num_workers,
        dtype=dtype,
    )


def to_pettingzoo(game: Game) -> Any:
    """Makes a PettingZoo `ParallelEnv` of a game.

    It plays one episode at a time, of `game.episode_length` steps, after
    which all agents are truncated; they terminate where the game ends before.
    Agents are `player_0`, `player_1` and so on. Actions are whole numbers of a
    `Discrete` space where they are a finite set, else real arrays of a `Box`
    with the shape and the bounds that the game gives; others are refused. In
    a game with illegal actions the `infos` of each hold an `action_mask`, int8
    `[num_actions]`, 1 where an action is legal. The game decides what an
    illegal action does.

    After the end, `step({})` returns empty dictionaries, as is usual in
    PettingZoo. A copy, by `copy.deepcopy` or `pickle`, goes on as the
    original does, with the same random numbers.

    Args:
      game: the game.

    Returns:
      A `pettingzoo.ParallelEnv`.

    Raises:
      ImportError: if PettingZoo is not installed.
      TypeError: if `game` is not a `Game`.
      ValueError: if the game does not say the shape of its actions. By `step`:
        before the first `reset`; if an agent has no action, or one that is
        not in its space; if other agents act, or any after the end.

    Example:
      >>> environment = dice_tf.bridges.to_pettingzoo(dice_tf.games.CoinGame())
      >>> observations, infos = environment.reset(seed=0)
    """
    check_installed("pettingzoo", "This needs PettingZoo", "pettingzoo")
    check_game_type(game)
    from dice_tf.bridges.zoo_environment import GameEnvironment

    return GameEnvironment(game)


def _episodes(make_environment: Callable[[], Any]) -> VectorEnvironment:
    from dice_tf.bridges.zoo_episode import EpisodeMaker

    return Episodes(EpisodeMaker(make_environment))
