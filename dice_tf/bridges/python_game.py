"""Games that are played by Python code, in the midst of a TensorFlow graph."""

import math
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from dice_tf.bridges.received import as_array, as_batch_flags, as_batches
from dice_tf.bridges.vector_environment import (
    VectorEnvironment,
    VectorStep,
    check_environment,
)
from dice_tf.bridges.workers import WorkerEnvironment
from dice_tf.checks import (
    MOST_EPISODES,
    check_float_dtype,
    check_function,
    check_kind,
    check_per_player,
    check_whole_number,
)
from dice_tf.games.game import Game, TimeStep
from dice_tf.seeds import Seed, seed_tensor


class PythonState(NamedTuple):
    """Where an episode is; the rest lies with the environment.

    Attributes:
      session: int32 `[B]`, all the same: the number of the play, which no
        other has.
      step: int32 `[B]`, all the same: number of steps made.
      continues: `[B]`, 1 while an episode runs, else 0.
    """

    session: tf.Tensor
    step: tf.Tensor
    continues: tf.Tensor


class _Session:
    """A play that has begun: who plays it, and how far it is."""

    def __init__(self, environment: VectorEnvironment, batch_size: int):
        self.environment = environment
        self.batch_size = batch_size
        self.num_steps = 0


class PythonGame(Game):
    """A game whose steps are made by NumPy code, `B` episodes at a time.

    Look-ahead learners play with parameters that are known only within a
    training step. So the environment is called from within the step, which
    can therefore not be compiled by XLA: the `Trainer` skips this. All that
    does not play, such as derivatives, runs as TensorFlow all the same.

    Each play has environments of its own, which the next one uses again: the
    plays of one step may run at the same time. The state of an episode lies
    with them, so that `step` can be called once per state only. A copy of the
    game, by `copy.deepcopy` or `pickle`, copies them too.

    An episode that ends early gets `discounts` of 0. What the environment
    returns for it after that does not count: its rewards are 0, and zeros
    take the place of observations that are not finite. Only if the environment
    says that an episode was cut off, its last observations are still used:
    critics evaluate them.

    Observations and rewards must be finite while an episode runs. If a player
    chooses an action that is NaN or infinite, as a policy does whose
    parameters are, the environment gets 0 instead, and the rewards of all
    players at that step are NaN.

    Args:
      make_environment: makes a `VectorEnvironment`, a new one at each call.
      episode_length: T, the steps after which an episode is over anyway.
      num_workers: number of processes that share the episodes of a play, each
        with what `make_environment` makes, which must then be a function of
        a module. 0: all in this process.
      dtype: floating dtype, "float32" or "float64".

    Attributes:
      action_shapes: for each player the shape of one action, `()` where the
        actions are a finite set. A `ValueError` where the environment does
        not say it.

    Raises:
      TypeError, ValueError: if an argument is out of its range, or
        `make_environment` does not return a `VectorEnvironment`, or the same
        one twice. While playing:
        if actions, observations or rewards have the wrong shape or dtype, are
        not finite, or are out of their range; within a `tf.function`, a
        `tf.errors.InvalidArgumentError` with the same message.
    """

    is_compilable = False

    def __init__(
        self,
        make_environment: Callable[[], VectorEnvironment],
        episode_length: int,
        *,
        num_workers: int = 0,
        dtype: str = "float32",
    ):
        self.episode_length = check_whole_number(
            "episode_length", episode_length, 1
        )
        expected = "a function without arguments"
        check_function("make_environment", make_environment, expected, 0)
        self._make_environment = make_environment
        self._num_workers = check_whole_number(
            "num_workers", num_workers, 0, 2**10
        )
        self.dtype = check_float_dtype("dtype", dtype)
        self._lock = threading.Lock()
        self._environments: list[VectorEnvironment] = []
        self._free: list[VectorEnvironment] = []
        self._sessions: dict[int, _Session] = {}
        self._num_sessions = 0
        first = self._take()
        self._free.append(first)
        self.num_actions = tuple(first.num_actions)
        self.num_players = len(self.num_actions)
        self.observation_shapes = tuple(map(tuple, first.observation_shapes))

    @property
    def action_shapes(self) -> tuple[tuple[int, ...], ...]:
        shapes = self._environments[0].action_shapes
        if shapes is not None:
            return tuple(map(tuple, shapes))
        for player_id, num_actions in enumerate(self.num_actions):
            if num_actions is None:
                raise ValueError(
                    f"The actions of player {player_id} are not a finite set, "
                    "and the environment does not say their shape. Set the "
                    "attribute `action_shapes` of the VectorEnvironment."
                )
        return super().action_shapes

    @property
    def action_bounds(self) -> tuple[tuple[Any, Any] | None, ...]:
        bounds = self._environments[0].action_bounds
        return super().action_bounds if bounds is None else tuple(bounds)

    def reset(
        self, seed: Seed, batch_size: int
    ) -> tuple[PythonState, TimeStep]:
        check_whole_number("batch_size", batch_size, 1, MOST_EPISODES)

        def start(seed: np.ndarray) -> list[np.ndarray | np.int32]:
            environment = self._take()
            sequence = np.random.SeedSequence(np.abs(seed.astype(np.int64)))
            # Many environments take seeds of 31 bits only.
            seeds = sequence.generate_state(batch_size) >> 1
            observations = environment.reset(seeds.astype(np.int64))
            observations = self._read_observations(
                "after a reset", observations, np.ones([batch_size], bool)
            )
            number = self._open(environment, batch_size)
            return [np.int32(number), *observations]

        types = [tf.int32, *[self.dtype] * self.num_players]
        session, *observations = self._call(start, [seed_tensor(seed)], types)
        session = tf.fill([batch_size], session)
        zeros = tf.zeros([batch_size], self.dtype)
        state = PythonState(session, tf.zeros_like(session), zeros + 1.0)
        return state, TimeStep(
            self._shaped(observations, batch_size),
            (zeros,) * self.num_players,
            state.continues,
            (zeros,) * self.num_players,
        )

    def step(
        self, state: PythonState, actions: tuple[tf.Tensor, ...], seed: Seed
    ) -> tuple[PythonState, TimeStep]:
        # All randomness of an episode comes from its first seed.
        del seed
        check_kind(
            "state", state, PythonState, "what `reset` or `step` returned"
        )
        check_per_player("actions", actions, self.num_players)
        batch_size = state.session.shape[0]

        def move(
            session: np.ndarray,
            step: np.ndarray,
            runs: np.ndarray,
            *actions: np.ndarray,
        ) -> list[np.ndarray]:
            number, step, runs = int(session[0]), int(step[0]), runs > 0
            environment = self._session(number, step, len(runs)).environment
            actions, is_played = self._playable(actions, len(runs))
            after = environment.step(actions)
            self._go_on(number)
            return self._read_step(f"at step {step}", after, runs, is_played)

        types = [self.dtype] * (1 + 3 * self.num_players)
        numbers = self._call(
            move,
            [state.session, state.step, state.continues, *actions],
            types,
        )
        count = self.num_players
        continues, *of_players = (
            tf.ensure_shape(x, [batch_size]) for x in numbers[: 1 + 2 * count]
        )
        observations = self._shaped(numbers[1 + 2 * count :], batch_size)
        state = PythonState(state.session, state.step + 1, continues)
        return state, TimeStep(
            observations,
            tuple(of_players[:count]),
            continues,
            tuple(of_players[count:]),
        )

    def close(self) -> None:
        """Ends the worker processes, and whatever the environments hold."""
        for environment in self._environments:
            environment.close()

    def __getstate__(self) -> dict[str, Any]:
        return {
            name: value
            for name, value in self.__dict__.items()
            if name != "_lock"
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def _call(self, function: Callable, inputs: list, types: list) -> list:
        return tf.numpy_function(function, inputs, types, stateful=True)

    def _playable(
        self, actions: tuple[np.ndarray, ...], batch_size: int
    ) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        """Returns actions to play, and bool `[B]`: where all are finite."""
        is_played = np.ones([batch_size], bool)
        played = []
        for player_id, (action, num_actions) in enumerate(
            zip(actions, self.num_actions, strict=True)
        ):
            what = f"`actions[{player_id}]`"
            if num_actions is not None:
                as_array(what, action, (batch_size,))
                is_wrong = (action < 0) | (action >= num_actions)
                if action.dtype.kind not in "iu" or np.any(is_wrong):
                    raise ValueError(
                        f"{what} must be whole numbers from 0 to "
                        f"{num_actions - 1}. Received: {action}."
                    )
            else:
                action = self._shaped_action(what, action, player_id)
                is_finite = np.isfinite(action)
                is_played &= np.all(is_finite.reshape(batch_size, -1), axis=1)
                action = np.where(is_finite, action, 0).astype(action.dtype)
            played.append(action)
        return tuple(played), is_played

    def _shaped_action(
        self, what: str, action: np.ndarray, player_id: int
    ) -> np.ndarray:
        """Returns `[B, *action_shape]`, as far as the shape is known."""
        shapes = self._environments[0].action_shapes
        if shapes is None:
            return action
        expected = (len(action), *shapes[player_id])
        if action.size != math.prod(expected):
            raise ValueError(
                f"{what} must have shape {expected}. Received shape "
                f"{action.shape}: let the policy's head return a distribution "
                "over such actions, see dice_tf.policies.with_head."
            )
        return np.reshape(action, expected)

    def _read_step(
        self, when: str, after: VectorStep, runs: np.ndarray, is_played: Any
    ) -> list[np.ndarray]:
        """Returns what a step brings, checked.

        Args:
          when: the step, as the end of a sentence.
          after: what the environment returned.
          runs: bool `[B]`, which episodes had not ended before.
          is_played: bool `[B]`, where the actions were finite.

        Returns:
          `continues`; one array of rewards, one of truncations and one of
          observations per player.
        """
        dtype = self.dtype.as_numpy_dtype
        continues = runs & as_batch_flags(
            f"`continues` {when}", after.continues, len(runs)
        )
        rewards = as_batches(
            "reward",
            when,
            after.rewards,
            [()] * self.num_players,
            runs,
            dtype,
        )
        rewards = [
            np.where(runs, np.where(is_played, reward, np.nan), 0).astype(dtype)
            for reward in rewards
        ]
        truncations = after.truncations
        if truncations == ():
            truncations = (np.zeros_like(runs),) * self.num_players
        check_per_player("truncations", truncations, self.num_players)
        truncations = [
            as_batch_flags(
                f"`truncations[{player_id}]` {when}", truncation, len(runs)
            )
            & (runs & ~continues)
            for player_id, truncation in enumerate(truncations)
        ]
        observations = self._read_observations(
            when,
            after.observations,
            continues | np.any(truncations, axis=0),
        )
        return [
            continues.astype(dtype),
            *rewards,
            *(truncation.astype(dtype) for truncation in truncations),
            *observations,
        ]

    def _read_observations(
        self, when: str, observations: Any, counts: np.ndarray
    ) -> list[np.ndarray]:
        return as_batches(
            "observation",
            when,
            observations,
            self.observation_shapes,
            counts,
            self.dtype.as_numpy_dtype,
        )

    def _shaped(
        self, observations: list[tf.Tensor], batch_size: int
    ) -> tuple[tf.Tensor, ...]:
        return tuple(
            tf.ensure_shape(observation, [batch_size, *shape])
            for observation, shape in zip(
                observations, self.observation_shapes, strict=True
            )
        )

    def _take(self) -> VectorEnvironment:
        """Returns an environment that nobody plays."""
        with self._lock:
            if self._free:
                return self._free.pop()
            environment = check_environment(self._make())
            if any(environment is known for known in self._environments):
                raise ValueError(
                    "`make_environment` must make a new environment at each "
                    f"call. It returned the same one twice: {environment!r}."
                )
            self._environments.append(environment)
            return environment

    def _make(self) -> VectorEnvironment:
        if not self._num_workers:
            return self._make_environment()
        return WorkerEnvironment(self._make_environment, self._num_workers)

    def _open(self, environment: VectorEnvironment, batch_size: int) -> int:
        """Returns the number of a new session, which the environment plays."""
        with self._lock:
            self._num_sessions += 1
            self._sessions[self._num_sessions] = _Session(
                environment, batch_size
            )
            return self._num_sessions

    def _session(self, number: int, step: int, batch_size: int) -> _Session:
        """Returns a session, or raises if a state is not its latest one."""
        session = self._sessions.get(number)
        if session is None or session.num_steps != step:
            raise ValueError(
                f"The state of step {step} was stepped before, or the "
                f"{self.episode_length} steps of its play are over. A "
                "PythonGame holds its episodes, so that each state can be "
                "stepped once: go on with the state that `step` returned, or "
                "start again with `reset`."
            )
        if session.batch_size != batch_size:
            raise ValueError(
                f"A play of {session.batch_size} episodes must be stepped "
                f"with as many. Received {batch_size}. The episodes of a "
                "PythonGame cannot be shared among the replicas of a "
                "tf.distribute strategy: use `num_workers` instead."
            )
        return session

    def _go_on(self, number: int) -> None:
        """Counts a step, and frees the environment after the last one."""
        session = self._sessions[number]
        session.num_steps += 1
        if session.num_steps == self.episode_length:
            with self._lock:
                self._free.append(self._sessions.pop(number).environment)
