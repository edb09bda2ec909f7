"""A watchdog over calls that may hang."""

import os
import time

import pytest

from benchmarks import recurrent_soak


def test_a_call_that_takes_too_long_ends_the_process(monkeypatch, capsys):
    ended = []
    monkeypatch.setattr(os, "_exit", ended.append)
    watchdog = recurrent_soak.Watchdog()
    assert watchdog.time("quick", 30.0, lambda: time.sleep(0.1)) >= 0.1
    assert not ended
    watchdog.time("slow, seed [0, 3]", 0.1, lambda: time.sleep(1.5))
    assert ended and ended[0] == 1
    assert "Hangs: slow, seed [0, 3]." in capsys.readouterr().err


def test_the_longest_of_few_calls_is_measured(monkeypatch):
    monkeypatch.setattr(
        recurrent_soak, "compiled_direction", lambda **size: time.sleep
    )
    row = recurrent_soak.soak(Still(), 3, policy="gru")
    assert row["policy"] == "gru" and row["iterations"] == 3
    assert row["longest_ms"] == pytest.approx(3e3)


class Still:
    """A watchdog by whose clock each call takes as long as its number."""

    def __init__(self):
        self._number = 0.0

    def time(self, subject, limit, call):
        self._number += 1.0
        return self._number - 1.0
