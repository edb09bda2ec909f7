"""Measures the peak memory of training, by batch size and horizon.

  python -m benchmarks.memory --output_dir=runs/memory

LOLA-DiCE with tabular policies and critics, and with networks in the Coin
Game, whole and in groups of episodes; the fit of opponent models in the tabular
Coin Game; and a sweep, 100 trainers of one shape, one after the other. Each
size has a process of its own, whose resident memory at its highest is read from
the system. The folder gets memory.json, a list of {name, settings, peak_gib};
for the sweep also second_start, the CPU time until the first step of the second
trainer as a share of the first one's. `--only=sweep` measures what has this in
its name. Ends with an error if batch 65,536 with three look-aheads takes more
than 6 GiB, the fit more than 1 GiB above the import of the library, the sweep
more than 2 GiB, or its second start more than a fifth of the first one. Needs 8
minutes.
"""

import multiprocessing
import resource
import sys
import time
from collections.abc import Sequence
from typing import Any

from absl import app, flags

from experiments.command_line.commands import held_folder, import_tensorflow
from experiments.results.outputs import write_json

FLAGS = flags.FLAGS
flags.DEFINE_string("output_dir", None, "Folder of the results.", required=True)
flags.DEFINE_bool("overwrite", False, "Whether to replace earlier results.")

flags.DEFINE_string("only", "", "Part of the names of what is measured.")

REQUIRED_GIB = 6.0
# Above the import of the library.
REQUIRED_FITTING_GIB = 1.0
REQUIRED_SWEEP_GIB = 2.0
REQUIRED_SECOND_START = 0.2
LARGE = {
    "batch_size": 65_536,
    "episode_length": 150,
    "num_lookaheads": 3,
    "iterations": 1,
    "num_groups": 1,
}
SIZES = {
    "batch_128": {**LARGE, "batch_size": 128},
    "batch_16384": {**LARGE, "batch_size": 16_384},
    "batch_32768": {**LARGE, "batch_size": 32_768},
    "batch_65536": LARGE,
    "length_50": {**LARGE, "episode_length": 50},
}
# Of networks in a game whose states are not listed: where they are, policies
# are evaluated once for each state, and groups save nothing.
GROUPS = {
    "network_groups_1": {"batch_size": 16_384, "num_groups": 1},
    "network_groups_8": {"batch_size": 16_384, "num_groups": 8},
}
# Of models of the opponents in a game with thousands of states. An array of
# which step shows which entry of a table would take 1.7 GB for each model.
FITTING = {"fitting_coin_game": {"batch_size": 4_096, "episode_length": 50}}
# XLA keeps each program until the process ends. Trainers that differ in seeds
# and in rates of optimisers share one.
SWEEP = {"sweep_100_trainers": {"batch_size": 64, "num_trainers": 100}}


def peak_gib(size: dict[str, int]) -> float:
    """Trains for three iterations; returns this process' peak memory."""
    import_tensorflow()
    from benchmarks import programs

    return _peak_of_training(programs.our_trainer(programs.Size(**size)))


def network_peak_gib(size: dict[str, int]) -> float:
    """Trains networks in the Coin Game for three iterations; as `peak_gib`."""
    import_tensorflow()
    import dice_tf

    game = dice_tf.games.CoinGame(episode_length=32)
    policies = [
        dice_tf.policies.mlp(game, player_id, hidden_units=(64, 64))
        for player_id in range(2)
    ]
    objective = dice_tf.objectives.DiCEObjective(
        game, policies, discount=0.96, **size
    )
    learner = dice_tf.learners.LOLADiCE(1, 0.3)
    trainer = dice_tf.Trainer(objective, [learner, learner])
    trainer.compile("adam")
    return _peak_of_training(trainer)


