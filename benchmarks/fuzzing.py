"""Calls everything that is public with one bad argument at a time.

Each call must work, or raise a `ValueError` or `TypeError` whose message names
the argument. The calls run in a process of their own, which is ended if a call
takes too long, and whose memory is limited.
"""

import collections
import contextlib
import csv
import multiprocessing
import os
import pathlib
import random
import re
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatch
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from experiments.results.check_list import Check, aligned, at_least, at_most

WORKS, NAMES = "works", "names the argument"
UNNAMED, HUNG, DIED = "another error", "hung", "died"
LARGE = "took a gigabyte"

# Calls that may raise other errors, and why: patterns of
# "function(argument)=value".
EXCEPTIONS = {
    "*(function)=class": "a class is called, and raises its own error",
    "objectives.SampledTasks(*)=class": "it is called, and raises its own",
    "scan(cell)=class": "it is called, and raises its own",
    "scan(carry)=*": "the cell is given it, and raises its own error",
    "scan(xs)=*": "the cell is given it, and raises its own error",
}

# Calls that are not made, and why: patterns of "function(argument)=value".
NOT_MADE = {
    "Trainer.fit(epochs)=10**9": "training for years is what was asked for",
    "Trainer.fit(steps_per_epoch)=10**9": "as for epochs",
}

_GIGABYTE = 2**30
# Of address space, beyond what the process has when calls begin.
_MOST_MEMORY = 6 * _GIGABYTE
# A new process begins after so many calls: Keras keeps what it has built.
_CALLS_PER_PROCESS = 1500


class Case(NamedTuple):
    """A call with one bad argument.

    Attributes:
      function: dotted name, below `dice_tf`.
      argument: name of the argument.
      value: name of the bad value.
    """

    function: str
    argument: str
    value: str

    @property
    def place(self) -> str:
        return f"{self.function}({self.argument})"

    @property
    def text(self) -> str:
        return f"{self.place}={self.value}"


class Outcome(NamedTuple):
    """What came of a call.

    Attributes:
      case: the call.
      kind: one of the constants of this module.
      detail: the error.
      seconds: how long the call took.
    """

    case: Case
    kind: str
    detail: str
    seconds: float

    @property
    def is_good(self) -> bool:
        return self.kind in (WORKS, NAMES)

    @property
    def reason(self) -> str | None:
        """Why this may fail, if it is an exception that is listed."""
        for pattern, reason in EXCEPTIONS.items():
            if fnmatch(self.case.text, pattern):
                return reason
        return None


class Caller(NamedTuple):
    """How calls are made, in a process of their own. Both can be imported.

    Attributes:
      prepare: called once; it may take minutes.
      call: makes a call, and returns its kind and the error.
    """

    prepare: Callable[[], Any]
    call: Callable[[Case], tuple[str, str]]


def names_argument(error: BaseException, argument: str) -> bool:
    """Returns whether an error is of the right kind and names the argument."""
    quoted = rf"`{re.escape(argument)}\b|\b{re.escape(argument)}="
    is_right = isinstance(error, (ValueError, TypeError))
    return is_right and re.search(quoted, str(error)) is not None


def all_cases(pattern: str = "*") -> list[Case]:
    """Returns one case for each function, argument and bad value."""
    from benchmarks.bad_values import BAD_VALUES
    from benchmarks.public_calls import public_calls

    cases = [
        Case(call.name, argument, value)
        for call in public_calls().values()
        if fnmatch(call.name, pattern)
        for argument in call.parameters
        for value in BAD_VALUES
    ]
    return [case for case in cases if case.text not in NOT_MADE]


def sampled(cases: Sequence[Case], number: int, seed: int) -> list[Case]:
    """Returns some of the cases, in order; all of them for 0."""
    if not 0 < number < len(cases):
        return list(cases)
    chosen = random.Random(seed).sample(range(len(cases)), number)
    return [cases[index] for index in sorted(chosen)]


def call(case: Case) -> tuple[str, str]:
    """Makes a call, and returns its kind and the error."""
    from benchmarks.bad_values import BAD_VALUES
    from benchmarks.public_calls import public_calls

    made = public_calls()[case.function]
    function, arguments = made.function(), made.arguments()
    arguments[case.argument] = BAD_VALUES[case.value]()
    before = _peak_memory()
    try:
        function(**arguments)
        kind, detail = WORKS, ""
    except Exception as error:
        detail = f"{type(error).__name__}: {error}"[:300]
        kind = NAMES if names_argument(error, case.argument) else UNNAMED
    if _peak_memory() - before > _GIGABYTE:
        kind = LARGE
    return kind, detail


