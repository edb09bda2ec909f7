"""The methods of the LOLA-DiCE figure, and their settings.

Who adds a method to the figure adds a line to each table that it belongs to.
"""

import math
from typing import NamedTuple

from absl import flags

from experiments.settings.defaults import Defaults, defaults_for
from experiments.settings.line_up import method_name, parse_method
from experiments.settings.settings import Settings, resolve

RECOMMENDED = "recommended"
PUBLISHED = "published"

# Plain DiCE with rewards centred per round, as in the published runs.
_CENTRED = Defaults(baseline="leave_one_out", loaded_lambda=1.0, tau=1.0)

# Episodes of a batch of 4000 tell so much that the cheaper estimator will do,
# and that few iterations.
_LARGE_BATCH = "lola_batch_4000"
_LARGE_BATCH_ITERATIONS = 40

# By setting and method; `None` stands for the defaults of `defaults_for`.
METHODS: dict[str, dict[str, Defaults | None]] = {
    RECOMMENDED: {
        "naive": None,
        "lola_surrogate": None,
        "lola": None,
        _LARGE_BATCH: _CENTRED._replace(
            inner_learning_rate=defaults_for(1).inner_learning_rate,
            learning_rate=defaults_for(1).learning_rate,
        ),
        "lola_dice_1_lookahead": None,
        "lola_dice_2_lookaheads": None,
        "lola_dice_3_lookaheads": None,
        "lola_dice_1_lookahead_opponent_model": None,
    },
    # Inferred from the published curves, each by itself: no single setting
    # gives them all, and those of the paper are not known.
    PUBLISHED: {
        "naive": _CENTRED._replace(learning_rate=0.15),
        "lola": _CENTRED._replace(inner_learning_rate=0.25, learning_rate=0.19),
        "lola_dice_1_lookahead": _CENTRED._replace(
            inner_learning_rate=0.25, learning_rate=0.19
        ),
        "lola_dice_2_lookaheads": _CENTRED._replace(
            inner_learning_rate=0.2, learning_rate=0.15
        ),
    },
}


class Target(NamedTuple):
    """What a method should reach with the recommended settings.

    Attributes:
      bound: of the mean final joint return.
      is_upper: whether the bound is an upper one, for what should fail.
      share_of_runs: of runs that should end in cooperation.
    """

    bound: float
    is_upper: bool = False
    share_of_runs: float = 0.0

    def is_met(self, mean: float, num_cooperative: int, num_runs: int) -> bool:
        """Tells whether the runs of a method meet the target.

        Args:
          mean: final joint return, over runs.
          num_cooperative: number of runs that end in cooperation.
          num_runs: number of runs.
        """
        if self.is_upper:
            return mean <= self.bound
        needed = math.ceil(self.share_of_runs * num_runs - 1e-9)
        return mean >= self.bound and num_cooperative >= needed

    def __str__(self) -> str:
        text = f"at {'most' if self.is_upper else 'least'} {self.bound:g}"
        if self.share_of_runs:
            text += f", {self.share_of_runs:.0%} of runs"
        return text


TARGETS = {
    "naive": Target(-1.95, is_upper=True),
    "lola_surrogate": Target(-1.9, is_upper=True),
    _LARGE_BATCH: Target(-1.3),
    "lola_dice_1_lookahead": Target(-1.05, share_of_runs=0.95),
    "lola_dice_2_lookaheads": Target(-1.05, share_of_runs=0.9),
    "lola_dice_3_lookaheads": Target(-1.05, share_of_runs=0.9),
    "lola_dice_1_lookahead_opponent_model": Target(-1.05),
}

# What the published curves call our methods.
PUBLISHED_NAMES = {
    "naive": "naive",
    "lola": "lola_original",
    "lola_dice_1_lookahead": "lola_dice_1_lookahead",
    "lola_dice_2_lookaheads": "lola_dice_2_lookaheads",
}


def figure_settings(
    values: flags.FlagValues, kind: str, names: list[str] | None
) -> dict[str, Settings]:
    """Returns the settings of the figure's methods, by name in the files.

    Args:
      values: parsed flags; those that are given replace the table's entries.
      kind: of settings, a key of `METHODS`.
      names: some of the methods; `None` for all.

    Raises:
      ValueError: if a method is not in the table, or flags do not fit.
    """
    table = METHODS[kind]
    settings = {}
    for text in names or table:
        if text not in table:
            raise ValueError(
                f"--methods must be some of {', '.join(table)} with "
                f"--settings={kind}. Received: {text!r}."
            )
        method = parse_method(text)
        own = resolve(
            values,
            method.line_up,
            batch_size=method.batch_size,
            defaults=table[text],
        )
        if text == _LARGE_BATCH and not values["num_iterations"].present:
            own = own._replace(num_iterations=_LARGE_BATCH_ITERATIONS)
        name = method_name(own.learner, own.num_lookaheads, own.batch_size)
        settings[name] = own
    return settings
