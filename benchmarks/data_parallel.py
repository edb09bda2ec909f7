"""Trains the same players on one device, on two replicas and in two workers.

  python -m benchmarks.data_parallel --output_dir=runs/data_parallel

LOLA-DiCE against LOLA-DiCE in the iterated prisoner's dilemma, from the same
seeds: without a strategy, with `MirroredStrategy` on two halves of the CPU, and
with `MultiWorkerMirroredStrategy` in two processes on this machine. In float64
rounding errors are too small to turn an action over, and the curves must be the
same to the end; with --dtype=float32 they may part, and the final joint returns
must agree within two standard errors over runs. Ends with an error if they do
not. The folder gets curves.csv and summary.json with every check.
"""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags, logging

import dice_tf
from experiments.command_line.commands import held_folder
from experiments.results.outputs import SUMMARY, write_json

FLAGS = flags.FLAGS
flags.DEFINE_integer("num_iterations", 100, "Updates of the players.")
flags.DEFINE_integer("num_seeds", 2, "Independent runs of each.")
flags.DEFINE_integer("batch_size", 64, "Episodes of a play, of all replicas.")
flags.DEFINE_integer("episode_length", 150, "Rounds of an episode.")
flags.DEFINE_enum("dtype", "float64", ["float32", "float64"], "Of all numbers.")
flags.DEFINE_integer("seed", 0, "Of the first run.", lower_bound=0)
flags.DEFINE_string("output_dir", None, "Folder of the results, if any.")
flags.DEFINE_bool("overwrite", False, "Whether to replace earlier results.")
PARTS = ("one", "mirrored", "multi_worker")
flags.DEFINE_enum("part", None, PARTS, "Internal.")
flags.DEFINE_string("part_file", None, "Internal.")

SAME = 1e-4
FINAL = 10


def make_strategy(part: str) -> tf.distribute.Strategy | None:
    """Returns the strategy of a part; the first thing that a process does."""
    if part == "one":
        return None
    if part == "multi_worker":
        return tf.distribute.MultiWorkerMirroredStrategy()
    (cpu,) = tf.config.list_physical_devices("CPU")
    half = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(cpu, [half, half])
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def train_part(part: str, path: pathlib.Path) -> None:
    """Trains, and writes the curves if this process is the chief."""
    logging.set_verbosity(logging.ERROR)
    tf.get_logger().setLevel("ERROR")
    strategy = make_strategy(part)
    game = dice_tf.games.iterated_prisoners_dilemma(
        FLAGS.episode_length, dtype=FLAGS.dtype
    )
    policies = [dice_tf.policies.tabular(game, i) for i in range(2)]
    objective = dice_tf.objectives.DiCEObjective(
        game, policies, batch_size=FLAGS.batch_size, baseline="state_values"
    )
    learner = dice_tf.learners.LOLADiCE(1, inner_learning_rate=3.0)
    trainer = dice_tf.Trainer(
        objective,
        [learner, learner],
        num_seeds=FLAGS.num_seeds,
        seed=FLAGS.seed,
        initial_params="random",
        strategy=strategy,
    )
    scope = strategy.scope() if strategy else contextlib.nullcontext()
    with scope:
        trainer.compile(keras.optimizers.SGD(0.3), jit_compile=False)
    trainer.fit(steps_per_epoch=FLAGS.num_iterations, verbose=0)
    if trainer.is_chief:
        np.save(path, trainer.curves)


def run_part(part: str, folder: pathlib.Path) -> np.ndarray:
    """Runs a part in new processes; returns `[iterations, runs, players]`."""
    path = folder / f"{part}.npy"
    command = [sys.executable, "-m", "benchmarks.data_parallel"]
    command += [f"--part={part}", f"--part_file={path}"]
    command += [
        f"--{name}={FLAGS[name].value}"
        for name in (
            "num_iterations",
            "num_seeds",
            "batch_size",
            "episode_length",
            "dtype",
            "seed",
        )
    ]
    configs = list(cluster(2)) if part == "multi_worker" else [None]
    processes = []
    for config in configs:
        environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="2")
        if config is not None:
            environment["TF_CONFIG"] = json.dumps(config)
        processes.append(subprocess.Popen(command, env=environment))
    try:
        failed = [process.wait() for process in processes]
    finally:
        for process in processes:
            process.kill()
    if any(failed):
        sys.exit(f"Error: {part} ended with the exit codes {failed}.")
    return np.load(path)


def cluster(num_workers: int) -> Iterator[dict[str, Any]]:
    """Yields the TF_CONFIG of each worker, all on this machine."""
    sockets = [
        socket.create_server(("localhost", 0)) for _ in range(num_workers)
    ]
    hosts = [f"localhost:{port.getsockname()[1]}" for port in sockets]
    for port in sockets:
        port.close()
    for index in range(num_workers):
        yield {
            "cluster": {"worker": hosts},
            "task": {"type": "worker", "index": index},
        }


def checks_of(part: str, one: np.ndarray, many: np.ndarray) -> list[dict]:
    """Compares the curves of a part with those without a strategy."""
    largest = float(np.abs(many - one).max())
    finals = [np.mean(x[-FINAL:], axis=(0, 2)) for x in (one, many)]
    difference = float(abs(np.mean(finals[0]) - np.mean(finals[1])))
    noise = sum(np.var(x, ddof=1) / len(x) for x in finals)
    # Two standard errors, and at least the noise of a batch.
    allowed = float(max(2.0 * np.sqrt(noise), 0.02))
    checks = [(f"{part}_final_joint_return_difference", difference, allowed)]
    if FLAGS.dtype == "float64":
        checks.append((f"{part}_largest_difference_of_curves", largest, SAME))
    return [
        {
            "name": name,
            "measured": measured,
            "required": required,
            "passed": measured <= required,
        }
        for name, measured, required in checks
    ]


def main(argv: Sequence[str]) -> None:
    if len(argv) > 1:
        sys.exit(f"Error: flags start with --. Received: {argv[1]!r}.")
    if FLAGS.part is not None:
        train_part(FLAGS.part, pathlib.Path(FLAGS.part_file))
        return
    if FLAGS.num_seeds < 2:
        sys.exit("Error: --num_seeds must be at least 2, to know the noise.")
    folder = held_folder("benchmarks.data_parallel")
    curves = {}
    with tempfile.TemporaryDirectory() as name:
        for part in PARTS:
            curves[part] = run_part(part, pathlib.Path(name))
            final = np.mean(curves[part][-FINAL:])
            print(f"{part:12}  final joint return {final:.4f}", flush=True)
    checks = []
    for part in PARTS[1:]:
        checks += checks_of(part, curves["one"], curves[part])
    for check in checks:
        verdict = "passed" if check["passed"] else "FAILED"
        print(
            f"{check['name']:46}  {check['measured']:.2e}  "
            f"at most {check['required']:.2e}  {verdict}"
        )
    if folder is not None:
        with folder.collect() as path:
            _write_curves(path / "curves.csv", curves)
            write_json(path / SUMMARY, {"checks": checks})
    if not all(check["passed"] for check in checks):
        sys.exit(1)


def _write_curves(path: pathlib.Path, curves: dict[str, np.ndarray]) -> None:
    lines = ["method,run,iteration,player_0_return,player_1_return"]
    for part, returns in curves.items():
        for iteration, run in np.ndindex(returns.shape[:2]):
            first, second = returns[iteration, run]
            lines.append(f"{part},{run + 1},{iteration},{first},{second}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    app.run(main)
