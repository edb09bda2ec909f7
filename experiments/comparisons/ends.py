"""How runs of the prisoner's dilemma end, by what both players earn."""

import numpy as np

from ..results.curves import COOPERATIVE, final_returns

# Mutual defection gives -2, and mutual cooperation -1.
_DEFECTING = -1.85
# A player that earns so much more than its opponent extorts it.
_UNEQUAL = 0.3


def count_ends(curves: np.ndarray) -> dict[str, int]:
    """Returns how many runs end in which way.

    The runs of `mutual_cooperation` give both players at least -1.15, those of
    `mutual_defection` give both at most -1.85, and in those of `extortion` one
    player earns at least 0.3 more than its opponent. No payoffs of the game
    satisfy two of these conditions. All other runs are `other`, those that
    have failed included.

    Args:
      curves: `[num_iterations, num_runs, 2]`, exact returns. With sampled ones
        noise decides about runs that lie close to a bound.
    """
    finals = final_returns(curves)
    counts = {
        "mutual_cooperation": np.min(finals, axis=1) >= COOPERATIVE,
        "mutual_defection": np.max(finals, axis=1) <= _DEFECTING,
        "extortion": np.ptp(finals, axis=1) >= _UNEQUAL,
    }
    counts = {name: int(np.sum(found)) for name, found in counts.items()}
    return counts | {"other": len(finals) - sum(counts.values())}
