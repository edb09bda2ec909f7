"""What XLA compiles of a trainer: a step, some steps, or nothing."""

from dice_tf.checks import check_choice, check_flag
from dice_tf.objectives.objective import Objective

AUTO = "auto"
# Random numbers of one draw that a program is given at once, at most.
_MAX_NUMBERS = 2**22


def is_compilable_step(objective: Objective, jit_compile: bool | str) -> bool:
    """Returns whether the step is to be compiled by XLA.

    Args:
      objective: what the players maximise.
      jit_compile: what was asked for: True, False or "auto".

    Raises:
      TypeError: if `jit_compile` is a number.
      ValueError: if XLA was asked for where Python code plays the game or a
        policy has memory, or `jit_compile` is none of these.
    """
    check_choice("jit_compile", jit_compile, (True, False, AUTO))
    if jit_compile != AUTO:
        # In Python, 1 and 1.0 equal True.
        jit_compile = check_flag("jit_compile", jit_compile)
    if objective.has_memory:
        if jit_compile is True:
            raise ValueError(
                "A policy or critic has memory, and programs that XLA makes of "
                "the gradient of a pass over time can hang. Leave jit_compile "
                "at 'auto', or set it to False."
            )
        return False
    game = getattr(objective, "game", None)
    if game is None or game.is_compilable:
        return bool(jit_compile)
    if jit_compile is True:
        raise ValueError(
            f"Python code plays this game ({type(game).__name__}), which XLA "
            "cannot compile. Leave jit_compile at 'auto', or set it to False."
        )
    return False


def fit_one_program(
    objective: Objective, num_seeds: int, num_steps: int
) -> bool:
    """Returns whether some steps are to be one program of XLA.

    What they draw is drawn before it runs, and so is in memory at once: of
    large batches, where a launch costs little, each step is a program.

    Args:
      objective: what the players maximise.
      num_seeds: number of runs.
      num_steps: number of steps.
    """
    game = getattr(objective, "game", None)
    batch_size = getattr(objective, "batch_size", 0)
    if game is None or not batch_size:
        return True
    per_step = batch_size * game.episode_length * game.num_players
    return num_steps * num_seeds * per_step <= _MAX_NUMBERS
