"""Times exported policies against what Keras exports of the same network.

  python -m benchmarks.latency
  python -m benchmarks.latency --output_dir=runs/latency

SavedModel, TFLite and ONNX, for one row and for 1,024, in one process and in
turns; what is compared is the median of the ratios of each turn.
`probabilities` is compared with the same network whose last layer is a softmax,
`act` with the same network followed by a stateless draw and the log-probability
of what is drawn: in a SavedModel by `tf.random.stateless_categorical` with one
seed for all rows, since TensorFlow has no draw with a seed for each row; in
files by noise that is given, as ours. What only ours promises is not taken
away: rows that are not finite are found, and each row has its seed.
Ends with an error if a ratio is above 1.1. Needs an idle machine and
`pip install "dice_tf[test]"`.
"""

import pathlib
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from absl import app, flags

from benchmarks.timing import seconds_in_turns
from experiments.command_line.commands import held_folder, import_tensorflow
from experiments.results.check_list import Check, aligned, at_most, summary
from experiments.results.outputs import SUMMARY, write_json

FLAGS = flags.FLAGS

# By the number of rows, how often a turn calls a program: a call of one row
# takes a few microseconds.
NUM_CALLS = {1: 50, 1024: 5}
_OURS, _PLAIN = "ours", "plain"


class Latency(NamedTuple):
    """How long answers take.

    Attributes:
      file_format: what was exported.
      num_rows: of a request.
      signature: `"probabilities"` or `"act"`.
      ours, plain: median seconds of an answer.
      ratio: median over the turns of ours / plain.
    """

    file_format: str
    num_rows: int
    signature: str
    ours: float
    plain: float
    ratio: float


def measure(
    file_format: str,
    num_rows: int,
    calls: dict[str, dict[str, Callable[[], Any]]],
    num_turns: int,
) -> list[Latency]:
    """Times calls by signature, those of ours and of the plain export."""
    num_calls = NUM_CALLS[num_rows]
    found = []
    for signature in calls[_OURS]:
        seconds, _ = seconds_in_turns(
            {
                name: _repeated(calls[name][signature], num_calls)
                for name in (_OURS, _PLAIN)
            },
            num_turns,
        )
        ours, plain = seconds[_OURS], seconds[_PLAIN]
        found.append(
            Latency(
                file_format,
                num_rows,
                signature,
                float(np.median(ours)) / num_calls,
                float(np.median(plain)) / num_calls,
                float(np.median(ours / plain)),
            )
        )
    return found


def _repeated(call: Callable[[], Any], num_calls: int) -> Callable[[int], None]:
    for _ in range(num_calls):
        call()  # Until the runtime has settled.

    def program(turn: int) -> None:
        del turn
        for _ in range(num_calls):
            call()

    return program


def table(latencies: Sequence[Latency]) -> str:
    """Returns a row for each latency, in microseconds."""
    header = ["format", "rows", "signature", "ours, us", "plain, us", "ratio"]
    rows = [
        [
            latency.file_format,
            str(latency.num_rows),
            latency.signature,
            f"{1e6 * latency.ours:.1f}",
            f"{1e6 * latency.plain:.1f}",
            f"{latency.ratio:.2f}",
        ]
        for latency in latencies
    ]
    return aligned([header, *rows])


def checks(latencies: Sequence[Latency], required: float) -> list[Check]:
    """Returns that no answer takes more than its share of the plain one's."""
    return [
        at_most(
            f"{latency.file_format}, {latency.num_rows} rows, "
            f"{latency.signature}: time / time of the plain export",
            latency.ratio,
            required,
        )
        for latency in latencies
    ]


def main(argv: Sequence[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Flags start with --. Received: {argv[1]!r}.")
    folder = held_folder("benchmarks.latency")
    import_tensorflow()
    from benchmarks import latency_programs

    policy = latency_programs.make_policy([*map(int, FLAGS.hidden_units)])
    latencies = []
    for name, export in latency_programs.FORMATS.items():
        if FLAGS.only not in name:
            continue
        with tempfile.TemporaryDirectory() as exported:
            make_calls = export(policy, pathlib.Path(exported))
            for num_rows in NUM_CALLS:
                rows = latency_programs.request(policy, num_rows)
                calls = dict(
                    zip((_OURS, _PLAIN), make_calls(rows), strict=True)
                )
                latencies += measure(name, num_rows, calls, FLAGS.num_turns)
    print(table(latencies))
    found = checks(latencies, FLAGS.required)
    if folder is not None:
        with folder.collect() as stage:
            write_json(stage / SUMMARY, summary(found))
    failed = [check.name for check in found if not check.passed]
    if failed:
        sys.exit(f"Failed: {'; '.join(failed)}.")


def define_flags() -> None:
    """Defines the flags; not when tests import this module."""
    flags.DEFINE_list("hidden_units", ["64", "64"], "Widths of hidden layers.")
    flags.DEFINE_string("only", "", "Part of the names of the formats.")
    flags.DEFINE_integer("num_turns", 501, "Turns of each program.", 2)
    flags.DEFINE_float(
        "required", 1.1, "The largest ratio of times that passes."
    )
    flags.DEFINE_string("output_dir", None, "Folder of summary.json, if any.")
    flags.DEFINE_bool("overwrite", False, "Whether to replace earlier results.")


if __name__ == "__main__":
    define_flags()
    app.run(main)