def fitting_peak_gib(size: dict[str, int]) -> float:
    """Makes three steps of a learner that fits a model; GiB above import."""
    import_tensorflow()
    import tensorflow as tf

    import dice_tf

    imported = _peak()
    game = dice_tf.games.TabularCoinGame(episode_length=size["episode_length"])
    *policies, model = [
        dice_tf.policies.tabular(game, player_id) for player_id in (0, 1, 1)
    ]
    objective = dice_tf.objectives.DiCEObjective(
        game, policies, discount=0.96, batch_size=size["batch_size"]
    )
    learner = dice_tf.opponent_models.OpponentModelling(
        dice_tf.learners.Naive(), [None, model]
    )
    params = [
        [tf.constant(weight) for weight in policy.get_weights()]
        for policy in policies
    ]
    state = learner.init(params)
    step = tf.function(
        lambda seed: learner.step(objective, params, 0, seed, state).direction,
        autograph=False,
        jit_compile=True,
    )
    for number in range(3):
        step(tf.constant([0, number]))
    return _peak() - imported


def sweep(size: dict[str, int]) -> dict[str, float]:
    """Makes trainers of one shape, and a step of each; see the module."""
    import_tensorflow()
    import keras

    import dice_tf
    from benchmarks import programs

    shape = programs.Size(batch_size=size["batch_size"])
    starts = []
    for number in range(size["num_trainers"]):
        before = time.process_time()
        made = programs.our_trainer(shape)
        trainer = dice_tf.Trainer(made.objective, made.learners, seed=number)
        trainer.compile(keras.optimizers.Adam(0.001 * (1 + number)))
        trainer.fit(verbose=0)
        starts.append(time.process_time() - before)
    return {"peak_gib": _peak(), "second_start": starts[1] / starts[0]}


def _peak_of_training(trainer: Any) -> float:
    trainer.fit(steps_per_epoch=3, verbose=0)
    return _peak()


def _peak() -> float:
    """Returns this process' peak memory in GiB; Linux tells it in kilobytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def bytes_per_step(peaks: dict[str, float]) -> float:
    """Returns what an episode's step takes, between two batch sizes.

    Not from batch 16,384, which peaks higher than twice as many episodes.
    """
    steps = (65_536 - 32_768) * LARGE["episode_length"]
    return (peaks["batch_65536"] - peaks["batch_32768"]) * 2**30 / steps


def main(argv: Sequence[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Flags start with --. Received: {argv[1]!r}.")
    folder = held_folder("benchmarks.memory")
    found = {}
    sizes = SIZES | GROUPS | FITTING | SWEEP
    measures = {
        **dict.fromkeys(SIZES, peak_gib),
        **dict.fromkeys(GROUPS, network_peak_gib),
        **dict.fromkeys(FITTING, fitting_peak_gib),
        **dict.fromkeys(SWEEP, sweep),
    }
    for name, size in sizes.items():
        if FLAGS.only not in name:
            continue
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            measured = pool.apply(measures[name], (size,))
        if name not in SWEEP:
            measured = {"peak_gib": measured}
        found[name] = measured
        print(f"{name:18} {measured['peak_gib']:6.2f} GiB", flush=True)
    with folder.collect() as stage:
        write_json(
            stage / "memory.json",
            [
                {"name": name, "settings": sizes[name], **measured}
                for name, measured in found.items()
            ],
        )
    _report(found)


def _report(found: dict[str, dict[str, float]]) -> None:
    """Prints what follows from the measurements, and exits if one is bad."""
    peaks = {name: measured["peak_gib"] for name, measured in found.items()}
    if {"batch_32768", "batch_65536"} <= peaks.keys():
        print(f"{bytes_per_step(peaks):.0f} bytes per step of an episode.")
    for name in SWEEP.keys() & found.keys():
        share = found[name]["second_start"]
        print(f"The second start takes {share:.3f} of the first one's time.")
        if share > REQUIRED_SECOND_START:
            sys.exit(f"It takes more than {REQUIRED_SECOND_START}.")
    for name, most in (
        ("batch_65536", REQUIRED_GIB),
        ("fitting_coin_game", REQUIRED_FITTING_GIB),
        ("sweep_100_trainers", REQUIRED_SWEEP_GIB),
    ):
        if peaks.get(name, 0.0) > most:
            sys.exit(f"{name} takes more than {most} GiB.")


if __name__ == "__main__":
    app.run(main)
