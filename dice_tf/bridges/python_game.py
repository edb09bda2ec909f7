"""Games that are played by Python code, in the midst of a TensorFlow graph."""

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from dice_tf.bridges.vector_environment import VectorEnvironment
from dice_tf.bridges.workers import WorkerEnvironment
from dice_tf.checks import check_whole_number
from dice_tf.games.game import Game, TimeStep


class PythonState(NamedTuple):
    """Where an episode is; the rest lies with the environment.

    Attributes:
      session: int32 `[B]`, all the same: which environment plays.
      step: int32 `[B]`, all the same: number of steps made.
      continues: `[B]`, 1 while an episode runs, else 0.
    """

    session: tf.Tensor
    step: tf.Tensor
    continues: tf.Tensor


class PythonGame(Game):
    """A game whose steps are made by NumPy code, `B` episodes at a time.

    Look-ahead learners play with parameters that are known only within a
    training step. So the environment is called from within the step, which
    can therefore not be compiled by XLA: the `Trainer` leaves that away. All
    that does not play, such as derivatives, runs as TensorFlow all the same.

    Each play has environments of its own, which the next one uses again: the
    plays of one step may run at the same time. The state of an episode lies
    with them, so that `step` can be called once per state only.

    An episode that ends early gets `discounts` of 0; after that its rewards
    are 0 and its observations stay as they are.

    Args:
      make_environment: makes a `VectorEnvironment`.
      episode_length: T, the steps after which an episode is over anyway.
      num_workers: number of processes that share the episodes of a play, each
        with what `make_environment` makes, which must then be a function of
        a module. 0: all in this process.
      dtype: floating dtype, "float32" or "float64".

    Raises:
      TypeError, ValueError: if an argument is out of its range.
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
        self._make_environment = make_environment
        self._num_workers = check_whole_number("num_workers", num_workers, 0)
        self.dtype = tf.as_dtype(dtype)
        self._lock = threading.Lock()
        self._environments: list[VectorEnvironment] = []
        self._free: list[int] = []
        self._free.append(self._take())
        first = self._environments[0]
        self.num_actions = tuple(first.num_actions)
        self.num_players = len(self.num_actions)
        self.observation_shapes = tuple(map(tuple, first.observation_shapes))

    def reset(self, seed: Any, batch_size: int) -> tuple[PythonState, TimeStep]:
        check_whole_number("batch_size", batch_size, 1)

        def start(seed: np.ndarray) -> list[np.ndarray]:
            session = self._take()
            sequence = np.random.SeedSequence(np.abs(seed.astype(np.int64)))
            # Many environments take seeds of 31 bits only.
            seeds = sequence.generate_state(batch_size) >> 1
            observations = self._environments[session].reset(
                seeds.astype(np.int64)
            )
            return [np.int32(session), *self._floats(observations)]

        session, *observations = self._call(start, [seed], [tf.int32])
        session = tf.fill([batch_size], session)
        zeros = tf.zeros([batch_size], self.dtype)
        state = PythonState(session, tf.zeros_like(session), zeros + 1.0)
        return state, TimeStep(
            self._shaped(observations, batch_size),
            (zeros,) * self.num_players,
            state.continues,
        )

    def step(
        self, state: PythonState, actions: tuple[tf.Tensor, ...], seed: Any
    ) -> tuple[PythonState, TimeStep]:
        # All randomness of an episode comes from its first seed.
        del seed
        batch_size = state.session.shape[0]

        def move(
            session: np.ndarray, step: np.ndarray, *actions: np.ndarray
        ) -> list[np.ndarray]:
            session = int(session[0])
            after = self._environments[session].step(actions)
            if step[0] + 1 == self.episode_length:
                self._give_back(session)
            continues, *rest = self._floats(
                (after.continues, *after.rewards, *after.observations)
            )
            return [continues, *rest]

        types = [self.dtype] * (1 + self.num_players)
        continues, *rest = self._call(
            move, [state.session, state.step, *actions], types
        )
        continues = tf.ensure_shape(continues, [batch_size])
        # Not a product with 0, which does not silence what is not finite.
        rewards = tuple(
            tf.where(state.continues > 0.0, own, tf.zeros_like(own))
            for own in (
                tf.ensure_shape(own, [batch_size])
                for own in rest[: self.num_players]
            )
        )
        observations = self._shaped(rest[self.num_players :], batch_size)
        # Once over, an episode does not begin again.
        continues *= state.continues
        state = PythonState(state.session, state.step + 1, continues)
        return state, TimeStep(observations, rewards, continues)

    def close(self) -> None:
        """Ends the worker processes, and whatever the environments hold."""
        for environment in self._environments:
            environment.close()

    def _call(self, function: Callable, inputs: list, types: list) -> list:
        types = [*types, *[self.dtype] * self.num_players]
        return tf.numpy_function(function, inputs, types, stateful=True)

    def _floats(self, arrays: tuple[np.ndarray, ...]) -> list[np.ndarray]:
        return [np.asarray(x, self.dtype.as_numpy_dtype) for x in arrays]

    def _shaped(
        self, observations: list[tf.Tensor], batch_size: int
    ) -> tuple[tf.Tensor, ...]:
        return tuple(
            tf.ensure_shape(own, [batch_size, *shape])
            for own, shape in zip(
                observations, self.observation_shapes, strict=True
            )
        )

    def _take(self) -> int:
        """Returns the number of an environment that nobody plays."""
        with self._lock:
            if self._free:
                return self._free.pop()
            self._environments.append(self._make())
            return len(self._environments) - 1

    def _make(self) -> VectorEnvironment:
        if not self._num_workers:
            return self._make_environment()
        return WorkerEnvironment(self._make_environment, self._num_workers)

    def _give_back(self, session: int) -> None:
        with self._lock:
            self._free.append(session)
