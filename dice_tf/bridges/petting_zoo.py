"""Environments of PettingZoo as games, and games as such environments."""

import functools
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np

from dice_tf.bridges.python_game import PythonGame
from dice_tf.bridges.vector_environment import Episodes, VectorEnvironment
from dice_tf.games.game import Game


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
    a one-hot vector. Actions are a `Discrete` space's, or real vectors that
    are clipped to a `Box`. An episode is over when all agents have terminated
    or been truncated; an agent that is out before sees zeros and earns 0.
    Episodes are longer than the environment's own limit only by steps that
    count for nothing.

    Args:
      make_environment: a function without arguments that returns an
        environment; with `num_workers` a function of a module of yours, since
        processes find it by its name.
      episode_length: T.
      num_workers: processes among which the episodes of a play are shared.
      dtype: floating dtype, "float32" or "float64".

    Returns:
      A `PythonGame`.

    Raises:
      ImportError: if PettingZoo is not installed.
      TypeError: if it is no `ParallelEnv`, or a space is of no known kind.

    Example:
      >>> from mpe2 import simple_push_v3
      >>> game = dice_tf.bridges.from_pettingzoo(
      ...     simple_push_v3.parallel_env, episode_length=25
      ... )
    """
    _require_pettingzoo()
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
    Agents are `player_0`, `player_1` and so on. In a game with illegal actions
    the `infos` of each hold an `action_mask`, int8 `[num_actions]`, 1 where an
    action is legal.

    Args:
      game: the game.

    Returns:
      A `pettingzoo.ParallelEnv`.

    Raises:
      ImportError: if PettingZoo is not installed.
      TypeError: if `game` is none.

    Example:
      >>> environment = dice_tf.bridges.to_pettingzoo(dice_tf.games.CoinGame())
      >>> observations, infos = environment.reset(seed=0)
    """
    _require_pettingzoo()
    if not isinstance(game, Game):
        raise TypeError(
            f"`game` must be a dice_tf.games.Game. Received: {game!r}."
        )
    from dice_tf.bridges.zoo_environment import GameEnvironment

    return GameEnvironment(game)


def _require_pettingzoo() -> None:
    if importlib.util.find_spec("pettingzoo") is None:
        raise ImportError(
            "This needs PettingZoo: pip install 'dice_tf[pettingzoo]'."
        )


def _episodes(make_environment: Callable[[], Any]) -> VectorEnvironment:
    return Episodes(lambda: _Episode(make_environment()))


class _Episode:
    """One episode of a `ParallelEnv`, by seat."""

    def __init__(self, environment: Any):
        from gymnasium.spaces import Box, Discrete, flatdim
        from pettingzoo import ParallelEnv

        if not isinstance(environment, ParallelEnv):
            raise TypeError(
                "`make_environment` must return a pettingzoo.ParallelEnv, as "
                "the `parallel_env` of its modules do. Received: "
                f"{environment!r}."
            )
        self._environment = environment
        self._agents = list(environment.possible_agents)
        self._spaces = [environment.observation_space(a) for a in self._agents]
        self._actions = [environment.action_space(a) for a in self._agents]
        for agent, space in zip(self._agents, self._actions, strict=True):
            if not isinstance(space, (Box, Discrete)):
                raise TypeError(
                    "Actions must be a gymnasium.spaces.Discrete or Box. "
                    f"Those of {agent!r} are {space}."
                )
        self.num_actions = tuple(
            int(space.n) if isinstance(space, Discrete) else None
            for space in self._actions
        )
        self.observation_shapes = tuple(
            space.shape if isinstance(space, Box) else (flatdim(space),)
            for space in self._spaces
        )
        self._zeros = [np.zeros(shape) for shape in self.observation_shapes]

    def reset(self, seed: int) -> tuple[np.ndarray, ...]:
        observations, _ = self._environment.reset(seed=seed)
        return self._seats(observations)

    def step(self, actions: tuple) -> tuple[tuple, tuple, bool]:
        playing = set(self._environment.agents)
        joint = {
            agent: _native_action(space, action)
            for agent, space, action in zip(
                self._agents, self._actions, actions, strict=True
            )
            if agent in playing
        }
        observations, rewards, *_ = self._environment.step(joint)
        return (
            self._seats(observations),
            tuple(float(rewards.get(agent, 0.0)) for agent in self._agents),
            bool(self._environment.agents),
        )

    def close(self) -> None:
        self._environment.close()

    def _seats(self, observations: dict) -> tuple[np.ndarray, ...]:
        return tuple(
            _as_array(space, observations[agent])
            if agent in observations
            else zeros
            for agent, space, zeros in zip(
                self._agents, self._spaces, self._zeros, strict=True
            )
        )


def _as_array(space: Any, observation: Any) -> np.ndarray:
    from gymnasium.spaces import Box, flatten

    if isinstance(space, Box):
        return np.asarray(observation, np.float64)
    return np.asarray(flatten(space, observation), np.float64)


def _native_action(space: Any, action: np.ndarray) -> Any:
    from gymnasium.spaces import Discrete

    if isinstance(space, Discrete):
        return int(space.start + action)
    clipped = np.clip(np.reshape(action, space.shape), space.low, space.high)
    return clipped.astype(space.dtype)
