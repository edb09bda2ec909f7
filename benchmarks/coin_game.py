"""Times stepping the Coin Game against the same game written in JAX.

  python -m benchmarks.coin_game
  python -m benchmarks.coin_game --batch_size=1024 --output_dir=runs/coin_speed

Random players, both programs in one process, turn by turn, so that whatever
else the machine does meets both alike. What is compared is the median of the
ratios of each turn. Ends with an error if ours is slower, or if the two
programs do not play the same game. Needs JAX:
`pip install "dice_tf[benchmarks]"`.
"""

import importlib.util
import sys
from collections.abc import Sequence

import numpy as np
from absl import app, flags

from benchmarks.timing import seconds_in_turns
from experiments.command_line.commands import held_folder
from experiments.results.outputs import SUMMARY, write_json

FLAGS = flags.FLAGS
flags.DEFINE_integer("batch_size", 4096, "Episodes side by side.", 1)
flags.DEFINE_integer("episode_length", 100, "Steps of each episode.", 1)
flags.DEFINE_integer("num_repetitions", 41, "Turns of each program.", 2)
flags.DEFINE_float("required", 1.0, "The largest ratio of times that passes.")
flags.DEFINE_string("output_dir", None, "Folder of summary.json, if any.")
flags.DEFINE_bool("overwrite", False, "Whether to replace earlier results.")

# In standard errors: two programs of one game differ by more once in 10**5.
_TOLERANCE = 4.5


def difference(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the difference of two means, in standard errors."""
    error = np.sqrt(sum(np.var(x, ddof=1) / len(x) for x in (first, second)))
    return float(abs(np.mean(first) - np.mean(second)) / error)


def report(
    seconds: dict[str, np.ndarray], results: dict[str, list[np.ndarray]]
) -> list[dict]:
    """Prints the times, and returns the checks."""
    for name, turns in seconds.items():
        microseconds = 1e6 * np.median(turns) / FLAGS.episode_length
        print(
            f"{name:10} {microseconds:8.1f} us per step, "
            f"{np.mean(results[name]):.4f} absolute rewards per step"
        )
    ratio = float(np.median(seconds["TensorFlow"] / seconds["JAX"]))
    gap = difference(results["TensorFlow"], results["JAX"])
    print(f"TensorFlow takes {ratio:.2f} times as long as JAX.")
    return [
        {
            "name": "time of TensorFlow / time of JAX",
            "measured": ratio,
            "required": FLAGS.required,
            "passed": ratio <= FLAGS.required,
        },
        {
            "name": "difference in absolute rewards, in standard errors",
            "measured": gap,
            "required": _TOLERANCE,
            "passed": gap <= _TOLERANCE,
        },
    ]


def main(argv: Sequence[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Flags start with --. Received: {argv[1]!r}.")
    if importlib.util.find_spec("jax") is None:
        sys.exit('This needs JAX: pip install "dice_tf[benchmarks]".')
    folder = held_folder("benchmarks.coin_game")
    from benchmarks.coin_programs import jax_program, tensorflow_program

    sizes = (FLAGS.batch_size, FLAGS.episode_length)
    programs = {
        "TensorFlow": tensorflow_program(*sizes),
        "JAX": jax_program(*sizes),
    }
    for program in programs.values():
        program(0)  # Compiles it.
    checks = report(*seconds_in_turns(programs, FLAGS.num_repetitions))
    if folder is not None:
        with folder.collect() as stage:
            write_json(stage / SUMMARY, {"checks": checks})
    failed = [check["name"] for check in checks if not check["passed"]]
    if failed:
        sys.exit(f"Failed: {', '.join(failed)}.")


if __name__ == "__main__":
    app.run(main)
