"""The file `curves.csv`: every player's return in every iteration."""

import csv
import pathlib
from collections.abc import Mapping

import numpy as np


def write_curves(path: pathlib.Path, curves: Mapping[str, np.ndarray]) -> None:
    """Writes the curves of several methods.

    A return is written with as many digits as tell it from its neighbours, so
    that the file holds exactly what was measured.

    Args:
      path: file to write.
      curves: by method `[num_iterations, num_runs, num_players]`, float32.
    """
    num_players = max(values.shape[2] for values in curves.values())
    players = [f"player_{player}_return" for player in range(num_players)]
    lines = [",".join(["method", "run", "iteration", *players])]
    for method, values in curves.items():
        for run in range(values.shape[1]):
            for iteration, returns in enumerate(values[:, run]):
                digits = ",".join(_exact(value) for value in returns)
                lines.append(f"{method},{run + 1},{iteration},{digits}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_curves(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Reads what `write_curves` wrote."""
    rows: dict[str, dict[tuple[int, int], list[float]]] = {}
    with open(path, encoding="utf-8", newline="") as file:
        lines = csv.reader(file)
        next(lines)
        for method, run, iteration, *returns in lines:
            values = [float(value) for value in returns if value]
            key = (int(iteration), int(run) - 1)
            rows.setdefault(method, {})[key] = values
    curves = {}
    for method, values in rows.items():
        num_iterations, num_runs = np.max(list(values), axis=0) + 1
        shape = (num_iterations, num_runs, len(next(iter(values.values()))))
        curves[method] = np.full(shape, np.nan, np.float32)
        for (iteration, run), returns in values.items():
            curves[method][iteration, run] = returns
    return curves


def _exact(value: np.float32) -> str:
    return np.format_float_positional(value, unique=True, trim="0")
