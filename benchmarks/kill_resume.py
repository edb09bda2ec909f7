"""Kills a training again and again, and compares it with one left in peace.

  python -m benchmarks.kill_resume --output_dir=runs/kill_resume

Trains once without interruption. Then starts the same training in another
folder, kills it (SIGKILL) at a random moment, continues it with --resume, and
so on, the moments spread over its iterations; every third of them while a
checkpoint is being written, one before the first checkpoint and one while the
results are written. No training goes further than the epoch after its moment,
so that the kills are as far apart on a fast machine as on a slow one. At the
end curves.csv and the weights of the policies must be those of the first
training, byte for byte. summary.json holds every check; the exit status is 1 if
one fails. With --past_selves=8, players learn against what their opponents
were, in a buffer of 8.
"""

import contextlib
import pathlib
import random
import signal
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from absl import flags

from benchmarks.disturbed_training import (
    EPOCHS,
    Training,
    epochs_saved,
    unfinished_checkpoints,
)
from benchmarks.held_training import BETWEEN, IN_WRITING, epoch_of_kill
from experiments.command_line.commands import Command
from experiments.results.check_list import Check, at_least, at_most, summary
from experiments.results.outputs import SUMMARY, OutputFolder, write_json
from experiments.settings.training_flags import define_output_flags

# In seconds: of an epoch and its checkpoint; results take longer to write.
_LONGEST_DELAY = 0.5


class KillSettings(NamedTuple):
    """How a training is killed.

    Attributes:
      num_kills: how often.
      seed: of the moments.
      flags: those of experiments.ipd.
      num_past_selves: size of the buffer of past selves, 0 for none.
    """

    num_kills: int
    seed: int
    flags: tuple[str, ...]
    num_past_selves: int = 0


class Kill(NamedTuple):
    """How one attempt ended.

    Attributes:
      in_writing: whether an unfinished checkpoint was left.
      epochs: number of epochs in the checkpoint that is there, or 0.
      died_of: exit status, if it ended before it was killed.
    """

    in_writing: bool
    epochs: int
    died_of: int | None

    def __str__(self) -> str:
        where = ", while a checkpoint was written" if self.in_writing else ""
        if self.died_of is not None:
            where = f": it had ended before, with status {self.died_of}"
        return f"{self.epochs} of {EPOCHS} epochs saved{where}"


def define_flags() -> None:
    """Defines the flags."""
    define_output_flags()
    flags.DEFINE_integer("num_kills", 20, "How often to kill.", lower_bound=3)
    flags.DEFINE_integer("seed", 0, "Of the moments.", lower_bound=0)
    flags.DEFINE_integer(
        "past_selves",
        0,
        "Size of the buffer of past selves that players learn against, 0 for "
        "none.",
        lower_bound=0,
    )
    flags.DEFINE_list(
        "flags",
        [
            "--num_iterations=200",
            "--num_seeds=1",
            "--episode_length=10",
            "--batch_size=4",
            "--nojit_compile",
            # What remembers: critics, slots, the number of steps.
            "--learner=lola_dice,naive",
            "--baseline=critic",
            "--optimizer=adam",
            "--learning_rate=0.1",
            "--final_learning_rate=0.01",
        ],
        "Flags of experiments.ipd. An epoch is a twentieth of its iterations.",
    )


def resolve(values: flags.FlagValues) -> KillSettings:
    """Returns the settings of parsed flags."""
    return KillSettings(
        values.num_kills,
        values.seed,
        tuple(values.flags),
        values.past_selves,
    )


def kill_again_and_again(
    training: Training,
    folder: pathlib.Path,
    num_kills: int,
    seed: int,
    tell: Callable[[str], None],
) -> list[Kill]:
    """Starts a training and continues it, each time until it is killed.

    Args:
      training: the training.
      folder: of its results.
      num_kills: how often.
      seed: of the moments.
      tell: is told of each kill.
    """
    rng = random.Random(seed)
    kills = []
    for number in range(num_kills):
        kills.append(_kill_once(training, folder, number, num_kills, rng))
        tell(f"Kill {number + 1} of {num_kills}, {kills[-1]}.")
    return kills


def _kill_once(
    training: Training,
    folder: pathlib.Path,
    number: int,
    num_kills: int,
    rng: random.Random,
) -> Kill:
    """Kills a process at its moment; the first before a checkpoint."""
    epoch = epoch_of_kill(number, num_kills, EPOCHS)
    in_writing = number % 3 == 1 and epoch < EPOCHS
    child = training.start_held(
        folder, epoch, IN_WRITING if in_writing else BETWEEN
    )
    try:
        if number == 0:
            time.sleep(rng.uniform(0.0, 8.0))
        else:
            training.wait(child, lambda: epochs_saved(folder) >= epoch)
            if in_writing:
                training.wait(
                    child, lambda: bool(unfinished_checkpoints(folder))
                )
            else:
                if epoch == EPOCHS:
                    training.wait(
                        child, lambda: any(folder.glob(".unfinished-*"))
                    )
                time.sleep(rng.uniform(0.0, _LONGEST_DELAY))
    finally:
        died_of = child.poll()
        child.send_signal(signal.SIGKILL)
        child.wait()
    in_writing = bool(unfinished_checkpoints(folder))
    return Kill(in_writing, epochs_saved(folder), died_of)


def measure(settings: KillSettings, training: Training) -> list[Check]:
    """Trains in peace and in trouble, and compares."""
    print("Training without interruption.", flush=True)
    _ = training.undisturbed
    folder = training.place / "troubled"
    kills = kill_again_and_again(
        training,
        folder,
        settings.num_kills,
        settings.seed,
        lambda text: print(text, flush=True),
    )
    difference = training.finish(folder)
    if difference:
        print(f"The results differ: {difference}")
    killed = [kill for kill in kills if kill.died_of is None]
    return [
        at_least("kills", len(killed), settings.num_kills),
        at_most(
            "attempts that failed",
            sum(kill.died_of not in (None, 0) for kill in kills),
            0,
        ),
        at_least(
            "kills while a checkpoint was written",
            sum(kill.in_writing for kill in killed),
            settings.num_kills // 4,
        ),
        at_least(
            "epochs after which it was killed",
            len({kill.epochs for kill in killed}),
            min(settings.num_kills, EPOCHS) // 2,
        ),
        at_most("differing results", int(bool(difference)), 0),
    ]


def run(settings: KillSettings, folder: OutputFolder) -> Sequence[Check]:
    """Kills, compares, and writes the checks."""
    start = time.monotonic()
    with (
        folder.collect() as stage,
        contextlib.closing(
            Training(stage.resolve(), settings.flags, settings.num_past_selves)
        ) as training,
    ):
        checks = measure(settings, training)
        write_json(
            stage / SUMMARY,
            summary(checks) | {"seconds": time.monotonic() - start},
        )
    return checks


COMMAND = Command(define_flags, resolve, run, libraries=())

if __name__ == "__main__":
    COMMAND.start()
