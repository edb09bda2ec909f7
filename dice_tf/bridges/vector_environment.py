"""Episodes of somebody else's environment, side by side, in NumPy."""

import abc
from typing import Any, NamedTuple

import numpy as np


class VectorStep(NamedTuple):
    """What the players of `B` episodes see after a step.

    Attributes:
      observations: one array per player, `[B, ...]`; of an episode that has
        just ended its last ones, not the first ones of another.
      rewards: one array per player, `[B]` or `[B, 1]`.
      continues: bool `[B]`, False once an episode has ended.
      truncations: one array per player, bool `[B]`: where an episode ends,
        whether it was cut off for this player rather than at an end of its
        own, such as by a limit of time. Critics then say what would have
        followed, see `dice_tf.objectives.DiCEObjective`. Empty: never.
    """

    observations: tuple[np.ndarray, ...]
    rewards: tuple[np.ndarray, ...]
    continues: np.ndarray
    truncations: tuple[np.ndarray, ...] = ()


class VectorEnvironment(abc.ABC):
    """`B` episodes that go on at the same time, held by this object.

    What a `PythonGame` plays: write one for an environment that is vectorised
    already. Ended episodes are stepped on with the others; what they return
    is not used.

    Attributes:
      num_actions: for each player the number of its actions, or `None` where
        actions are not a finite set.
      observation_shapes: for each player the shape of one observation.
      action_shapes: for each player the shape of one action, `()` where the
        actions are a finite set. `None`, the default, says nothing: actions
        that are not a finite set then come as the policy's head returns them.
      action_bounds: for each player the least and the greatest action, two
        arrays of the shape of an action; or `None` where there are none, as
        for finite sets. `None`, the default: for nobody.
    """

    num_actions: tuple[int | None, ...]
    observation_shapes: tuple[tuple[int, ...], ...]
    action_shapes: tuple[tuple[int, ...], ...] | None = None
    action_bounds: tuple[tuple[Any, Any] | None, ...] | None = None

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
          actions: one array per player, int32 `[B]`, or finite numbers
            `[B, ...]` where actions are not a finite set.
        """

    def close(self) -> None:  # noqa: B027
        """Releases what the environment holds; nothing by default."""


def check_environment(environment: Any) -> VectorEnvironment:
    """Returns the environment, or raises if it is of another kind."""
    if not isinstance(environment, VectorEnvironment):
        raise TypeError(
            "`make_environment` must make a dice_tf.bridges.VectorEnvironment. "
            f"Received: {environment!r}."
        )
    count = len(environment.num_actions)
    for name, values in (
        ("observation_shapes", environment.observation_shapes),
        ("action_shapes", environment.action_shapes),
        ("action_bounds", environment.action_bounds),
    ):
        if values is not None and len(values) != count:
            raise ValueError(
                f"`{name}` must have one entry for each of {count} players, as "
                f"`num_actions` has. Received: {values!r}."
            )
    return environment


class EpisodeStep(NamedTuple):
    """What the players of one episode see after a step.

    Attributes:
      observations: one array per player.
      rewards: one number per player.
      continues: False once the episode has ended.
      truncations: one bool per player, or empty, as of `VectorStep`.
    """

    observations: tuple[np.ndarray, ...]
    rewards: tuple[float, ...]
    continues: bool
    truncations: tuple[bool, ...] = ()


class Episodes(VectorEnvironment):
    """Several environments that each run one episode, as one.

    Args:
      make_one: makes an environment of one episode: an object with the
        attributes of a `VectorEnvironment`, `reset(seed) -> observations`,
        `step(actions) -> EpisodeStep` and `close()`. Made when needed, and
        used again.
    """

    def __init__(self, make_one: Any):
        self._make_one = make_one
        self._all = [make_one()]
        self._playing: list = []
        self._continues = np.zeros([0], bool)
        self._observations: list = []
        first = self._all[0]
        self.num_actions = first.num_actions
        self.observation_shapes = first.observation_shapes
        self.action_shapes = first.action_shapes
        self.action_bounds = first.action_bounds

    def reset(self, seeds: np.ndarray) -> tuple[np.ndarray, ...]:
        while len(self._all) < len(seeds):
            self._all.append(self._make_one())
        self._playing = self._all[: len(seeds)]
        self._continues = np.ones([len(seeds)], bool)
        self._observations = [
            episode.reset(int(seed))
            for episode, seed in zip(self._playing, seeds, strict=True)
        ]
        return _stack(self._observations)

    def step(self, actions: tuple[np.ndarray, ...]) -> VectorStep:
        shape = [len(self.num_actions), len(self._playing)]
        rewards, truncations = np.zeros(shape), np.zeros(shape, bool)
        for b, episode in enumerate(self._playing):
            # An episode that has ended stays as it was.
            if self._continues[b]:
                after = episode.step(tuple(action[b] for action in actions))
                self._observations[b] = after.observations
                self._continues[b] = after.continues
                rewards[:, b] = after.rewards
                truncations[:, b] = after.truncations or False
        return VectorStep(
            _stack(self._observations),
            tuple(rewards),
            self._continues.copy(),
            tuple(truncations),
        )

    def close(self) -> None:
        for episode in self._all:
            episode.close()


def _stack(observations: list) -> tuple[np.ndarray, ...]:
    return tuple(np.stack(seat) for seat in zip(*observations, strict=True))
