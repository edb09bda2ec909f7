"""Requests to stop: Ctrl-C, and output that nobody reads."""

import os
import signal
import subprocess
import sys

import pytest

from experiments.command_line import stopping
from experiments.command_line.stopping import (
    deferred_interrupts,
    end_status,
    guard_termination,
    stop_requested,
)
from tests.experiments.commands import ROOT


@pytest.fixture(params=[(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def stop(request):
    """A function that sends a signal, and the exit status that it means."""
    number, status = request.param
    usual = signal.getsignal(signal.SIGTERM)
    guard_termination()
    yield lambda: os.kill(os.getpid(), number), status
    signal.signal(signal.SIGTERM, usual)


def test_the_first_signal_waits_and_the_second_does_not(stop, capfd) -> None:
    send, status = stop
    with pytest.raises(KeyboardInterrupt), deferred_interrupts():
        send()
        assert stop_requested()
        send()
        raise AssertionError("the second one was deferred, too")
    assert end_status() == status
    assert not stop_requested()
    assert "Press Ctrl-C again" in capfd.readouterr().err


def test_a_signal_that_nobody_saw_is_not_lost(stop) -> None:
    send, status = stop
    with pytest.raises(KeyboardInterrupt), deferred_interrupts():
        send()
    assert end_status() == status


def test_outside_of_a_training_a_signal_does_not_wait(stop) -> None:
    send, status = stop
    with deferred_interrupts():
        pass
    with pytest.raises(KeyboardInterrupt):
        send()
    assert end_status() == status
    assert not stop_requested()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("handler", [signal.SIG_IGN, lambda *_: None])
def test_handlers_of_others_stay(handler, number) -> None:
    usual = signal.signal(number, handler)
    try:
        guard_termination()
        with deferred_interrupts():
            assert signal.getsignal(number) is handler
            os.kill(os.getpid(), number)
        assert not stop_requested()
    finally:
        signal.signal(number, usual)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def test_output_that_nobody_reads_is_dropped() -> None:
    """As with `| head -1`, on both streams; the run is asked to stop."""
    with _unread_stream() as stream:
        stream.write("no request\n")
        stream.flush()
        assert not stop_requested()
    with _unread_stream() as stream:
        stream.asks_to_stop = True
        print("first", file=stream)
        print("second", file=stream, flush=True)
        assert end_status() == 141
        print("third", file=stream, flush=True)
        assert end_status() == 130


def _unread_stream() -> stopping._Output:
    reading, writing = os.pipe()
    os.close(reading)
    return stopping._Output(os.fdopen(writing, "wb"))


_PRINT = """
import os, sys
from experiments.command_line.stopping import guard_streams
guard_streams()
print("no " + chr(0x2713) + " such sign", flush=True)
print("error", file=sys.stderr)
file = open(sys.argv[1], "w")
print("printed", flush=True)
os.write(1, b"written by C++")
file.write("data")
"""


@pytest.mark.parametrize(
    "closed", ["1>&-", "2>&-", "0<&- 1>&- 2>&-", ">/dev/full"]
)
def test_closed_streams_lead_nowhere(tmp_path, closed: str) -> None:
    path = tmp_path / "file"
    command = [sys.executable, "-c", _PRINT, str(path)]
    done = subprocess.run(
        ["bash", "-c", f'"$@" {closed}', "-", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert path.read_text() == "data"
