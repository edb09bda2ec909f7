"""A watchdog over calls that may hang."""

import os
import time

import pytest

from benchmarks import recurrent_soak
from tests.experiments.parsed_flags import parsed_flags


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


def settings_of(*arguments):
    with parsed_flags(*arguments, command=recurrent_soak.COMMAND) as values:
        return recurrent_soak.resolve(values)


@pytest.mark.parametrize("lengths", ["", "2,0", "2,x", "-1"])
def test_lengths_are_positive_whole_numbers(lengths):
    with pytest.raises(ValueError, match="--episode_lengths"):
        settings_of(f"--episode_lengths={lengths}")


def test_sizes_are_those_of_the_flags():
    settings = settings_of("--episode_lengths=4,2", "--units=3")
    sizes = list(recurrent_soak.sizes(settings))
    assert len(sizes) == 8
    assert sizes[0] == {
        "policy": "gru",
        "episode_length": 4,
        "num_lookaheads": 1,
        "batch_size": 8,
        "units": 3,
    }


class Still:
    """A watchdog by whose clock each call takes as long as its number."""

    def __init__(self):
        self._number = 0.0

    def time(self, subject, limit, call):
        self._number += 1.0
        return self._number - 1.0
