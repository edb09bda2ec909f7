"""Pictures of `verify_estimators`, in the form of the papers' figures."""

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..results.pictures import BLUE, GREEN, ORANGE, PINK, tidy
from .prisoners_dilemma import (
    BASELINE_ERRORS,
    NO_BASELINE,
    Comparison,
)
from .verification_sizes import Sizes


def plot_true_and_estimated(
    path: pathlib.Path, comparison: Comparison, sizes: Sizes
) -> None:
    """Draws each entry of gradient and Hessian, true beside estimated."""
    figure = Figure(figsize=(12.0, 6.0), layout="constrained")
    rows = figure.subplots(
        len(comparison.estimates),
        2,
        sharex="col",
        squeeze=False,
        gridspec_kw={"width_ratios": [1, 3]},
    )
    for row, (name, estimates) in zip(
        rows, comparison.estimates.items(), strict=True
    ):
        for axes, true, estimated, what in zip(
            row, comparison[:2], estimates, ("gradient", "Hessian"), strict=True
        ):
            _draw_bars(axes, np.ravel(true), np.ravel(estimated))
            r = np.corrcoef(np.ravel(true), np.ravel(estimated))[0, 1]
            axes.set_title(f"{what}, {name}:\ncorrelation {r:.5f}")
    for axes, what in zip(rows[-1], ("gradient", "Hessian"), strict=True):
        axes.set_xlabel(f"entry of the {what}")
    rows[0, 0].legend(frameon=False)
    figure.suptitle(
        "Derivatives of player 0's value in the prisoner's dilemma, "
        f"{sizes.num_chunks * sizes.chunk_size:,} episodes, first seed"
    )
    figure.savefig(path, dpi=150)


def plot_baselines_and_batches(
    path: pathlib.Path,
    by_error: Mapping[str, np.ndarray],
    by_batch: Mapping[str, np.ndarray],
    sizes: Sizes,
) -> None:
    """Draws correlation against baseline error, and against batch size."""
    figure = Figure(figsize=(11.0, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    curves = np.stack(
        [by_error[f"off by {error}"] for error in BASELINE_ERRORS]
    )
    spread = curves.std(axis=1)
    _draw_curve(left, BASELINE_ERRORS, curves, spread, BLUE, "baseline")
    plain = by_error[NO_BASELINE]
    left.axhline(plain.mean(), color=GREEN, label=NO_BASELINE)
    low, high = plain.mean() - plain.std(), plain.mean() + plain.std()
    left.axhspan(low, high, color=GREEN, alpha=0.15, linewidth=0)
    left.set_xlabel("error of the baseline (constant)")
    left.set_ylabel("correlation with the exact derivative")
    left.set_title(f"gradient, {sizes.baseline_batch_size} episodes")
    batch_sizes = sizes.dilemma_batch_sizes
    for (name, runs), color in zip(
        by_batch.items(), (BLUE, GREEN, ORANGE), strict=True
    ):
        _draw_curve(right, batch_sizes, runs, runs.std(axis=1), color, name)
    _show_batch_sizes(right, batch_sizes)
    right.set_xlabel("episodes per estimate")
    right.set_title("gradient and Hessian (bars: standard deviation)")
    for axes in (left, right):
        axes.set_ylim(None, 1.05)
        tidy(axes)
        axes.legend(loc="lower right", frameon=False)
    figure.savefig(path, dpi=150)


def plot_orders(
    path: pathlib.Path,
    results: Mapping[str, np.ndarray],
    batch_sizes: Sequence[int],
) -> None:
    """Draws correlation against batch size, a panel per order."""
    figure = Figure(figsize=(13.0, 4.5), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    for order, axes in enumerate(panels):
        # Dashes let what lies below show: at order 1 lambda has no effect.
        for (name, orders), color, dashes in zip(
            results.items(),
            (BLUE, GREEN, ORANGE, PINK),
            ("-", "-", "-", "--"),
            strict=True,
        ):
            runs = orders[order]
            error = runs.std(axis=1, ddof=1) / np.sqrt(runs.shape[1])
            _draw_curve(axes, batch_sizes, runs, error, color, name, dashes)
        _show_batch_sizes(axes, batch_sizes)
        axes.set_ylim(-0.3, 1.1)
        axes.set_title(("1st order", "2nd order", "3rd order")[order])
        axes.set_xlabel("episodes per estimate")
        tidy(axes)
    panels[0].set_ylabel("correlation with the exact derivative")
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=len(results),
        frameon=False,
    )
    figure.suptitle("Random MDPs (bars: standard error)")
    figure.savefig(path, dpi=150)


def _draw_bars(axes: Axes, true: np.ndarray, estimated: np.ndarray) -> None:
    places = np.arange(len(true))
    axes.bar(places - 0.2, true, 0.4, color=BLUE, label="true")
    axes.bar(places + 0.2, estimated, 0.4, color=ORANGE, label="estimated")
    axes.axhline(0.0, color="black", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_curve(
    axes: Axes,
    x: Sequence[int],
    runs: np.ndarray,
    spread: np.ndarray,
    color: str,
    label: str,
    line: str = "-",
) -> None:
    axes.errorbar(
        x,
        runs.mean(axis=1),
        spread,
        color=color,
        linestyle=line,
        marker="o",
        capsize=3,
        label=label,
    )


def _show_batch_sizes(axes: Axes, batch_sizes: Sequence[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(batch_sizes, [str(size) for size in batch_sizes])
    axes.minorticks_off()
