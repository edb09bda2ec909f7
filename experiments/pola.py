"""Measures whether POLA finds reciprocity where LOLA, same network, fails.

  python -m experiments.pola --output_dir=runs/pola

Two players contribute to a pot, or not, again and again; values are exact and
policies are networks, as in Figure 3 of Zhao et al. 2022 (Proximal Learning
With Opponent-Learning Awareness) with contribution factor 1.33. A run counts if
both players are at least .5 more likely to contribute after the other did than
after it did not, and earn at least 90 % of what mutual contribution gives.

The folder gets summary.json, with one check per claim, config.json and
policies.csv: what every player does in every run.
"""

import csv
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from absl import app, flags

# Only what is cheap to import: --help and mistakes are answered at once.
from experiments.command_line.flag_parsers import define, whole_number
from experiments.command_line.quiet_tensorflow import import_tensorflow
from experiments.command_line.user_errors import user_errors
from experiments.results.checked_runs import conclude
from experiments.results.checks import Check, at_most, summary
from experiments.results.outputs import (
    CONFIG,
    SUMMARY,
    OutputFolder,
    write_json,
)
from experiments.settings.common_flags import define_output_flags

FLAGS = flags.FLAGS
POLICIES = "policies.csv"


def define_flags() -> None:
    """Defines the flags; other experiments have some of the same names."""
    define_output_flags()
    define("num_seeds", "20", whole_number(1), "Number of independent runs.")
    define("seed", "0", whole_number(0, 2**31 - 2**20), "Of the first run.")


def main(argv: Sequence[str]) -> None:
    with user_errors():
        if len(argv) > 1:
            raise ValueError(f"Flags start with --. Received: {argv[1]!r}.")
        folder = OutputFolder(FLAGS.output_dir, FLAGS.overwrite)
    try:
        checks = run(folder, FLAGS.seed, FLAGS.num_seeds)
    except KeyboardInterrupt:
        sys.exit(f"\nInterrupted. Nothing was written to {folder.path}.")
    conclude(folder, checks)


def run(folder: OutputFolder, seed: int, num_seeds: int) -> list[Check]:
    """Trains, writes the files and returns the checks."""
    import_tensorflow()
    from experiments.comparisons import facts, reciprocity
    from experiments.results.provenance import config
    from experiments.results.report import failed_text
    from experiments.results.summary import failed_runs

    settings = {
        name: own._replace(seed=seed, num_seeds=num_seeds)
        for name, own in {"pola": reciprocity.POLA, **reciprocity.LOLA}.items()
    }
    finals, checks = {}, []
    for name, own in settings.items():
        print(f"{name}: {num_seeds} runs", flush=True)
        finals[name] = reciprocity.train(own)
        reciprocal = finals[name].are_reciprocal
        print(
            f"  reciprocity {finals[name].reciprocity.mean():.2f}, share of "
            f"the cooperative return {finals[name].share.mean():.2f}",
            flush=True,
        )
        if failed := failed_runs(finals[name].returns):
            print(f"  {failed_text(failed, num_seeds)}", flush=True)
        if own.learner == "pola":
            checks.append(facts.enough_runs(f"{name}: finds", reciprocal, 0.9))
        else:
            # Fewer than half is far from what is asked of POLA.
            found = f"{name}: share of runs that find reciprocity"
            share = facts.share_of_runs(reciprocal, finals[name].returns)
            checks.append(at_most(found, share, 0.5))
    with folder.collect() as stage:
        write_json(stage / CONFIG, config(settings, folder.path))
        write_json(stage / SUMMARY, summary(checks))
        _write_policies(stage / POLICIES, finals)
    return checks


def _write_policies(path: pathlib.Path, finals: Mapping[str, Any]) -> None:
    """Writes P(C) after each pair of actions, the player's own first."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        states = ["cc", "cd", "dc", "dd", "start"]
        writer.writerow(["method", "run", "player", *states, "mean_return"])
        for name, own in finals.items():
            for number, pair in enumerate(own.cooperation):
                for player, table in enumerate(pair):
                    numbers = [f"{x:.6g}" for x in table]
                    final = f"{own.returns[number]:.6g}"
                    writer.writerow([name, number + 1, player, *numbers, final])


if __name__ == "__main__":
    define_flags()
    app.run(main)
