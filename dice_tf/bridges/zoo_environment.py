"""A game of ours as an environment of PettingZoo.

Needs PettingZoo: import this module only where that is installed.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from gymnasium.spaces import Box, Discrete, Space
from pettingzoo import ParallelEnv

from dice_tf.bridges.received import as_array
from dice_tf.games.game import Game, TimeStep


class GameEnvironment(ParallelEnv):
    """One episode of a game, step by step.

    Args:
      game: the game.

    Attributes:
      game: the game.
      possible_agents: `player_0`, `player_1` and so on, in seat order.

    Raises:
      ValueError: if the game does not say the shape of its actions; by
        `step`, before the first `reset`, or if the actions are not one of
        each agent that plays, in its space.
    """

    def __init__(self, game: Game):
        self.game = game
        self.metadata = {"name": f"dice_tf_{type(game).__name__}"}
        self.render_mode = None
        self.possible_agents = [f"player_{i}" for i in range(game.num_players)]
        self.agents: list[str] = []
        dtype = game.dtype.as_numpy_dtype
        self._observation_spaces = self._by_agent(
            [
                Box(-np.inf, np.inf, shape, dtype)
                for shape in game.observation_shapes
            ]
        )
        self._action_spaces = self._by_agent(
            [
                _box(shape, bounds, dtype) if size is None else Discrete(size)
                for size, shape, bounds in zip(
                    game.num_actions,
                    game.action_shapes,
                    game.action_bounds,
                    strict=True,
                )
            ]
        )
        self._compile()
        self._random = np.random.default_rng()
        self._state: Any = None
        self._num_steps = 0

    def _compile(self) -> None:
        self._reset = tf.function(lambda seed: self.game.reset(seed, 1))
        self._step = tf.function(self.game.step)

    def __getstate__(self) -> dict[str, Any]:
        # A compiled function cannot be copied: the copy makes its own.
        return {
            name: value
            for name, value in self.__dict__.items()
            if name not in ("_reset", "_step")
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._compile()

    def observation_space(self, agent: str) -> Space:
        return self._observation_spaces[agent]

    def action_space(self, agent: str) -> Space:
        return self._action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict | None = None
    ) -> tuple[dict, dict]:
        del options
        # Without a seed, the generator goes on.
        if seed is not None:
            self._random = np.random.default_rng(seed)
        self._state, first = self._reset(self._draw_seed())
        self._num_steps = 0
        self.agents = list(self.possible_agents)
        return self._observations(first), self._infos(first)

    def step(self, actions: dict) -> tuple[dict, dict, dict, dict, dict]:
        if self._state is None:
            raise ValueError("`reset` must be called before `step`.")
        agents = self.agents
        if not isinstance(actions, Mapping) or set(actions) != set(agents):
            raise ValueError(
                "`actions` must be a dictionary with one action of each agent "
                f"that plays: {', '.join(agents) or 'none, after the end'}. "
                f"Received: {actions!r}."
            )
        if not agents:
            return {}, {}, {}, {}, {}
        joint = tuple(
            _action(agent, actions[agent], self._action_spaces[agent])
            for agent in agents
        )
        self._state, after = self._step(self._state, joint, self._draw_seed())
        self._num_steps += 1
        is_over = bool(after.discounts[0] == 0)
        is_last = self._num_steps == self.game.episode_length
        is_cut = [bool(x[0]) for x in after.truncations]
        if is_last and not is_over:
            is_cut = [True] * len(agents)
        cut_off = self._by_agent(is_cut or [False] * len(agents))
        rewards = self._by_agent([float(x[0]) for x in after.rewards])
        infos = self._infos(after)
        if is_over or is_last:
            self.agents = []
        return (
            self._observations(after),
            rewards,
            {agent: is_over and not cut_off[agent] for agent in agents},
            cut_off,
            infos,
        )

    def _draw_seed(self) -> tf.Tensor:
        seed = self._random.integers(2**31 - 1, size=2, dtype=np.int32)
        return tf.constant(seed)

    def _observations(self, time_step: TimeStep) -> dict[str, np.ndarray]:
        return self._by_agent(
            [seen[0].numpy() for seen in time_step.observations]
        )

    def _infos(self, time_step: TimeStep) -> dict[str, dict]:
        infos: dict[str, dict] = {agent: {} for agent in self.possible_agents}
        for player_id, (info, seen) in enumerate(
            zip(infos.values(), time_step.observations, strict=True)
        ):
            legal = self.game.legal_actions(seen, player_id)
            if legal is not None:
                # The dtype that gymnasium's Discrete.sample takes.
                info["action_mask"] = legal[0].numpy().astype(np.int8)
        return infos

    def _by_agent(self, values: list) -> dict[str, Any]:
        return dict(zip(self.possible_agents, values, strict=True))


def _box(
    shape: tuple[int, ...],
    bounds: tuple[np.ndarray, np.ndarray] | None,
    dtype: np.dtype,
) -> Box:
    low, high = (-np.inf, np.inf) if bounds is None else bounds
    return Box(
        np.broadcast_to(low, shape).astype(dtype),
        np.broadcast_to(high, shape).astype(dtype),
        shape,
        dtype,
    )


def _action(agent: str, action: Any, space: Space) -> tf.Tensor:
    """Returns an agent's action, `[1, ...]`, or raises if it is not in a space.

    Unlike `space.contains`, it takes real numbers of every dtype for a `Box`,
    and arrays and tensors without axes for a `Discrete`.
    """
    what = f"The action of {agent!r}"
    array = as_array(what, action, space.shape)
    if isinstance(space, Discrete):
        is_in = array.dtype.kind in "iu" and 0 <= int(array) < space.n
        array = array.astype(np.int32) if is_in else array
    else:
        with np.errstate(over="ignore"):
            array = array.astype(space.dtype)
        is_in = np.all(np.isfinite(array)) and np.all(
            (space.low <= array) & (array <= space.high)
        )
    if not is_in:
        raise ValueError(f"{what} must be in {space}. Received: {action!r}.")
    return tf.constant(array[np.newaxis])
