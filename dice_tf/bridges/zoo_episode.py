"""An environment of PettingZoo as one episode, by seat.

Needs PettingZoo: import this module only where that is installed.
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import (
    Box,
    Dict,
    Discrete,
    MultiBinary,
    MultiDiscrete,
    Space,
    Tuple,
    flatdim,
    flatten,
)
from pettingzoo import ParallelEnv

from dice_tf.bridges.received import as_array, as_flag, as_number
from dice_tf.bridges.vector_environment import EpisodeStep

# A policy has one output for each joint action.
MAX_JOINT_ACTIONS = 1024


class ZooEpisode:
    """One episode of a `ParallelEnv`, by seat.

    An agent is out once it has terminated or been truncated, whether or not
    the environment goes on to list it in `agents`: it acts no more, earns 0
    and sees zeros. The episode is over when all agents are out.

    Args:
      environment: the environment.

    Attributes:
      num_actions, observation_shapes, action_shapes, action_bounds: as of
        `VectorEnvironment`.

    Raises:
      TypeError: if it is not a `ParallelEnv`, or a space is of no known kind.
      ValueError: if it does not name its agents, or an agent has too many
        joint actions. While playing: if
        what the environment returns does not fit its own spaces and agents.
    """

    def __init__(self, environment: ParallelEnv):
        if not isinstance(environment, ParallelEnv):
            raise TypeError(
                "`make_environment` must return a pettingzoo.ParallelEnv, as "
                "the `parallel_env` of its modules do. Received: "
                f"{environment!r}."
            )
        self._environment = environment
        self._agents = _possible_agents(environment)
        self._known = set(self._agents)
        self._spaces = [environment.observation_space(a) for a in self._agents]
        self._actions = [environment.action_space(a) for a in self._agents]
        self.num_actions = tuple(map(_num_actions, self._agents, self._actions))
        self.observation_shapes = tuple(
            map(_observation_shape, self._agents, self._spaces)
        )
        boxes = [
            space if isinstance(space, Box) else None for space in self._actions
        ]
        self.action_shapes = tuple(box.shape if box else () for box in boxes)
        self.action_bounds = tuple(
            (box.low, box.high) if box else None for box in boxes
        )
        self._zeros = [np.zeros(shape) for shape in self.observation_shapes]
        # Who acts in the next step, and who does not act any more.
        self._playing: set[str] = set()
        self._out: set[str] = set()
        self._num_steps = 0

    def reset(self, seed: int) -> tuple[np.ndarray, ...]:
        received = self._environment.reset(seed=seed)
        if not isinstance(received, tuple) or len(received) != 2:
            raise TypeError(
                "`reset` of a ParallelEnv must return two dictionaries, "
                f"observations and infos. Received: {received!r}."
            )
        self._num_steps, self._out = 0, set()
        self._playing = self._listed()
        if not self._playing:
            raise ValueError(
                "`reset` of a ParallelEnv must list who plays in `agents`. "
                "Received: an empty list."
            )
        observations = _dictionary("`observations` after a reset", received[0])
        return self._observations(
            observations, self._playing, set(), "after a reset"
        )

    def step(self, actions: tuple[np.ndarray, ...]) -> EpisodeStep:
        acted, when = self._playing, f"at step {self._num_steps}"
        observations, *others = self._step_environment(actions, when)
        self._num_steps += 1
        listed = self._listed()
        rewards, terminations, truncations = (
            self._read(name, values, read, acted, listed, when)
            for name, values, read in zip(
                ("rewards", "terminations", "truncations"),
                others,
                (as_number, as_flag, as_flag),
                strict=True,
            )
        )
        terminated = {agent for agent in acted if terminations.get(agent)}
        truncated = {agent for agent in acted if truncations.get(agent)}
        self._out |= terminated | truncated
        self._playing = listed - self._out
        cut_off: set[str] = set()
        if not self._playing:
            # A critic needs the last observation to value what was cut off.
            cut_off = truncated - terminated
            cut_off = {a for a in cut_off if observations.get(a) is not None}
        return EpisodeStep(
            self._observations(
                observations,
                self._playing | cut_off,
                set() if self._playing else acted - cut_off,
                when,
            ),
            tuple(rewards.get(agent, 0.0) for agent in self._agents),
            bool(self._playing),
            tuple(agent in cut_off for agent in self._agents),
        )

    def close(self) -> None:
        self._environment.close()

    def _step_environment(
        self, actions: tuple[np.ndarray, ...], when: str
    ) -> list[Mapping]:
        """Returns observations, rewards, terminations and truncations."""
        joint = {
            agent: _native_action(space, action)
            for agent, space, action in zip(
                self._agents, self._actions, actions, strict=True
            )
            if agent in self._playing
        }
        try:
            received = self._environment.step(joint)
        except KeyError as error:
            kept = self._out.intersection(self._environment.agents)
            if error.args and error.args[0] in kept:
                raise ValueError(
                    f"Agent {error.args[0]!r} has terminated or been "
                    "truncated before, so that it does not act any more. But "
                    f"`step` expects its action {when}: the environment must "
                    "remove such agents from `agents`, or do without."
                ) from error
            raise
        if not isinstance(received, tuple) or len(received) != 5:
            raise TypeError(
                "`step` of a ParallelEnv must return five dictionaries: "
                "observations, rewards, terminations, truncations and infos. "
                f"Received {when}: {received!r}."
            )
        names = ("observations", "rewards", "terminations", "truncations")
        return [
            _dictionary(f"`{name}` {when}", values)
            for name, values in zip(names, received[:4], strict=True)
        ]

    def _listed(self) -> set[str]:
        listed = set(self._environment.agents)
        unknown = listed.difference(self._agents)
        if unknown:
            raise ValueError(
                "`agents` of a ParallelEnv must be some of `possible_agents`, "
                f"{self._agents}. Received also: {sorted(map(str, unknown))}."
            )
        return listed

    def _read(
        self,
        name: str,
        values: Mapping,
        read: Callable[[str, Any], Any],
        acted: set[str],
        listed: set[str],
        when: str,
    ) -> dict[str, Any]:
        """Returns what those who acted received; the others do not count."""
        if not values.keys() <= self._known:
            unknown = [agent for agent in values if agent not in self._known]
            raise ValueError(
                f"`{name}` must have agents as its keys, {self._agents}. "
                f"Received {when} also: {unknown}."
            )
        # Agents that have left need no entry.
        for agent in self._agents:
            if agent not in values and agent in acted & listed:
                raise ValueError(
                    f"`{name}` must have an entry for each agent that plays. "
                    f"Received {when} none for {agent!r}."
                )
        return {
            agent: read(f"`{name}[{agent!r}]` {when}", values[agent])
            for agent in self._agents
            if agent in acted and agent in values
        }

    def _observations(
        self, observations: Mapping, must: set[str], may: set[str], when: str
    ) -> tuple[np.ndarray, ...]:
        """Returns what each seat sees; zeros, where that is nothing.

        Args:
          observations: what the environment returned.
          must: who must see something, since it is used.
          may: who is shown what there is, though nobody acts on it.
          when: the step, as the end of a sentence.
        """
        seats = []
        for agent, space, seen in zip(
            self._agents, self._spaces, self._zeros, strict=True
        ):
            what = f"`observations[{agent!r}]` {when}"
            observation = observations.get(agent)
            if agent in must:
                if observation is None:
                    raise ValueError(
                        f"{what} must be given, since {agent!r} goes on to "
                        "play. Received: None."
                    )
                seen = _as_array(what, space, observation)
            elif agent in may and observation is not None:
                with contextlib.suppress(TypeError, ValueError):
                    seen = _as_array(what, space, observation)
            seats.append(seen)
        return tuple(seats)


class EpisodeMaker:
    """Makes episodes, each of an environment of its own.

    Args:
      make_environment: returns a new environment at each call.
    """

    def __init__(self, make_environment: Callable[[], Any]):
        self._make_environment = make_environment
        self._made: list[Any] = []

    def __call__(self) -> ZooEpisode:
        environment = self._make_environment()
        if any(environment is known for known in self._made):
            raise ValueError(
                "`make_environment` must return a new environment at each "
                "call, since many episodes are played at the same time. It "
                f"returned the same one twice: {environment!r}."
            )
        self._made.append(environment)
        return ZooEpisode(environment)


def _possible_agents(environment: ParallelEnv) -> list[str]:
    try:
        agents = list(environment.possible_agents)
    except AttributeError:
        agents = []
    if not agents:
        raise ValueError(
            "A ParallelEnv must name all agents that ever play in "
            f"`possible_agents`. Those of {environment!r} are missing."
        )
    return agents


def _num_actions(agent: str, space: Space) -> int | None:
    """Returns the number of an agent's actions, `None` if not finite."""
    if isinstance(space, Box):
        return None
    if isinstance(space, Discrete):
        return int(space.n)
    if not isinstance(space, (MultiBinary, MultiDiscrete)):
        raise TypeError(
            "Actions must be a gymnasium.spaces.Discrete or Box, or a "
            f"MultiDiscrete or MultiBinary of at most {MAX_JOINT_ACTIONS} "
            f"joint actions. Those of {agent!r} are {space}."
        )
    count = math.prod(map(int, _sizes(space).ravel()))
    if count > MAX_JOINT_ACTIONS:
        raise ValueError(
            "A MultiDiscrete or MultiBinary may have at most "
            f"{MAX_JOINT_ACTIONS} joint actions, since a policy has one output "
            f"for each. Those of {agent!r}, {space}, have {count}: wrap the "
            "environment in one with fewer."
        )
    return count


