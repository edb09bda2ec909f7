"""Episodes spread over processes."""

import inspect
import multiprocessing
import pickle
import signal
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dice_tf.bridges.vector_environment import (
    VectorEnvironment,
    VectorStep,
    check_environment,
)

_READY, _RESULT, _ERROR = "ready", "result", "error"
_SPACES = "spaces"
# Seconds that a process has to end by itself, and to obey a signal.
_PATIENCE = 5.0
# What Python calls the main program while a new process imports it.
_IMPORTED_MAIN = "__mp_main__"

_REMEDY = (
    "A worker process first imports the program that started it, and then "
    "finds what makes the environments by its name. In a script, put what "
    'makes the game and trains under `if __name__ == "__main__":`. In a '
    "notebook or a console, write `make_environment` into a module, a file "
    "that can be imported. With num_workers=0 neither is needed."
)


class WorkerEnvironment(VectorEnvironment):
    """Runs its episodes in processes of their own, each a share.

    Results are those of a single process: each episode has its own seed.

    If a process dies or fails, or the program is interrupted while it waits
    for one, all of them are ended: what the others would answer next belongs
    to another step. Nothing can be played then.

    Args:
      make_environment: makes the `VectorEnvironment` of one process. It is
        pickled: a function of a module, not one within a function.
      num_workers: number of processes.

    Raises:
      TypeError: if `make_environment` cannot be pickled.
      RuntimeError: if a process dies, with its exit code or signal, or fails,
        with its traceback; also while playing, and by all that is asked later.
    """

    def __init__(
        self,
        make_environment: Callable[[], VectorEnvironment],
        num_workers: int,
    ):
        _leave_if_imported()
        maker = _pickled(make_environment)
        context = _context()
        self._connections: list[Any] = []
        self._processes: list[Any] = []
        self._num_workers = num_workers
        self._bounds: Sequence[int] | np.ndarray = ()
        self._why_ended = ""
        try:
            for _ in range(num_workers):
                self._start_process(context)
            for worker in range(num_workers):
                self._receive(worker, "when it started")
                self._send(worker, maker, "when it started")
            spaces = [
                self._receive(worker, "when it made its environment")
                for worker in range(num_workers)
            ]
        except BaseException as error:
            self._end(error)
            raise
        (
            self.num_actions,
            self.observation_shapes,
            self.action_shapes,
            self.action_bounds,
        ) = spaces[0]

    def reset(self, seeds: np.ndarray) -> tuple[np.ndarray, ...]:
        shares = np.array_split(seeds, len(self._processes))
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
        # At the end of its connection, a process ends by itself.
        for process in self._processes:
            process.join(_PATIENCE)
        self._kill()
        self._why_ended = self._why_ended or "it was closed"

    def __getstate__(self) -> dict[str, Any]:
        raise TypeError(
            "A game that is played in worker processes cannot be copied or "
            "pickled, since its episodes lie with them. Make it anew, or play "
            "in this process, with num_workers=0."
        )

    def _start_process(self, context: Any) -> None:
        here, there = context.Pipe()
        self._connections.append(here)
        process = context.Process(target=_serve, args=(there,), daemon=True)
        process.start()
        self._processes.append(process)
        there.close()

    def _ask(self, method: str, arguments: Sequence[Any]) -> list:
        """Lets all processes work at the same time."""
        if self._why_ended:
            raise RuntimeError(
                "The worker processes of this environment have ended: "
                f"{self._why_ended}. Make the game anew."
            )
        when = f"in `{method}`"
        try:
            asked = []
            for worker, argument in enumerate(arguments):
                # With more processes than episodes, some have no episode.
                share = argument if method == "reset" else argument[0]
                if len(share):
                    self._send(worker, pickle.dumps((method, argument)), when)
                    asked.append(worker)
            return [self._receive(worker, when) for worker in asked]
        except BaseException as error:
            self._end(error)
            raise

    def _send(self, worker: int, message: bytes, when: str) -> None:
        try:
            self._connections[worker].send_bytes(message)
        except OSError as error:
            raise self._death(worker, when) from error

    def _receive(self, worker: int, when: str) -> Any:
        try:
            kind, content = self._connections[worker].recv()
        except (EOFError, OSError) as error:
            raise self._death(worker, when) from error
        if kind == _ERROR:
            name = self._name(worker)
            message, lines = content
            raise RuntimeError(
                f"{name} failed {when}: {message}\nIn the worker:\n{lines}"
            )
        return content

    def _name(self, worker: int) -> str:
        process = self._processes[worker]
        return (
            f"Worker process {worker + 1} of {self._num_workers} (process id "
            f"{process.pid})"
        )

    def _death(self, worker: int, when: str) -> RuntimeError:
        """Returns the error that says how a process ended."""
        process = self._processes[worker]
        process.join(_PATIENCE)
        name = f"{self._name(worker)} ended without an answer {when}"
        code = process.exitcode
        if code is None:
            return RuntimeError(f"{name}: it closed its connection.")
        if code < 0:
            return RuntimeError(
                f"{name}: it was ended by the signal {_signal_name(-code)}. "
                "An environment may have crashed, or somebody ended it; "
                "SIGKILL is often the system's answer to a lack of memory, "
                "which fewer workers need less of."
            )
        if when == "when it started":
            return RuntimeError(f"{name}: its exit code was {code}. {_REMEDY}")
        return RuntimeError(
            f"{name}: its exit code was {code}, as if its environment had "
            "ended the process. Play with num_workers=0 to see where."
        )

    def _end(self, error: BaseException) -> None:
        """Ends all processes at once, after an error."""
        reason = str(error).split("\n")[0]
        self._why_ended = reason or type(error).__name__
        for connection in self._connections:
            connection.close()
        self._kill()

    def _kill(self) -> None:
        """Ends processes that have not ended by themselves."""
        alive = [process for process in self._processes if process.is_alive()]
        for process in alive:
            process.terminate()
        for process in alive:
            process.join(_PATIENCE)
            if process.is_alive():
                process.kill()
                process.join()