def _peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def prepare() -> None:
    """Imports what is called."""
    from benchmarks.public_calls import public_calls

    public_calls()


PUBLIC = Caller(prepare, call)


def run(
    cases: Sequence[Case],
    time_limit: float,
    tell: Callable[[int], None] = lambda number: None,
    caller: Caller = PUBLIC,
) -> list[Outcome]:
    """Makes the calls, in processes of their own.

    Args:
      cases: the calls.
      time_limit: seconds that a call may take.
      tell: called with the number of calls made, now and then.
      caller: how they are made.
    """
    outcomes: list[Outcome] = []
    while len(outcomes) < len(cases):
        ahead = cases[len(outcomes) : len(outcomes) + _CALLS_PER_PROCESS]
        with _worker(ahead, caller) as connection:
            for outcome in _listen(connection, ahead, time_limit):
                outcomes.append(outcome)
                if len(outcomes) % 500 == 0:
                    tell(len(outcomes))
    return outcomes


def _listen(
    connection: Connection, cases: Sequence[Case], time_limit: float
) -> Iterator[Outcome]:
    """Yields what comes of calls, until one of them ends the process."""
    # To import TensorFlow takes longer than a call.
    connection.poll(600.0)
    connection.recv()
    for case in cases:
        start = time.monotonic()
        try:
            if not connection.poll(time_limit):
                yield Outcome(case, HUNG, "", time_limit)
                return
            kind, detail = connection.recv()
        except (EOFError, ConnectionResetError):
            kind, detail = DIED, "the process ended"
        yield Outcome(case, kind, detail, time.monotonic() - start)
        if kind == DIED:
            return


@contextlib.contextmanager
def _worker(cases: Sequence[Case], caller: Caller) -> Iterator[Connection]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, list(cases), caller))
    process.start()
    there.close()
    try:
        yield here
    finally:
        process.kill()
        process.join()
        here.close()


def _serve(
    connection: Connection, cases: Sequence[Case], caller: Caller
) -> None:
    """Makes calls in a folder that is thrown away, and sends what came."""
    import warnings

    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    warnings.simplefilter("ignore")
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(silence, stream)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        caller.prepare()
        _limit_memory()
        connection.send("ready")
        for case in cases:
            connection.send(caller.call(case))
    # Threads of what was called must not keep the process.
    os._exit(0)


def _limit_memory() -> None:
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + _MOST_MEMORY, most))


def table(outcomes: Sequence[Outcome]) -> str:
    """Returns how many calls came to what, and where the others lie."""
    kinds = collections.Counter(outcome.kind for outcome in outcomes)
    rows = [["calls", "what came of them"]]
    rows += [[f"{count}", kind] for kind, count in kinds.most_common()]
    bad = [outcome for outcome in outcomes if not outcome.is_good]
    parts = [aligned(rows)]
    for title, key in (
        ("argument", lambda case: case.argument),
        ("function", lambda case: case.function),
    ):
        counts = collections.Counter(key(outcome.case) for outcome in bad)
        rows = [["calls", f"without a clear error, by {title}"]]
        rows += [[f"{n}", name] for name, n in counts.most_common(40)]
        parts.append(aligned(rows))
    return "\n\n".join(parts)


def checks(outcomes: Sequence[Outcome]) -> list[Check]:
    """Returns what the calls must come to."""
    kinds = collections.Counter(outcome.kind for outcome in outcomes)
    good = sum(outcome.is_good for outcome in outcomes)
    unlisted = {
        outcome.case.place
        for outcome in outcomes
        if not outcome.is_good and outcome.reason is None
    }
    return [
        at_least(
            "share of calls that work or name the argument",
            good / max(1, len(outcomes)),
            0.97,
        ),
        at_most("arguments that fail and are not listed", len(unlisted), 0),
        at_most("calls that hung", kinds[HUNG], 0),
        at_most("calls that ended the process", kinds[DIED], 0),
        at_most("calls that took a gigabyte", kinds[LARGE], 0),
    ]


def write(path: pathlib.Path, outcomes: Sequence[Outcome]) -> None:
    """Writes one line per call."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        columns = [*Case._fields, "outcome", "error", "listed", "seconds"]
        writer.writerow(columns)
        for outcome in outcomes:
            error = outcome.detail.encode("utf-8", "replace").decode()
            row: list[Any] = [*outcome.case, outcome.kind, error]
            seconds = f"{outcome.seconds:.3f}"
            writer.writerow([*row, outcome.reason or "", seconds])
