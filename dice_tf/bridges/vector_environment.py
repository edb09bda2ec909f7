"""Episodes of somebody else's environment, side by side, in NumPy."""

import abc
from typing import Any, NamedTuple

import numpy as np


class VectorStep(NamedTuple):
    """What the players of `B` episodes see after a step.

    Attributes:
      observations: one array per player, `[B, ...]`.
      rewards: one array per player, `[B]`.
      continues: bool `[B]`, False once an episode has ended.
    """

    observations: tuple[np.ndarray, ...]
    rewards: tuple[np.ndarray, ...]
    continues: np.ndarray


class VectorEnvironment(abc.ABC):
    """`B` episodes that go on at the same time, held by this object.

    What a `PythonGame` plays: write one for an environment that is vectorised
    already. Ended episodes are stepped on with the others; what they return
    is not used.

    Attributes:
      num_actions: for each player the number of its actions, or `None` where
        actions are not a finite set.
      observation_shapes: for each player the shape of one observation.
    """

    num_actions: tuple[int | None, ...]
    observation_shapes: tuple[tuple[int, ...], ...]

    @abc.abstractmethod
    def reset(self, seeds: np.ndarray) -> tuple[np.ndarray, ...]:
        """Starts episodes, one per seed, and drops those before.

        Args:
          seeds: int64 `[B]`, not negative: all randomness follows from them.

        Returns:
          First observations, one array per player, `[B, ...]`.
        """

    @abc.abstractmethod
    def step(self, actions: tuple[np.ndarray, ...]) -> VectorStep:
        """Plays one joint action in every episode.

        Args:
          actions: one array per player, int32 `[B]`, or `[B, ...]` where
            actions are not a finite set.
        """

    def close(self) -> None:  # noqa: B027
        """Releases what the environment holds; nothing by default."""


class Episodes(VectorEnvironment):
    """Several environments that each run one episode, as one.

    Args:
      make_one: makes an environment of one episode: an object with
        `num_actions`, `observation_shapes`, `reset(seed) -> observations` and
        `step(actions) -> (observations, rewards, continues)`, all tuples over
        players, and `close()`. Made when needed, and used again.
    """

    def __init__(self, make_one: Any):
        self._make_one = make_one
        self._all = [make_one()]
        self._playing: list = []
        self._continues = np.zeros([0], bool)
        self._observations: list = []
        self.num_actions = self._all[0].num_actions
        self.observation_shapes = self._all[0].observation_shapes

    def reset(self, seeds: np.ndarray) -> tuple[np.ndarray, ...]:
        while len(self._all) < len(seeds):
            self._all.append(self._make_one())
        self._playing = self._all[: len(seeds)]
        self._continues = np.ones([len(seeds)], bool)
        self._observations = [
            own.reset(int(seed))
            for own, seed in zip(self._playing, seeds, strict=True)
        ]
        return _stack(self._observations)

    def step(self, actions: tuple[np.ndarray, ...]) -> VectorStep:
        rewards = np.zeros([len(self.num_actions), len(self._playing)])
        for b, own in enumerate(self._playing):
            # What has ended stays as it was.
            if self._continues[b]:
                self._observations[b], rewards[:, b], self._continues[b] = (
                    own.step(tuple(action[b] for action in actions))
                )
        return VectorStep(
            _stack(self._observations), tuple(rewards), self._continues.copy()
        )

    def close(self) -> None:
        for own in self._all:
            own.close()


def _stack(observations: list) -> tuple[np.ndarray, ...]:
    return tuple(np.stack(own) for own in zip(*observations, strict=True))
