"""How runs of the prisoner's dilemma are told apart."""

import numpy as np
import pytest

from experiments.comparisons.ends import count_ends


def _curves(*finals):
    """Returns curves that jump to given returns, `[12, num_runs, 2]`."""
    last = np.tile(np.array(finals, np.float32), (10, 1, 1))
    return np.concatenate([np.full([2, len(finals), 2], -1.5), last])


@pytest.mark.parametrize(
    ("finals", "end"),
    [
        ([-1.0, -1.0], "mutual_cooperation"),
        ([-1.14, -0.96], "mutual_cooperation"),
        ([-1.16, -1.0], "other"),
        ([-2.0, -2.0], "mutual_defection"),
        ([-1.86, -2.06], "mutual_defection"),
        ([-1.84, -1.84], "other"),
        ([-0.3, -2.4], "extortion"),
        ([-1.71, -1.4], "extortion"),
        ([-1.5, -1.5], "other"),
        ([np.nan, np.nan], "other"),
    ],
)
def test_an_end_follows_from_the_last_returns(finals, end) -> None:
    counts = count_ends(_curves(finals, [-1.0, -1.0]))
    assert list(counts) == [
        "mutual_cooperation",
        "mutual_defection",
        "extortion",
        "other",
    ]
    counts["mutual_cooperation"] -= 1
    assert counts == {name: int(name == end) for name in counts}


def test_each_run_has_one_end() -> None:
    """Over all that the two can earn: mixtures of the four payoffs."""
    payoffs = np.array([[-1, -1], [-3, 0], [0, -3], [-2, -2]], np.float32)
    mixtures = np.random.default_rng(0).dirichlet(np.full(4, 0.2), 10_000)
    counts = count_ends(_curves(*(mixtures @ payoffs)))
    assert min(counts.values()) > 0
    assert sum(counts.values()) == 10_000
