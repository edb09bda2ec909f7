"""Draws how learners move in a plane of strategies, by exact values.

  python -m experiments.phase_portrait --output_dir=runs/portrait
  python -m experiments.phase_portrait --learners=naive,lola,hola_3 \\
    --inner_learning_rate=3 --output_dir=runs/portrait

Two players of the iterated prisoner's dilemma have the same reactive strategy:
P(C after C) and P(C after D), by what the opponent did last. Always defect is
the corner (0, 0) of the plane, tit for tat (1, 0) and always cooperate (1, 1).
In the first round they do as after C, and the horizon is infinite. With the
same learner they stay alike. For each learner, arrows show where an update
leads, and paths where many updates end. Colours are what both players earn.
Nothing is drawn at random.

The folder gets phase_portrait.png, paths.csv (the strategies on each path, and
what both players earn), summary.json (how many paths end in cooperation) and
config.json.
"""

# `python experiments/...` starts a file outside of its package.
__package__ = __package__ or "experiments"

import csv
import pathlib
from collections.abc import Mapping
from typing import Any

from absl import flags

# Only imports that are cheap: --help and mistakes are answered at once.
from .command_line.commands import Command
from .command_line.flag_parsers import Number, define, define_size
from .portraits.portrait_settings import PortraitSettings, resolve
from .results.outputs import OutputFolder, optional
from .settings.training_flags import define_output_flags

_LEARNERS = (
    "naive",
    "look_ahead",
    "lola",
    "lola_dice_1_lookahead",
    "lola_dice_2_lookaheads",
    "sos",
)
# Of a path, in paths.csv.
_MOST_ROWS = 101
# Cells of the plane along each axis, for the colours.
_NUM_CELLS = 50


def define_flags() -> None:
    """Defines the flags."""
    define_output_flags()
    flags.DEFINE_list(
        "learners",
        ",".join(_LEARNERS),
        "Learners to draw, named as in compare_learners, such as hola_2. Those "
        "that need play, or remember something, cannot be drawn.",
    )
    define_size("num_iterations", 1000, "Number of updates on each path.")
    for name, default, parser, text in (
        (
            "discount",
            "0.96",
            Number(0.0, 1.0),
            "What a reward one round later is worth.",
        ),
        (
            "learning_rate",
            "0.02",
            Number(),
            "Learning rate of the updates, on discounted, unnormalised "
            "returns.",
        ),
        (
            "inner_learning_rate",
            "1",
            Number(),
            "Learning rate of the steps that a player imagines.",
        ),
    ):
        define(name, default, parser, text)


def run(settings: dict[str, PortraitSettings], folder: OutputFolder) -> None:
    """Computes all portraits, draws them and writes the files."""
    from .portraits import reactive
    from .portraits.portrait_plot import plot_portraits
    from .results.check_list import aligned
    from .results.provenance import collect_results

    portraits, summary = {}, {}
    for name, learner in settings.items():
        print(name, flush=True)
        portraits[name] = reactive.draw_from(learner)
        summary[name] = reactive.summarise(portraits[name])
    discount = next(iter(settings.values())).discount
    with collect_results(folder, settings, summary) as stage:
        _write_paths(stage / "paths.csv", portraits)
        picture = stage / "phase_portrait.png"
        with optional(picture):
            plot_portraits(
                picture,
                portraits,
                reactive.returns_in_plane(discount, _NUM_CELLS),
                "Iterated prisoner's dilemma:\n"
                "two players with one reactive strategy",
            )
    rows = [["learner", "paths to cooperation", "paths to defection", "other"]]
    for name, entry in summary.items():
        rows.append([name, *map(str, entry["num_paths_to"].values())])
    print(f"\n{aligned(rows)}")


def _write_paths(path: pathlib.Path, portraits: Mapping[str, Any]) -> None:
    """Writes up to `_MOST_ROWS` strategies of each path, the ends included."""
    import numpy as np

    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        strategy = ["cooperation_after_c", "cooperation_after_d"]
        writer.writerow(["method", "path", "iteration", *strategy, "return"])
        for name, portrait in portraits.items():
            last = len(portrait.paths) - 1
            shown = np.linspace(0, last, min(_MOST_ROWS, last + 1)).astype(int)
            for path_id in range(portrait.paths.shape[1]):
                for iteration in shown:
                    place = iteration, path_id
                    numbers = (*portrait.paths[place], portrait.returns[place])
                    cells = [f"{number:.6g}" for number in numbers]
                    writer.writerow([name, path_id + 1, iteration, *cells])


COMMAND = Command(define_flags, resolve, run)

if __name__ == "__main__":
    COMMAND.start()
