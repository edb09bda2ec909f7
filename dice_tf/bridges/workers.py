"""Episodes spread over processes."""

import multiprocessing
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dice_tf.bridges.vector_environment import (
    VectorEnvironment,
    VectorStep,
    check_environment,
)

_RESULT, _ERROR = "result", "error"


class WorkerEnvironment(VectorEnvironment):
    """Runs its episodes in processes of their own, each a share.

    Results are those of a single process: each episode has its own seed.

    Args:
      make_environment: makes the `VectorEnvironment` of one process. It is
        pickled: a function of a module, not one within a function.
      num_workers: number of processes.
    """

    def __init__(
        self,
        make_environment: Callable[[], VectorEnvironment],
        num_workers: int,
    ):
        context = _context()
        self._connections = []
        self._processes = []
        for _ in range(num_workers):
            here, there = context.Pipe()
            process = context.Process(
                target=_serve, args=(there, make_environment), daemon=True
            )
            process.start()
            there.close()
            self._connections.append(here)
            self._processes.append(process)
        self._bounds: Sequence[int] = ()
        spaces = [self._receive(one) for one in self._connections]
        (
            self.num_actions,
            self.observation_shapes,
            self.action_shapes,
            self.action_bounds,
        ) = spaces[0]

    def reset(self, seeds: np.ndarray) -> tuple[np.ndarray, ...]:
        shares = np.array_split(seeds, len(self._connections))
        self._bounds = np.cumsum([len(share) for share in shares])[:-1]
        parts = self._ask("reset", shares)
        return _join(parts)

    def step(self, actions: tuple[np.ndarray, ...]) -> VectorStep:
        split = [np.split(action, self._bounds) for action in actions]
        parts = self._ask("step", list(zip(*split, strict=True)))
        return VectorStep(
            _join([part.observations for part in parts]),
            _join([part.rewards for part in parts]),
            np.concatenate([part.continues for part in parts]),
            _join([part.truncations for part in parts]),
        )

    def close(self) -> None:
        for connection in self._connections:
            connection.close()
        for process in self._processes:
            process.join()

    def __getstate__(self) -> dict[str, Any]:
        raise TypeError(
            "A game that is played in worker processes cannot be copied or "
            "pickled, since its episodes lie with them. Make it anew, or play "
            "in this process, with num_workers=0."
        )

    def _ask(self, method: str, arguments: Sequence[Any]) -> list:
        """Lets all processes work at the same time."""
        asked = []
        for connection, argument in zip(
            self._connections, arguments, strict=True
        ):
            # With more processes than episodes, some have no episode.
            share = argument if method == "reset" else argument[0]
            if len(share):
                connection.send((method, argument))
                asked.append(connection)
        return [self._receive(connection) for connection in asked]

    @staticmethod
    def _receive(connection: Any) -> Any:
        try:
            kind, content = connection.recv()
        except (EOFError, ConnectionError) as error:
            raise RuntimeError(
                "A worker process ended without an answer. What makes the "
                "environments must be found there by its name: a function of "
                "a module that can be imported."
            ) from error
        if kind == _ERROR:
            raise RuntimeError(f"A worker process failed: {content}")
        return content


def _context() -> Any:
    """Returns how processes start.

    Not as copies of this one, which holds the threads of TensorFlow; but as
    copies of one that has imported what they need, where that can be had.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _join(parts: list[tuple[np.ndarray, ...]]) -> tuple[np.ndarray, ...]:
    return tuple(np.concatenate(share) for share in zip(*parts, strict=True))


def _serve(connection: Any, make_environment: Callable) -> None:
    """What a process does until its connection closes."""
    try:
        environment = check_environment(make_environment())
        answer = (
            environment.num_actions,
            environment.observation_shapes,
            environment.action_shapes,
            environment.action_bounds,
        )
        connection.send((_RESULT, answer))
        while True:
            method, argument = connection.recv()
            connection.send((_RESULT, getattr(environment, method)(argument)))
    except (EOFError, KeyboardInterrupt):
        return
    except Exception as error:
        connection.send((_ERROR, f"{type(error).__name__}: {error}"))
