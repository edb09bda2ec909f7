"""Requests to stop a run at a moment when a checkpoint can be written.

Ctrl-C asks for it, and so do SIGTERM, which schedulers send, and the reader of
the output that goes away, as `head` does. Whoever trains looks at
`stop_requested` now and then, writes a checkpoint and raises
`KeyboardInterrupt`.
"""

import contextlib
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any, TextIO

# What shells report of a program that ended by SIGINT, SIGPIPE or SIGTERM.
INTERRUPTED = 130
OUTPUT_CLOSED = 141
TERMINATED = 143

_STATUSES = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}

_NOTE = (
    b"\nStopping as soon as a checkpoint can be written. Press Ctrl-C again to "
    b"stop at once.\n"
)


class _Request:
    """Whether the run of this process is to stop, and with which status."""

    def __init__(self) -> None:
        self.status: int | None = None


_request = _Request()


def stop_requested() -> bool:
    """Tells whether the run should write a checkpoint and stop."""
    return _request.status is not None


def end_status() -> int:
    """Returns the exit status of a run that stops, and forgets the request."""
    status, _request.status = _request.status, None
    return INTERRUPTED if status is None else status


def guard_termination() -> None:
    """Lets SIGTERM end the program as Ctrl-C does, unless it is ignored."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminate)


def _terminate(*_) -> None:
    _request.status = TERMINATED
    raise KeyboardInterrupt


@contextlib.contextmanager
def deferred_interrupts() -> Iterator[None]:
    """Lets the first signal wait until the run can stop; the second does not.

    The signals are Ctrl-C and, after `guard_termination`, SIGTERM. In other
    threads than the main one, and where a signal is ignored or handled by
    somebody else, all stays as it is.
    """
    usual = {
        number: handler
        for number, handler in (
            (signal.SIGINT, signal.default_int_handler),
            (signal.SIGTERM, _terminate),
        )
        if signal.getsignal(number) is handler
    }
    if threading.current_thread() is not threading.main_thread():
        usual = {}

    def ask(number: int, _: Any) -> None:
        if stop_requested():
            raise KeyboardInterrupt
        _request.status = _STATUSES[number]
        # `print` must not be called while another one is being interrupted.
        with contextlib.suppress(OSError):
            os.write(2, _NOTE)

    for number in usual:
        signal.signal(number, ask)
    try:
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
    if usual and _request.status in _STATUSES.values():
        raise KeyboardInterrupt


class _Output(io.TextIOWrapper):
    """A standard stream that nobody may be reading any longer.

    Once writing has failed, all that follows is dropped.
    """

    asks_to_stop = False

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError:
            self._drop()
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError:
            self._drop()

    def _drop(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        # Also what is still in the buffer goes there.
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)
        if self.asks_to_stop and not stop_requested():
            _request.status = OUTPUT_CLOSED


def guard_streams() -> None:
    """Makes standard output and error outlive their readers.

    Streams that were closed from the start lead nowhere: files that are opened
    later would take their numbers, and be written to by mistake.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free is this one.
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = _guarded(sys.stdout, 1)
    sys.stderr = _guarded(sys.stderr, 2)
    sys.stdout.asks_to_stop = True


def _guarded(stream: TextIO | None, number: int) -> _Output:
    if stream is None:
        return _Output(open(number, "wb", closefd=False), encoding="utf-8")
    stream.flush()
    return _Output(
        stream.buffer,
        encoding=stream.encoding,
        # A name that the terminal cannot show is no reason to fail.
        errors="backslashreplace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
