"""The picture of benchmarks.run: time per iteration by size."""

import os
from collections.abc import Sequence
from typing import Any

from benchmarks.programs import Size

_PANELS = {
    "batch_size": "batch size",
    "episode_length": "episode length",
    "num_lookaheads": "look-aheads",
    "hidden_units": "hidden units",
    "num_seeds": "runs at once",
}


def draw(entries: Sequence[dict[str, Any]], path: str | os.PathLike) -> None:
    """Draws one panel per setting, over entries that differ in it alone.

    Args:
      entries: of benchmarks.json.
      path: of the picture.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(
        1, len(_PANELS), figsize=(16, 3.6), layout="constrained"
    )
    for panel, (setting, label) in zip(axes, _PANELS.items(), strict=True):
        for program in ("jax", "ours"):
            points = sorted(_points(entries, setting, program))
            if not points:
                continue
            x, *y = zip(*points, strict=True)
            median, low, high = ([1e3 * v for v in values] for values in y)
            panel.plot(x, median, "o-", label=program)
            panel.fill_between(x, low, high, alpha=0.2)
            panel.legend()
        panel.set_xlabel(label)
        panel.set_yscale("log")
        if setting in ("batch_size", "episode_length"):
            panel.set_xscale("log")
    axes[0].set_ylabel("milliseconds per iteration")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _points(
    entries: Sequence[dict[str, Any]], setting: str, program: str
) -> list[tuple[float, ...]]:
    base = {
        name: Size._field_defaults[name] for name in (*_PANELS, "recurrent")
    }
    # Many runs at once are those of the default batch.
    if setting == "num_seeds":
        base["batch_size"] = 64
    points = []
    for entry in entries:
        size = entry["settings"]
        alike = all(
            size.get(name) == value
            for name, value in base.items()
            if name != setting
        )
        per_call = entry["name"].split("/")[0].endswith("per_call")
        if alike and not per_call and entry["name"].endswith(f"/{program}"):
            points.append(
                (
                    size[setting],
                    entry["median_seconds"],
                    entry["min_seconds"],
                    entry["max_seconds"],
                )
            )
    return points
