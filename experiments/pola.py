"""Measures whether POLA finds reciprocity where LOLA, same network, fails.

  python -m experiments.pola --output_dir=runs/pola

Two players contribute to a pot, or not, again and again; values are exact and
policies are networks, as in Figure 3 of Zhao et al. 2022 (Proximal Learning
With Opponent-Learning Awareness) with contribution factor 1.33. A run counts if
both players are at least 0.5 more likely to contribute after the other did than
after it did not, and earn at least 90 % of what mutual contribution gives.

The folder gets summary.json, with one check per claim, config.json and
policies.csv: what every player does in every run.
"""

# `python experiments/...` starts a file outside of its package.
__package__ = __package__ or "experiments"

import csv
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags

# Only imports that are cheap: --help and mistakes are answered at once.
from .command_line.commands import Command
from .command_line.flag_parsers import define_seed, define_size
from .results.check_list import Check, at_most, summary
from .results.outputs import OutputFolder
from .settings.training_flags import (
    MOST_SEEDS,
    define_output_flags,
)

POLICIES = "policies.csv"


def define_flags() -> None:
    """Defines the flags."""
    define_output_flags()
    define_size("num_seeds", 20, "Number of independent runs.", most=MOST_SEEDS)
    define_seed("Seed of the first run.")


def resolve(values: flags.FlagValues) -> dict[str, int]:
    """Returns the settings that the flags replace."""
    return {"seed": values.seed, "num_seeds": values.num_seeds}


def run(changes: dict[str, int], folder: OutputFolder) -> Sequence[Check]:
    """Trains, writes the files and returns the checks."""
    from .comparisons import fact_measures as measures
    from .comparisons import reciprocity
    from .results.curves import print_failed
    from .results.provenance import collect_results

    settings = {
        name: training._replace(**changes)
        for name, training in reciprocity.TRAININGS.items()
    }
    pairs, checks = {}, []
    for name, training in settings.items():
        print(f"{name}: {training.num_seeds} runs", flush=True)
        trained = pairs[name] = reciprocity.train(training)
        print(
            f"  reciprocity {trained.reciprocity.mean():.2f}, share of the "
            f"cooperative return {trained.share.mean():.2f}",
            flush=True,
        )
        print_failed(trained.returns, "  ")
        reciprocal = trained.are_reciprocal
        if training.learner == "pola":
            checks.append(
                measures.enough_runs(f"{name}: finds", reciprocal, 0.9)
            )
        else:
            # POLA has to find it in nine runs of ten.
            found = f"{name}: share of runs that find reciprocity"
            share = measures.share_of_runs(reciprocal, trained.returns)
            checks.append(at_most(found, share, 0.5))
    with collect_results(folder, settings, summary(checks)) as stage:
        _write_policies(stage / POLICIES, pairs)
    return checks


def _write_policies(path: pathlib.Path, pairs: Mapping[str, Any]) -> None:
    """Writes P(C) after each pair of actions, the player's own first."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        states = ["cc", "cd", "dc", "dd", "start"]
        writer.writerow(["method", "run", "player", *states, "mean_return"])
        for name, trained in pairs.items():
            for run_id, pair in enumerate(trained.cooperation):
                for player_id, table in enumerate(pair):
                    numbers = (*table, trained.returns[run_id])
                    cells = [f"{number:.6g}" for number in numbers]
                    writer.writerow([name, run_id + 1, player_id, *cells])


COMMAND = Command(define_flags, resolve, run, libraries=())

if __name__ == "__main__":
    COMMAND.start()
