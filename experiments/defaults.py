"""Settings that are used where the user gives none, by look-aheads.

The one table to change. They were chosen for the prisoner's dilemma with
tabular policies and batches of 64, on other seeds than 0 to 19, among plain
and Loaded DiCE, baselines, rates, schedules and clipping: with a large outer
rate few starts fail on exact values, and it asks for an estimator whose second
derivatives vary little.

An entry holds for every player that looks so many steps ahead; naive learners
look 0 steps ahead. All rates refer to discounted returns that are not
normalised, at discount 0.96.
"""

from typing import NamedTuple


class Defaults(NamedTuple):
    """Default settings of a player.

    Attributes:
      inner_learning_rate: of the steps that it imagines.
      optimizer: name of the Keras optimiser of its real updates.
      learning_rate: of its first real update.
      final_learning_rate: of its last one, approached in equal steps; `None`
        for a constant rate.
      max_gradient_norm: norm to clip to, `None` for none.
      baseline: of the objective, which all players share.
      loaded_lambda: of the objective with that baseline.
      tau: of the objective with that baseline.
      critic_learning_rate: of its critic, where the baseline is one.
    """

    inner_learning_rate: float = 1.5
    optimizer: str = "sgd"
    learning_rate: float = 3.0
    final_learning_rate: float | None = None
    max_gradient_norm: float | None = None
    baseline: str = "bellman_values"
    loaded_lambda: float = 0.9
    tau: float = 0.0
    critic_learning_rate: float = 0.1


_BY_NUM_LOOKAHEADS = {
    0: Defaults(),
    1: Defaults(inner_learning_rate=1.5),
    2: Defaults(inner_learning_rate=0.75),
    3: Defaults(inner_learning_rate=0.5),
}


def defaults_for(num_lookaheads: int) -> Defaults:
    """Returns the settings for a number of look-aheads.

    Beyond the table, the same total distance is imagined in more steps.
    """
    most = max(_BY_NUM_LOOKAHEADS)
    if num_lookaheads <= most:
        return _BY_NUM_LOOKAHEADS[num_lookaheads]
    last = _BY_NUM_LOOKAHEADS[most]
    rate = last.inner_learning_rate * most / num_lookaheads
    return last._replace(inner_learning_rate=rate)


def describe(setting: str) -> str:
    """Returns a sentence on the defaults of a setting, for its flag."""
    values = [
        "none" if value is None else f"{value}"
        for value in (
            getattr(defaults, setting)
            for defaults in _BY_NUM_LOOKAHEADS.values()
        )
    ]
    if len(set(values)) == 1:
        return f" Default: {values[0]}."
    counts = ", ".join(map(str, _BY_NUM_LOOKAHEADS))
    return f" Default for {counts} look-aheads: {', '.join(values)}."
