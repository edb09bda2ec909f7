"""Whether XLA compiles the step of a trainer."""

from dice_tf.checks import check_choice
from dice_tf.objectives.objective import Objective

AUTO = "auto"


def is_compilable_step(objective: Objective, jit_compile: bool | str) -> bool:
    """Returns whether the step is to be compiled by XLA.

    Args:
      objective: what the players maximise.
      jit_compile: what was asked for: True, False or "auto".

    Raises:
      ValueError: if XLA was asked for where Python code plays the game or a
        policy has memory, or `jit_compile` is none of these.
    """
    check_choice("jit_compile", jit_compile, (True, False, AUTO))
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
