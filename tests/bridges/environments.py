"""Small environments that are not games of ours."""

import os
import signal
import time

import numpy as np
from gymnasium.spaces import Box, Discrete
from pettingzoo import ParallelEnv

from dice_tf.bridges import VectorEnvironment, VectorStep


class Counting(VectorEnvironment):
    """Two players who see the time, and a number that the seed gave.

    The first earns its action, the second minus that. Episodes end once the
    first has chosen action 2.
    """

    num_actions = (3, 2)
    observation_shapes = ((2,), (1,))

    def reset(self, seeds):
        self.seeds = seeds
        self.time = 0
        return self._observations()

    def step(self, actions):
        self.time += 1
        reward = actions[0].astype(np.float64)
        return VectorStep(
            self._observations(), (reward, -reward), actions[0] != 2
        )

    def _observations(self):
        time = np.full(len(self.seeds), self.time)
        number = self.seeds % 97 / 97
        return np.stack([time, number], axis=1), time[:, np.newaxis]


class Cut(Counting):
    """Ends are cuts for the second player where that plays 0."""

    def step(self, actions):
        after = super().step(actions)
        return after._replace(
            truncations=(np.zeros(len(self.seeds), bool), actions[1] == 0)
        )


class Fragile(Counting):
    """Breaks at its second step."""

    def step(self, actions):
        if self.time:
            raise ZeroDivisionError("it broke")
        return super().step(actions)


class Killed(Counting):
    """Its process is killed at the second step, as if memory had run out."""

    def step(self, actions):
        if self.time:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().step(actions)


class Slow(Counting):
    """Makes a step in ten minutes."""

    def step(self, actions):
        time.sleep(600)
        return super().step(actions)


class Unpicklable(Counting):
    """Observes what cannot be sent to another process."""

    def reset(self, seeds):
        return (lambda: None, *super().reset(seeds))


def vanishing():
    """Ends the process that wants an environment."""
    os._exit(1)


class Walks(ParallelEnv):
    """Three agents: one leaves early, one has a discrete view, one is real.

    The spaces are those that bridges have to understand; the last agent's
    actions move a number between -1 and 1.
    """

    metadata = {"name": "walks"}
    possible_agents = ["early", "discrete", "real"]

    def __init__(self):
        self.agents = []
        self.received = []

    def observation_space(self, agent):
        if agent == "discrete":
            return Discrete(4)
        return Box(-1, 1, [2, 3] if agent == "early" else [1])

    def action_space(self, agent):
        if agent == "real":
            return Box(-1, 1, [1], np.float32)
        return Discrete(2, start=5 if agent == "early" else 0)

    def reset(self, seed=None, options=None):
        self.agents = list(self.possible_agents)
        self.random = np.random.default_rng(seed)
        self.time = 0
        return self._observations(), {agent: {} for agent in self.agents}

    def step(self, actions):
        self.received.append(dict(actions))
        self.time += 1
        rewards = {agent: float(self.time) for agent in self.agents}
        observations = self._observations()
        if self.time == 2:
            self.agents.remove("early")
        is_over = self.time == 3
        flags = dict.fromkeys(observations, is_over)
        if is_over:
            self.agents = []
        return observations, rewards, flags, flags, flags

    def _observations(self):
        views = {
            "early": np.full([2, 3], 0.5),
            "discrete": self.time % 4,
            "real": self.random.uniform(-1, 1, size=[1]),
        }
        return {agent: views[agent] for agent in self.agents}
