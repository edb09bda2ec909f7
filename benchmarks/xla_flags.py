"""Times training with flags of XLA against training without them.

  python -m benchmarks.xla_flags --flags=--xla_cpu_prefer_vector_width=512

XLA reads its flags once, so that each side is a separate process; the two
take turns. Prints, for each size, the median milliseconds of an iteration of
both players and the ratio, with flags over without. Needs two minutes.
"""

import contextlib
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any

from absl import app, flags

from benchmarks.timing import CALLS_PER_TURN, alternate
from experiments.command_line.commands import import_tensorflow, user_errors

FLAGS = flags.FLAGS
flags.DEFINE_string("flags", None, "Flags of XLA.", required=True)
flags.DEFINE_integer("turns", 15, "How many calls of each are timed.", 3)

SIZES = {
    "batch_64": {"batch_size": 64},
    "seeds_20": {"batch_size": 64, "num_seeds": 20},
    "batch_128": {},
    "mlp_64": {"hidden_units": 64},
    "batch_4096": {"batch_size": 4096, "iterations": 2},
}
_ITERATIONS = 10


def _serve(size: dict[str, Any], num_calls: int, pipe: Connection) -> None:
    """Trains once for each message, in another process."""
    import_tensorflow()
    from benchmarks import programs

    call = programs.ours(programs.Size(**size), num_calls)
    pipe.send(None)
    for _ in range(num_calls):
        pipe.recv()
        call()
        pipe.send(None)


@contextlib.contextmanager
def _side(xla_flags: str, size: dict[str, Any]) -> Iterator[Callable[[], None]]:
    """Yields a function that makes a process train once."""
    context = multiprocessing.get_context("spawn")
    pipe, end = context.Pipe()
    before = os.environ.get("XLA_FLAGS", "")
    num_calls = CALLS_PER_TURN * FLAGS.turns
    process = context.Process(
        target=_serve, args=(size, num_calls, end), daemon=True
    )
    os.environ["XLA_FLAGS"] = f"{before} {xla_flags}".strip()
    try:
        process.start()
    finally:
        os.environ["XLA_FLAGS"] = before
    # Only the process holds this end now: when it stops, `recv` is told.
    end.close()

    def wait() -> None:
        try:
            pipe.recv()
        except (EOFError, ConnectionError):
            raise ValueError(
                f"The process with --flags={xla_flags!r} has ended, see above."
            ) from None

    def call() -> None:
        with contextlib.suppress(ConnectionError):
            pipe.send(None)
        wait()

    try:
        wait()
        yield call
    finally:
        pipe.close()
        process.terminate()
        process.join()


def main(argv: Sequence[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Unknown argument: {argv[1]!r}.")
    print(f"{'':12}{'without':>10}{'with':>10}{'ratio':>8}")
    for name, changes in SIZES.items():
        size = {"iterations": _ITERATIONS, **changes}
        with (
            user_errors(),
            _side("", size) as without,
            _side(FLAGS.flags, size) as with_flags,
        ):
            timings = alternate(
                {
                    "without": (without, size["iterations"]),
                    "with": (with_flags, size["iterations"]),
                },
                FLAGS.turns,
            )
        plain, flagged = (
            1e3 * timings[side].median_seconds for side in ("without", "with")
        )
        print(
            f"{name:12}{plain:7.2f} ms{flagged:7.2f} ms{flagged / plain:8.2f}",
            flush=True,
        )


if __name__ == "__main__":
    app.run(main)
