"""Checks sampled derivatives of orders 1 to 3 against exact ones.

  python -m experiments.verify_estimators --output_dir=runs/verification

Three experiments of the papers: gradient and Hessian of the prisoner's dilemma
value, true against estimated; their correlation against the error of the
baseline and against the batch size (Foerster et al. 2018, Figures 2 and 3);
and orders 1 to 3 on random Markov decision processes (Farquhar et al. 2019).
The folder gets a picture of each, config.json, and summary.json with what was
measured and required. The exit status is 1 if a check fails.
"""

# `python experiments/...` starts a file outside of its package.
__package__ = __package__ or "experiments"

import time
from collections.abc import Sequence
from typing import NamedTuple

from absl import flags

# Only imports that are cheap: --help and mistakes are answered at once.
from .command_line.commands import Command
from .command_line.flag_parsers import define_seed
from .estimators.verification_sizes import FULL, QUICK
from .results.check_list import Check, summary
from .results.outputs import OutputFolder, optional
from .settings.training_flags import define_output_flags


class VerificationSettings(NamedTuple):
    """All that determines the results. `sizes` say how much is sampled."""

    seed: int
    quick: bool
    sizes: dict


def define_flags() -> None:
    """Defines the flags."""
    define_output_flags()
    define_seed("Seed of all that is drawn.")
    flags.DEFINE_boolean(
        "quick",
        False,
        "Run everything at a tiny size, in seconds, to see that it works. "
        "Most checks fail then.",
    )


def resolve(values: flags.FlagValues) -> VerificationSettings:
    """Returns the settings of parsed flags."""
    sizes = QUICK if values.quick else FULL
    return VerificationSettings(values.seed, values.quick, sizes._asdict())


def run(
    settings: VerificationSettings, folder: OutputFolder
) -> Sequence[Check]:
    """Makes the three experiments and writes the files."""
    from .estimators import estimator_figures as figures
    from .estimators import prisoners_dilemma as dilemma
    from .estimators import random_processes
    from .results.provenance import collect_results

    seed, sizes = settings.seed, QUICK if settings.quick else FULL
    started = time.monotonic()
    found = []
    for text, measure in (
        (
            "gradient and Hessian, true against estimated",
            dilemma.true_and_estimated,
        ),
        ("baselines that are off", dilemma.baseline_errors),
        ("batch sizes", dilemma.batch_sizes),
        (
            "random Markov decision processes, orders 1 to 3",
            random_processes.orders,
        ),
    ):
        print(f"[{time.monotonic() - started:4.0f} s] {text}", flush=True)
        found.append(measure(sizes, seed))
    print(f"[{time.monotonic() - started:4.0f} s] done", flush=True)
    comparisons, by_error, by_batch, by_order = found
    checks = [
        *dilemma.check_true_and_estimated(comparisons),
        *dilemma.check_baseline_errors(by_error),
        *random_processes.check_orders(by_order),
    ]
    recorded = {"verify_estimators": settings}
    with collect_results(folder, recorded, summary(checks)) as stage:
        for name, plot, data in (
            (
                "true_and_estimated.png",
                figures.plot_true_and_estimated,
                (comparisons[0], sizes),
            ),
            (
                "baselines_and_batch_sizes.png",
                figures.plot_baselines_and_batches,
                (by_error, by_batch, sizes),
            ),
            (
                "random_mdps.png",
                figures.plot_orders,
                (by_order, sizes.process_batch_sizes),
            ),
        ):
            with optional(stage / name):
                plot(stage / name, *data)
    return checks


COMMAND = Command(define_flags, resolve, run)

if __name__ == "__main__":
    COMMAND.start()