def _sizes(space: MultiBinary | MultiDiscrete) -> np.ndarray:
    """Returns how many values each part has, of the shape of an action."""
    if isinstance(space, MultiBinary):
        return np.full(space.shape, 2)
    return space.nvec


def _native_action(space: Space, action: np.ndarray) -> Any:
    """Returns what the environment takes for an action of a policy."""
    if isinstance(space, Discrete):
        return int(space.start + action)
    if isinstance(space, Box):
        action = np.reshape(action, space.shape)
        if space.dtype.kind in "iu":
            action = np.rint(action)
        return np.clip(action, space.low, space.high).astype(space.dtype)
    sizes = _sizes(space)
    parts = np.unravel_index(int(action), sizes.ravel())
    values = np.reshape(parts, sizes.shape)
    if isinstance(space, MultiDiscrete):
        values = values + space.start
    return values.astype(space.dtype)


def _observation_shape(agent: str, space: Space) -> tuple[int, ...]:
    if isinstance(space, Box):
        return space.shape
    if isinstance(space, Space) and space.is_np_flattenable:
        return (flatdim(space),)
    raise TypeError(
        "Observations must be of a space that gymnasium.spaces.flatten makes "
        f"an array of. Those of {agent!r} are {space}."
    )


def _as_array(what: str, space: Space, observation: Any) -> np.ndarray:
    if isinstance(space, Box):
        return as_array(what, observation, space.shape)
    return np.concatenate(list(_flat_parts(what, space, observation)))


