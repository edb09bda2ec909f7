"""Pictures that move: episodes, step by step."""

import pathlib
from collections.abc import Callable

from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.figure import Figure

_STEPS_PER_SECOND = 2
_DPI = 80


def write_animation(
    path: pathlib.Path,
    figure: Figure,
    draw: Callable[[int], None],
    num_steps: int,
) -> None:
    """Writes a GIF, a picture for each step.

    Args:
      path: file to write.
      figure: what is drawn on.
      draw: draws a step on it, by its number from 0.
      num_steps: number of steps.
    """
    FuncAnimation(figure, draw, frames=num_steps).save(
        path, writer=PillowWriter(fps=_STEPS_PER_SECOND), dpi=_DPI
    )
