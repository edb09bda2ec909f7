"""A game of ours as an environment of PettingZoo.

Needs PettingZoo: import this module only where that is installed.
"""

from typing import Any

import numpy as np
import tensorflow as tf
from gymnasium.spaces import Box, Discrete, Space
from pettingzoo import ParallelEnv

from dice_tf.games.game import Game, TimeStep


class GameEnvironment(ParallelEnv):
    """One episode of a game, step by step.

    Args:
      game: the game.

    Attributes:
      game: the game.
      possible_agents: `player_0`, `player_1` and so on, in seat order.
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
                Box(-np.inf, np.inf, shape, dtype)
                if size is None
                else Discrete(size)
                for size, shape in zip(
                    game.num_actions, game.action_shapes, strict=True
                )
            ]
        )
        self._reset = tf.function(lambda seed: game.reset(seed, 1))
        self._step = tf.function(game.step)
        self._random = np.random.default_rng()
        self._state: Any = None
        self._num_steps = 0

    def observation_space(self, agent: str) -> Space:
        return self._observation_spaces[agent]

    def action_space(self, agent: str) -> Space:
        return self._action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict | None = None
    ) -> tuple[dict, dict]:
        del options
        # Without a seed what was random before goes on.
        if seed is not None:
            self._random = np.random.default_rng(seed)
        self._state, first = self._reset(self._draw_seed())
        self._num_steps = 0
        self.agents = list(self.possible_agents)
        return self._observations(first), self._infos(first)

    def step(self, actions: dict) -> tuple[dict, dict, dict, dict, dict]:
        agents = self.agents
        if not agents:
            return {}, {}, {}, {}, {}
        joint = tuple(
            tf.constant(
                np.asarray(actions[agent])[np.newaxis],
                tf.int32 if size is not None else self.game.dtype,
            )
            for agent, size in zip(agents, self.game.num_actions, strict=True)
        )
        self._state, after = self._step(self._state, joint, self._draw_seed())
        self._num_steps += 1
        is_over = bool(after.discounts[0] == 0)
        is_cut = not is_over and self._num_steps == self.game.episode_length
        rewards = self._by_agent([float(own[0]) for own in after.rewards])
        infos = self._infos(after)
        if is_over or is_cut:
            self.agents = []
        return (
            self._observations(after),
            rewards,
            dict.fromkeys(agents, is_over),
            dict.fromkeys(agents, is_cut),
            infos,
        )

    def _draw_seed(self) -> tf.Tensor:
        seed = self._random.integers(2**31 - 1, size=2, dtype=np.int32)
        return tf.constant(seed)

    def _observations(self, time_step: TimeStep) -> dict[str, np.ndarray]:
        return self._by_agent(
            [own[0].numpy() for own in time_step.observations]
        )

    def _infos(self, time_step: TimeStep) -> dict[str, dict]:
        infos: dict[str, dict] = {agent: {} for agent in self.possible_agents}
        for player_id, (own, seen) in enumerate(
            zip(infos.values(), time_step.observations, strict=True)
        ):
            legal = self.game.legal_actions(seen, player_id)
            if legal is not None:
                # As gymnasium's Discrete.sample takes it.
                own["action_mask"] = legal[0].numpy().astype(np.int8)
        return infos

    def _by_agent(self, values: list) -> dict[str, Any]:
        return dict(zip(self.possible_agents, values, strict=True))
