"""What XLA compiles of a training: one step, several at once, or nothing."""

from dice_tf.checks import check_choice
from dice_tf.objectives.objective import Objective

AUTO = "auto"
# The largest number of random numbers that one program takes as its input.
_MAX_NUMBERS = 2**22


def should_compile_step(objective: Objective, jit_compile: bool | str) -> bool:
    """Returns whether the step is to be compiled by XLA.

    Args:
      objective: what the players maximise.
      jit_compile: True, False or "auto", as of `Trainer.compile`.

    Raises:
      ValueError: if `jit_compile` is another value, or True although Python
        code plays the game.
    """
    check_choice("jit_compile", jit_compile, (True, False, AUTO))
    game = objective.game
    if game is None or game.is_compilable:
        return bool(jit_compile)
    if jit_compile is True:
        raise ValueError(
            f"Python code plays this game ({type(game).__name__}), which XLA "
            "cannot compile. Leave jit_compile at 'auto', or set it to False."
        )
    return False


def steps_share_program(
    objective: Objective, num_seeds: int, num_steps: int
) -> bool:
    """Returns whether several steps become one program of XLA.

    The random numbers of all these steps are drawn before the program runs,
    and are in memory at the same time. Large batches, whose steps take much
    longer than a launch, therefore keep one program per step.

    Args:
      objective: what the players maximise.
      num_seeds: number of runs.
      num_steps: number of steps.
    """
    game, batch_size = objective.game, objective.batch_size
    if game is None or batch_size is None:
        return True
    per_step = batch_size * game.episode_length * game.num_players
    return num_steps * num_seeds * per_step <= _MAX_NUMBERS