def _leave_if_imported() -> None:
    """Ends a worker that imports a script which starts workers.

    Such a script lacks `if __name__ == "__main__":`. Python would print a
    traceback in each worker. The process that started this one says what to
    do, see `_REMEDY`.
    """
    frame = inspect.currentframe()
    while frame is not None:
        # A function of that script may start workers once it is imported.
        is_import = frame.f_code.co_name == "<module>"
        if is_import and frame.f_globals.get("__name__") == _IMPORTED_MAIN:
            raise SystemExit(1)
        frame = frame.f_back


def _pickled(make_environment: Callable[[], VectorEnvironment]) -> bytes:
    try:
        return pickle.dumps(make_environment)
    except Exception as error:
        raise TypeError(
            "`make_environment` must be a function that worker processes find "
            "by its name: one at the top of a module, or a functools.partial "
            f"of it. Received: {make_environment!r}. Python says: {error}"
        ) from error


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


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


def _serve(connection: Any) -> None:
    """What a process does until its connection closes."""
    # Ctrl-C reaches all processes of a terminal. The first one decides: a step
    # that is under way is finished, and the connections close at its end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    environment = None
    try:
        connection.send((_READY, None))
        environment = _made(connection.recv_bytes())
        connection.send_bytes(_answer(environment, _SPACES))
        while True:
            method, argument = pickle.loads(connection.recv_bytes())
            connection.send_bytes(_answer(environment, method, argument))
    except (EOFError, ConnectionError):
        if environment is not None:
            environment.close()
    except _Failure as failure:
        connection.send((_ERROR, failure.args))


class _Failure(Exception):
    """What failed in a worker: the error in one line, and its traceback."""


def _made(maker: bytes) -> VectorEnvironment:
    try:
        make_environment = pickle.loads(maker)
    except Exception as error:
        message = f"`make_environment` cannot be found: {error}. {_REMEDY}"
        raise _Failure(message, traceback.format_exc()) from error
    try:
        return check_environment(make_environment())
    except Exception as error:
        raise _failure(error) from error


def _answer(
    environment: VectorEnvironment, method: str, argument: Any = None
) -> bytes:
    try:
        if method == _SPACES:
            result = (
                environment.num_actions,
                environment.observation_shapes,
                environment.action_shapes,
                environment.action_bounds,
            )
        elif method == "reset":
            result = environment.reset(argument)
        else:
            result = environment.step(argument)
        return pickle.dumps((_RESULT, result))
    except Exception as error:
        raise _failure(error) from error


def _failure(error: Exception) -> _Failure:
    message = f"{type(error).__name__}: {error}"
    return _Failure(message, traceback.format_exc())
