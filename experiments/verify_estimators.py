"""Checks sampled derivatives of orders 1 to 3 against exact ones.

  python -m experiments.verify_estimators --output_dir=runs/verification

Three experiments of the papers: gradient and Hessian of the prisoner's dilemma
value, true against estimated; their correlation against the error of the
baseline and against the batch size (Foerster et al. 2018, Figures 2 and 3);
and orders 1 to 3 on random Markov decision processes (Farquhar et al. 2019).
The folder gets a picture of each, config.json, and summary.json with what was
measured and required. The exit status is 1 if a check fails.
"""

import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

from absl import app, flags

# Only what is cheap to import: --help and mistakes are answered at once.
from experiments.command_line.flag_parsers import define, whole_number
from experiments.command_line.quiet_tensorflow import import_tensorflow
from experiments.command_line.requirements import require_matplotlib
from experiments.command_line.user_errors import user_errors
from experiments.estimators.verification_sizes import FULL, QUICK, Sizes
from experiments.results.checked_runs import conclude
from experiments.results.checks import Check, summary
from experiments.results.outputs import (
    CONFIG,
    SUMMARY,
    OutputFolder,
    write_json,
)
from experiments.settings.common_flags import define_output_flags

FLAGS = flags.FLAGS


def define_flags() -> None:
    """Defines the flags; other experiments have some of the same names."""
    define_output_flags()
    define("seed", "0", whole_number(0), "Seed of all that is drawn.")
    flags.DEFINE_boolean(
        "quick",
        False,
        "Run everything at a tiny size, in seconds, to see that it works. "
        "Most checks fail then.",
    )


class Settings(NamedTuple):
    """What config.json says of the run, beside the folder.

    Attributes:
      seed: of all that is drawn.
      quick: whether the sizes are tiny.
      sizes: how much was sampled.
    """

    seed: int
    quick: bool
    sizes: dict


def main(argv: Sequence[str]) -> None:
    with user_errors():
        if len(argv) > 1:
            raise ValueError(f"Flags start with --. Received: {argv[1]!r}.")
        require_matplotlib()
        folder = OutputFolder(FLAGS.output_dir, FLAGS.overwrite)
    try:
        checks = verify(folder, FLAGS.seed, FLAGS.quick)
    except KeyboardInterrupt:
        sys.exit(f"\nInterrupted. Nothing was written to {folder.path}.")
    conclude(folder, checks)


def verify(folder: OutputFolder, seed: int, quick: bool) -> list[Check]:
    """Runs the experiments and writes the files.

    Args:
      folder: where to.
      seed: of all that is drawn.
      quick: whether to sample little.

    Returns:
      The checks.
    """
    import_tensorflow()
    # What imports TensorFlow or Matplotlib takes its time.
    from experiments.estimators import estimator_figures as figures
    from experiments.estimators import prisoners_dilemma_derivatives as dilemma
    from experiments.estimators import random_mdp_derivatives
    from experiments.results import provenance

    sizes = QUICK if quick else FULL
    started = time.monotonic()
    _announce("gradient and Hessian, true against estimated", started)
    comparisons = dilemma.true_and_estimated(sizes, seed)
    _announce("baselines that are off", started)
    by_error = dilemma.baseline_errors(sizes, seed)
    _announce("batch sizes", started)
    by_batch = dilemma.batch_sizes(sizes, seed)
    _announce("random Markov decision processes, orders 1 to 3", started)
    by_order = random_mdp_derivatives.orders(sizes, seed)
    _announce("done", started)
    checks = [
        *dilemma.check_true_and_estimated(comparisons),
        *dilemma.check_baseline_errors(by_error),
        *random_mdp_derivatives.check_orders(by_order),
    ]
    with user_errors(), folder.collect() as stage:
        figures.plot_true_and_estimated(
            stage / "true_and_estimated.png", comparisons[0], _title(sizes)
        )
        figures.plot_baselines_and_batches(
            stage / "baselines_and_batch_sizes.png",
            by_error,
            by_batch,
            sizes.dilemma_batch_sizes,
            sizes.baseline_batch_size,
        )
        figures.plot_orders(
            stage / "random_mdps.png", by_order, sizes.process_batch_sizes
        )
        settings = Settings(seed, quick, sizes._asdict())
        write_json(
            stage / CONFIG,
            provenance.config({"verify_estimators": settings}, folder.path),
        )
        write_json(stage / SUMMARY, summary(checks))
    return checks


def _title(sizes: Sizes) -> str:
    episodes = sizes.num_chunks * sizes.chunk_size
    return (
        "Derivatives of player 0's value in the prisoner's dilemma, "
        f"{episodes:,} episodes, first seed"
    )


def _announce(what: str, started: float) -> None:
    print(f"[{time.monotonic() - started:4.0f} s] {what}", flush=True)


if __name__ == "__main__":
    define_flags()
    app.run(main)