def _flat_parts(
    what: str, space: Space, observation: Any
) -> Iterator[np.ndarray]:
    """Yields what gymnasium's `flatten` joins, with its values checked.

    `flatten` itself takes a number that a space does not have for another
    one, or for one of the next part.
    """
    if isinstance(space, Dict):
        for name, part in space.spaces.items():
            if name not in _dictionary(what, observation):
                raise ValueError(f"{what} must have an entry {name!r}.")
            yield from _flat_parts(
                f"{what}, {name!r},", part, observation[name]
            )
    elif isinstance(space, Tuple):
        if not isinstance(observation, (tuple, list)) or len(
            observation
        ) != len(space.spaces):
            raise ValueError(
                f"{what} must be a tuple of {len(space.spaces)} parts. "
                f"Received: {observation!r}."
            )
        for i, part in enumerate(space.spaces):
            yield from _flat_parts(f"{what}, part {i},", part, observation[i])
    elif isinstance(space, Box):
        yield as_array(what, observation, space.shape).ravel()
    elif isinstance(space, (Discrete, MultiBinary, MultiDiscrete)):
        yield flatten(space, _whole_numbers(what, space, observation))
    else:
        if not space.contains(observation):
            raise ValueError(
                f"{what} must be in {space}. Received: {observation!r}."
            )
        yield flatten(space, observation)


def _whole_numbers(
    what: str, space: Discrete | MultiBinary | MultiDiscrete, observation: Any
) -> np.ndarray:
    if isinstance(space, Discrete):
        values = np.asarray(as_number(what, observation))
        low, sizes = space.start, space.n
    else:
        values = as_array(what, observation, space.shape)
        low = space.start if isinstance(space, MultiDiscrete) else 0
        sizes = _sizes(space)
    is_whole = values == np.round(values)
    if not np.all(is_whole & (values >= low) & (values < low + sizes)):
        raise ValueError(
            f"{what} must be in {space}. Received: {observation!r}."
        )
    return values.astype(space.dtype)


def _dictionary(what: str, value: Any) -> Mapping:
    if not isinstance(value, Mapping):
        raise TypeError(
            f"{what} must be a dictionary. Received: {value!r} (of type "
            f"{type(value).__name__})."
        )
    return value
