"""Compares the methods of finished runs, with confidence intervals.

  python -m experiments.report runs/naive runs/lola --output_dir=runs/report
  python -m experiments.report runs/compare_learners --output_dir=runs/report

Each folder holds a finished run of ipd, compare_learners, lola_dice_figure,
coin_game or negotiation, all of one game. A method of a run needs at least two
seeds. A run is judged by its final return, the mean over the players.

The folder gets report.html, one page with all tables and pictures;
comparison.csv, the interquartile mean, median, mean and, if the best return is
known, the optimality gap; improvement.csv, how likely a run of one method
beats a run of another; profile.csv, the share of runs above each return;
learning_curves.csv; all with 95 % intervals by the stratified bootstrap
(Agarwal et al. 2021); summary.json and config.json.
"""

# `python experiments/...` starts a file outside of its package.
__package__ = __package__ or "experiments"

from typing import NamedTuple

from absl import flags

# Only imports that are cheap: --help and mistakes are answered at once.
from .command_line.commands import Command, user_errors
from .command_line.flag_parsers import (
    Number,
    check_some,
    define,
    define_seed,
    define_size,
)
from .results.outputs import OutputFolder
from .settings.training_flags import define_output_flags

PAGE = "report.html"


class ReportSettings(NamedTuple):
    """All that determines a report. The fields are the flags."""

    runs: tuple[str, ...]
    best: float | None
    num_resamples: int
    seed: int


def define_flags() -> None:
    """Defines the flags."""
    define_output_flags()
    flags.DEFINE_list(
        "runs", [], "Folders of finished runs, which need no --runs."
    )
    define(
        "best",
        None,
        Number(-3.4e38),
        "The highest joint return that is possible, from which the optimality "
        "gap is measured. Default: that of matrix games and of negotiation; of "
        "other games none is known.",
    )
    define_size("num_resamples", 2000, "Resamples of each interval.")
    define_seed("Seed of the resamples.")


def resolve(values: flags.FlagValues) -> ReportSettings:
    """Returns the settings of the report."""
    return ReportSettings(
        tuple(check_some("runs", values.runs)),
        values.best,
        values.num_resamples,
        values.seed,
    )


def run(settings: ReportSettings, folder: OutputFolder) -> None:
    """Reads the runs, writes the files and prints the table."""
    from .reports.comparison import compare, write_tables
    from .reports.finished_runs import read_folders
    from .reports.report_page import page
    from .results.check_list import aligned
    from .results.provenance import collect_results

    with user_errors():
        methods = read_folders(settings.runs)
    comparison = compare(
        methods,
        best=settings.best,
        num_resamples=settings.num_resamples,
        seed=settings.seed,
    )
    summary = comparison.summary()
    with collect_results(folder, {"report": settings}, summary) as stage:
        write_tables(stage, comparison)
        text = page(comparison, settings.num_resamples)
        (stage / PAGE).write_text(text, encoding="utf-8")
    names = list(comparison.estimates[methods[0].label])
    rows = [["method", *(name.replace("_", " ") for name in names), "runs"]]
    for method in methods:
        found = comparison.estimates[method.label]
        cells = [
            f"{found[name].value:.3f} [{found[name].low:.3f}, "
            f"{found[name].high:.3f}]"
            for name in names
        ]
        rows.append([method.label, *cells, str(len(method.scores))])
    print(aligned(rows))


COMMAND = Command(define_flags, resolve, run, operands="runs")

if __name__ == "__main__":
    COMMAND.start()
