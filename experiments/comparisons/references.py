"""Returns of exact values in the literature, and how ours compare."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..results.curves import final_returns
from ..settings import matrix_games
from ..settings.training_flags import NORMAL, TABULAR
from ..settings.training_settings import EXACT, TrainingSettings

# Two means count as the same within so many standard errors of the difference.
_STANDARD_ERRORS = 3.0


class Reference(NamedTuple):
    """A published mean return at the end of learning.

    Attributes:
      mean: over runs, and over players unless `player` says which one.
      std: standard deviation over runs; `None` if it is not known.
      num_runs: number of runs; `None` if the value was read off a figure, in
        which case the tolerance says how well that can be done.
      tolerance: a difference up to this always counts as agreement.
      player: whose return.
    """

    mean: float
    std: float | None
    num_runs: int | None
    tolerance: float = 0.005
    player: int | None = None


# Joint returns in the prisoner's dilemma: infinite horizon, discount 0.96,
# starts from N(0, 1), all rates 1, 100 steps. Those with two digits are read
# off a figure of Letcher et al. 2019 (Stable Opponent Shaping).
PRISONERS_DILEMMA = {
    "naive": Reference(-1.999, None, 200),
    "look_ahead": Reference(-1.915, 0.270, 200),
    "lola": Reference(-1.056, 0.156, 200),
    "lola_full_gradient": Reference(-1.050, 0.130, 200),
    "lola_dice_1_lookahead": Reference(-1.075, 0.189, 200),
    "sos": Reference(-1.07, None, None, 0.05),
    "consensus": Reference(-1.70, None, None, 0.1),
    "locally_stable": Reference(-1.76, None, None, 0.05),
    "symplectic": Reference(-1.87, None, None, 0.1),
    "competitive": Reference(-1.98, None, None, 0.05),
    "extragradient": Reference(-1.98, None, None, 0.05),
}

# Returns (negative losses) in the tandem game: rate 0.1, starts from N(0, 0.1),
# 30 steps. That of SOS can only be one player's: the mean of both is exactly 0
# where x + y = 1, and a single player's is off by its random start.
TANDEM = {
    "lola_full_gradient": Reference(-0.44, None, 100),
    "sos": Reference(0.02, None, 100, player=0),
}


class Agreement(NamedTuple):
    """How a measured mean compares with a published one.

    Attributes:
      measured: the mean over runs of what the reference is about.
      reference: the published mean.
      tolerance: the largest difference that counts as agreement.
      agrees: whether the difference is not larger.
    """

    measured: float
    reference: float
    tolerance: float
    agrees: bool


def agreement(curves: np.ndarray, reference: Reference) -> Agreement:
    """Compares the final returns of several runs with a reference."""
    finals = final_returns(curves)
    if reference.player is None:
        finals = finals.mean(axis=1)
    else:
        finals = finals[:, reference.player]
    tolerance = reference.tolerance
    if reference.num_runs is not None and len(finals) > 1:
        std = np.std(finals, ddof=1)
        published_std = std if reference.std is None else reference.std
        error = math.hypot(
            std / math.sqrt(len(finals)),
            published_std / math.sqrt(reference.num_runs),
        )
        tolerance = max(tolerance, _STANDARD_ERRORS * error)
    measured = float(finals.mean())
    agrees = abs(measured - reference.mean) <= tolerance
    return Agreement(measured, reference.mean, float(tolerance), bool(agrees))


def as_columns(
    methods: Sequence[str],
    references: Mapping[str, Reference],
    agreements: Mapping[str, Agreement],
) -> list[list[str]]:
    """Returns columns for a table of methods: a header, then one cell each."""
    published, verdicts = ["reference"], ["difference"]
    for name in methods:
        published.append("")
        verdicts.append("")
        if name not in references:
            continue
        published[-1] = _written(references[name])
        measured, reference, tolerance, agrees = agreements[name]
        verdicts[-1] = (
            f"{measured - reference:+.3f}, "
            f"{'agrees' if agrees else 'DIFFERS'} within {tolerance:.3f}"
        )
    return [published, verdicts]


def _written(reference: Reference) -> str:
    digits = 2 if reference.num_runs is None else 3
    text = f"{reference.mean:.{digits}f}"
    if reference.std is not None:
        text += f" +- {reference.std:.3f}"
    if reference.player is not None:
        text += f" (player {reference.player})"
    return text


def references_for(
    settings: Mapping[str, TrainingSettings],
) -> dict[str, Reference]:
    """Returns the references of methods with the published settings."""
    found = {}
    for name, method in settings.items():
        is_tandem = method.game == matrix_games.TANDEM
        known = TANDEM if is_tandem else PRISONERS_DILEMMA
        if name in known and method == _as_published(method):
            found[name] = known[name]
    return found


def _as_published(settings: TrainingSettings) -> TrainingSettings:
    """Returns settings in which all is published that returns depend on."""
    is_tandem = settings.game == matrix_games.TANDEM
    rate = 0.1 if is_tandem else 1.0

    def everyone(value: Any) -> tuple:
        return (value,) * settings.num_players

    return settings._replace(
        game=matrix_games.TANDEM
        if is_tandem
        else matrix_games.PRISONERS_DILEMMA,
        payoffs=None,
        objective=EXACT,
        episode_length=None,
        discount=None if is_tandem else 0.96,
        num_iterations=30 if is_tandem else 100,
        initial_logits=NORMAL,
        policy=everyone(None if is_tandem else TABULAR),
        inner_learning_rate=tuple(
            None if given is None else rate
            for given in settings.inner_learning_rate
        ),
        learning_rate=everyone(rate),
        final_learning_rate=everyone(rate),
        optimizer=everyone("sgd"),
        momentum=everyone(0.0),
        max_gradient_norm=everyone(None),
        entropy_coefficient=everyone(0.0),
    )
