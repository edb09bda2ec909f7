"""Runs compiled gradients of passes over time again and again, with a watchdog.

  python -m benchmarks.recurrent_soak --output_dir=runs/recurrent_soak

The gradient of TensorFlow's own loops, compiled by XLA on CPU, can spin for
ever at some later call with another seed. A scan whose derivative is a scan
must never do so. Here GRU and LSTM policies against each other take directions
of LOLA-DiCE with one and two look-aheads, in games of 2, 4, 50 and 150 steps;
every call draws afresh. A call that takes longer than 30 times the median of
its size (and 10 seconds) ends the process with an error, with the size and the
seed, even if the call never returns. The folder gets soak.json, a list of
{policy, episode_length, num_lookaheads, batch_size, units, iterations,
median_ms, longest_ms, compile_s}.
"""

import itertools
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from absl import flags

from experiments.command_line.commands import Command
from experiments.results.outputs import OutputFolder, write_json
from experiments.settings.training_flags import define_output_flags

POLICIES = ("gru", "lstm")
NUM_LOOKAHEADS = (1, 2)
# A call may take so many times the median, and at least so many seconds, in
# which a machine that others use may be busy with something else.
LONGEST, PATIENCE = 30.0, 10.0
# Compiling is no call.
_COMPILING = 3600.0


class SoakSettings(NamedTuple):
    """What is called again and again.

    Attributes:
      num_iterations: of all sizes together.
      episode_lengths: of the games.
      batch_size: episodes of a call.
      units: of each cell.
    """

    num_iterations: int
    episode_lengths: tuple[int, ...]
    batch_size: int
    units: int


def define_flags() -> None:
    """Defines the flags."""
    define_output_flags()
    flags.DEFINE_integer(
        "num_iterations",
        20_000,
        "How many calls, of all sizes together.",
        lower_bound=1,
    )
    flags.DEFINE_list(
        "episode_lengths", ["2", "4", "50", "150"], "Lengths of episodes."
    )
    flags.DEFINE_integer("batch_size", 8, "Episodes of a call.", lower_bound=2)
    flags.DEFINE_integer("units", 8, "Of each cell.", lower_bound=1)


def resolve(values: flags.FlagValues) -> SoakSettings:
    """Returns the settings that the flags ask for."""
    lengths = []
    for text in values.episode_lengths:
        if not text.isdecimal() or int(text) < 1:
            raise ValueError(
                "--episode_lengths must be positive whole numbers, such as "
                f"2,50. Received: {text!r}."
            )
        lengths.append(int(text))
    if not lengths:
        raise ValueError("--episode_lengths is empty; give at least one.")
    return SoakSettings(
        values.num_iterations, tuple(lengths), values.batch_size, values.units
    )


class Watchdog:
    """Ends the process if a call does not return in time.

    A call that hangs holds no lock of Python, so that another thread can still
    act, but raises nothing and cannot be interrupted.
    """

    def __init__(self):
        self._deadline = None
        self._subject = ""
        threading.Thread(target=self._watch, daemon=True).start()

    def time(
        self, subject: str, limit: float, call: Callable[[], Any]
    ) -> float:
        """Returns the seconds that a call takes.

        Args:
          subject: what the error says of the call.
          limit: in seconds; after it the process ends.
          call: the function.
        """
        start = time.monotonic()
        self._subject, self._deadline = subject, start + limit
        call()
        self._deadline = None
        return time.monotonic() - start

    def _watch(self) -> None:
        while True:
            time.sleep(0.5)
            deadline = self._deadline
            if deadline is not None and time.monotonic() > deadline:
                print(f"Hangs: {self._subject}.", file=sys.stderr, flush=True)
                os._exit(1)


def compiled_direction(
    policy: str,
    episode_length: int,
    num_lookaheads: int,
    batch_size: int,
    units: int,
) -> Callable[[int], None]:
    """Returns a function of a seed that waits for one direction."""
    import tensorflow as tf

    import dice_tf

    game = dice_tf.games.iterated_prisoners_dilemma(episode_length)
    build = {"gru": dice_tf.policies.gru, "lstm": dice_tf.policies.lstm}[policy]
    policies = [build(game, i, units=units) for i in range(2)]
    objective = dice_tf.objectives.DiCEObjective(
        game, policies, discount=0.96, batch_size=batch_size
    )
    learner = dice_tf.learners.LOLADiCE(num_lookaheads, 1.0)
    params = objective.initial_params()

    @tf.function(autograph=False, jit_compile=True)
    def direction(seed: tf.Tensor) -> list[tf.Tensor]:
        return learner.gradient(objective, params, 0, seed)

    def wait(number: int) -> None:
        for gradient in direction(tf.constant([0, number])):
            gradient.numpy()

    return wait


def soak(watchdog: Watchdog, num_calls: int, **size: Any) -> dict[str, Any]:
    """Calls one size again and again; returns its row."""
    call = compiled_direction(**size)
    name = ", ".join(f"{key}={value}" for key, value in size.items())
    compile_seconds = watchdog.time(
        f"{name} (compiling)", _COMPILING, lambda: call(0)
    )
    seconds = [watchdog.time(name, _COMPILING, lambda: call(1))]
    limit = PATIENCE
    for number in range(2, num_calls + 1):
        subject = f"{name}, seed [0, {number}], after {number - 1} calls"
        seconds.append(watchdog.time(subject, limit, lambda n=number: call(n)))
        if number % 100 == 0:
            limit = max(PATIENCE, LONGEST * statistics.median(seconds))
    return {
        **size,
        "iterations": num_calls,
        "median_ms": 1e3 * statistics.median(seconds),
        "longest_ms": 1e3 * max(seconds),
        "compile_s": compile_seconds,
    }


def sizes(settings: SoakSettings) -> Iterator[dict[str, Any]]:
    """Yields all sizes, the short ones first."""
    for length, policy, number in itertools.product(
        settings.episode_lengths, POLICIES, NUM_LOOKAHEADS
    ):
        yield {
            "policy": policy,
            "episode_length": length,
            "num_lookaheads": number,
            "batch_size": settings.batch_size,
            "units": settings.units,
        }


def run(settings: SoakSettings, folder: OutputFolder) -> None:
    """Calls every size, and writes the rows."""
    start = time.monotonic()
    watchdog, all_sizes, rows = Watchdog(), list(sizes(settings)), []
    num_calls = -(-settings.num_iterations // len(all_sizes))
    with folder.collect() as stage:
        for size in all_sizes:
            rows.append(soak(watchdog, num_calls, **size))
            print(rows[-1], flush=True)
        write_json(stage / "soak.json", rows)
    minutes = (time.monotonic() - start) / 60.0
    print(
        f"{num_calls * len(all_sizes)} calls, no hang, {minutes:.1f} minutes."
    )


COMMAND = Command(define_flags, resolve, run, libraries=())

if __name__ == "__main__":
    COMMAND.start()
