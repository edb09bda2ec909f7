"""Trains the players of an iterated matrix game, by default with LOLA-DiCE.

Without other flags the game is the prisoner's dilemma, both players are
LOLA-DiCE learners, and there are five independent runs.

  python -m experiments.ipd --output_dir=runs/ipd
  python -m experiments.ipd --output_dir=runs/mixed --learner=lola_dice,naive
  python -m experiments.ipd --output_dir=runs/hunt --game=stag_hunt \\
    --num_lookaheads=2 --inner_learning_rate=1 --num_seeds=20
  python -m experiments.ipd --output_dir=runs/ipd --resume
  python -m experiments.ipd --output_dir=runs/large --batch_size=65536 \\
    --strategy=mirrored --num_seeds=1

The command with --resume continues a run that was interrupted, given its flags,
as if nothing had happened. A flag that may differ by player takes a comma list
in seat order; one value means all players. The folder gets curves.csv (the
return of every player, run and iteration), summary.json, config.json (all
settings, versions, and hashes of the files), flags.txt, pictures of the
learning curves, of the policies and of the match of the median run (of two
players with two actions, as a state diagram), and in saved_model/ the policies
of the median run, which can be opponents of a later run:
--learner=lola_dice,runs/ipd/saved_model/player_1.

Flags can also stand in a file, one on each line. Those after it on the command
line count more. The flags.txt of a run repeats it, or a run like it:

  python -m experiments.ipd --flagfile=runs/ipd/flags.txt --seed=5 \\
    --output_dir=runs/more

`python -m experiments.rerun` repeats a run that has finished, and refuses to if
the defaults of the flags are no longer the same.
"""

# `python experiments/...` starts a file outside of its package.
__package__ = __package__ or "experiments"

from absl import flags

# Only imports that are cheap: --help and mistakes are answered at once.
from .command_line.commands import Command, user_errors
from .command_line.flag_parsers import (
    MOST_UNROLLED,
    NONE,
    Number,
    Size,
    define_per_seat,
)
from .results.outputs import OutputFolder
from .settings.line_up import LEARNERS, OPPONENTS, PROGRAMS, LineUp
from .settings.training_flags import (
    define_tracking_flags,
    define_training_flags,
)
from .settings.training_settings import (
    TrainingSettings,
    resolve_training,
)


def define_flags() -> None:
    """Defines the flags: of all trainings, of the seats and of the devices."""
    define_training_flags()
    define_tracking_flags()
    flags.DEFINE_list(
        "learner",
        "lola_dice",
        "Who sits in each seat, such as lola_dice,naive. Learners: "
        f"{', '.join(LEARNERS)}. Opponents that do not learn: "
        f"{', '.join(OPPONENTS)}, or the path of a SavedModel that an earlier "
        f"run exported. {PROGRAMS}",
    )
    define_per_seat(
        "num_lookaheads",
        "1",
        Size(0, MOST_UNROLLED),
        "lola_dice: number of learning steps of the opponents that a player "
        "looks ahead; hola: its order.",
    )
    define_per_seat(
        "look_ahead_weight",
        "1",
        Number(0.0, 1.0),
        "lola_dice: weight of its direction; the rest to 1 is that of the "
        "naive direction, which is added.",
    )
    flags.DEFINE_enum(
        "strategy",
        NONE,
        (NONE, "mirrored", "multi_worker"),
        "How each batch of episodes is split: mirrored, over all GPUs of this "
        "machine; multi_worker, over all machines of the cluster that the "
        "environment variable TF_CONFIG describes, on each of which the same "
        "command is started. The results are the same; the first worker writes "
        "them. XLA is off with both.",
    )


def resolve(values: flags.FlagValues) -> TrainingSettings:
    """Returns the settings of the line-up."""
    settings = resolve_training(
        values,
        LineUp(
            tuple(values.learner),
            values.num_lookaheads,
            values.look_ahead_weight,
        ),
    )
    return settings._replace(
        strategy=values.strategy,
        jit_compile=values.jit_compile and values.strategy == NONE,
    )


def run(settings: TrainingSettings, folder: OutputFolder) -> None:
    """Trains the players, writes the files and prints the report."""
    from .building.trainings import train_methods

    # Matplotlib takes a while to import. If it is broken, it should be found
    # before the training.
    from .results.result_files import print_report, write_results

    trainings = train_methods({settings.method: settings}, folder)
    if not trainings[settings.method].trainer.is_chief:
        print("Done. The first worker writes the results.")
        return
    with user_errors():
        summary = write_results(folder, trainings)
    print_report(summary)


COMMAND = Command(define_flags, resolve, run)

if __name__ == "__main__":
    COMMAND.start()
