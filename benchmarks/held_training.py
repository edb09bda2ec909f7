"""Trains as experiments.ipd does, but stands still at an epoch until killed.

  python -m benchmarks.held_training EPOCH WHERE PAST_SELVES --output_dir=...

It goes no further than the epoch after EPOCH, and stands still once the
checkpoint of that is there, or (WHERE=in_writing) before it gets its name. With
PAST_SELVES above 0, players learn against what their opponents were, in a
buffer of that size.
`benchmarks.kill_resume` kills it, and `benchmarks.faults` asks it to stop, too:
without the halt, the place of a kill would depend on how fast the machine is.
"""

import os
import sys
import time
from typing import Any

IN_WRITING, BETWEEN = "in_writing", "between"
# Later than the last epoch of any training.
NEVER = 10**9
# The probability of past selves. The opponents as they are have the rest.
_PROBABILITY = 0.7
# So that nothing is left behind if nobody kills it, in seconds.
_PATIENCE = 900.0


def epoch_of_kill(number: int, num_kills: int, num_epochs: int) -> int:
    """Returns the epoch after which a kill comes, from before the first on.

    Args:
      number: of the kill, from 0.
      num_kills: how many there are, at least two.
      num_epochs: of the training.
    """
    return round(number * num_epochs / (num_kills - 1))


def hold(last_epoch: int, in_writing: bool) -> None:
    """Lets checkpoints after an epoch halt the process."""
    import dice_tf

    save, replace = dice_tf.callbacks.Checkpoint.save, os.replace

    def save_and_halt(checkpoint: Any, trainer: Any, epoch: int) -> None:
        if epoch > last_epoch and in_writing:
            os.replace = halt
        save(checkpoint, trainer, epoch)
        os.replace = replace
        if epoch > last_epoch:
            halt()

    dice_tf.callbacks.Checkpoint.save = save_and_halt


def play_against_past_selves(capacity: int) -> None:
    """Lets players learn against past selves, too.

    Args:
      capacity: of the buffer of each of them.
    """
    import dice_tf
    from experiments.building import builders

    build = builders.build_learner

    def build_against(*arguments: Any) -> Any:
        learner = build(*arguments)
        if learner is None:
            return None
        # So that the buffer is filled in the middle of epochs, too.
        past = dice_tf.partners.PastSelves(capacity, push_every=7)
        return dice_tf.partners.AgainstPartners(learner, [(_PROBABILITY, past)])

    builders.build_learner = build_against


def halt(*_) -> None:
    """Waits to be killed, or asked to stop."""
    from experiments.command_line.stopping import stop_requested

    end = time.monotonic() + _PATIENCE
    while not stop_requested():
        if time.monotonic() > end:
            sys.exit("Nobody killed this training.")
        time.sleep(0.01)


def main() -> None:
    from experiments import ipd
    from experiments.command_line import commands

    epoch, where = int(sys.argv.pop(1)), sys.argv.pop(1)
    num_past_selves = int(sys.argv.pop(1))
    import_tensorflow = commands.import_tensorflow

    def import_and_hold() -> None:
        import_tensorflow()
        hold(epoch, where == IN_WRITING)
        if num_past_selves:
            play_against_past_selves(num_past_selves)

    commands.import_tensorflow = import_and_hold
    ipd.COMMAND.start()


if __name__ == "__main__":
    main()
