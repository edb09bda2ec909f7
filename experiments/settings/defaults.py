"""Default settings of players, by the number of look-aheads.

They were chosen for the prisoner's dilemma with tabular policies and batches of
64, on seeds above 19, among plain and Loaded DiCE, baselines, rates, schedules
and clipping. With a large outer rate few starts fail on exact values; sampled
values then need an estimator whose second derivatives vary little.

Naive learners look 0 steps ahead. Learners other than LOLA-DiCE that imagine
steps have the entry of 1. All rates refer to discounted returns that are not
normalised, at discount 0.96.
"""

from typing import Any, NamedTuple


class Defaults(NamedTuple):
    """Default settings of a player.

    Attributes:
      inner_learning_rate: of the steps that it imagines.
      step_space: whether steps are taken in the parameters of policies or in
        their outputs.
      optimizer: name of the Keras optimiser of its real updates.
      learning_rate: of its first real update.
      final_learning_rate: of its last one, approached in equal steps; `None`
        for a constant rate.
      max_gradient_norm: norm to clip to, `None` for none.
      baseline: of the objective, which all players share.
      loaded_lambda: of the objective with that baseline.
      tau: of the objective with that baseline.
      critic_learning_rate: of its critic, if that is the baseline.
    """

    inner_learning_rate: float = 1.5
    step_space: str = "parameters"
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


# Kinds of policies: by observation a number of its own, and a network, which
# may remember.
TABLE, NETWORK = "table", "network"

# In the space of outputs a network moves as a table does, as far as its outputs
# are linear in its parameters: the longest steps are too long for it. Chosen
# for the mlp of 64x64 on runs from seed 1000 on, where a network of gated
# recurrent units succeeds with it, too.
_OF_NETWORKS = {"step_space": "outputs", "learning_rate": 2.0}
# Of a learner whose direction is a whole move. In the space of parameters a
# step moves the outputs much further, for all observations at once.
_WHOLE_MOVE_INNER_RATE = 0.06


# For exact values, the rates of the literature.
EXACT_DEFAULTS = Defaults(inner_learning_rate=1.0, learning_rate=1.0)
TANDEM_DEFAULTS = Defaults(inner_learning_rate=0.1, learning_rate=0.1)


def defaults_for(num_lookaheads: int, kind: str = TABLE) -> Defaults:
    """Returns the settings for a number of look-aheads.

    Beyond the table, the same total distance is imagined in more steps.

    Args:
      num_lookaheads: number of look-aheads.
      kind: `TABLE` or `NETWORK`, of the policy.
    """
    if kind == NETWORK:
        return defaults_for(num_lookaheads)._replace(**_OF_NETWORKS)
    most = max(_BY_NUM_LOOKAHEADS)
    defaults = _BY_NUM_LOOKAHEADS[min(num_lookaheads, most)]
    if num_lookaheads > most:
        rate = defaults.inner_learning_rate * most / num_lookaheads
        return defaults._replace(inner_learning_rate=rate)
    return defaults


def stepwise_defaults(kind: str = TABLE) -> Defaults:
    """Returns the settings of a learner whose direction is a mean over steps.

    At discount 0.96 the direction of a value is about 25 times as long, the
    sum of `0.96^t`.
    """
    defaults = defaults_for(0, kind)
    return defaults._replace(learning_rate=25.0 * defaults.learning_rate)


def whole_move_defaults(kind: str = TABLE) -> Defaults:
    """Returns the settings of a learner whose direction is a whole move.

    It moves in parameters: its penalties already measure outputs.
    """
    defaults = defaults_for(1)._replace(learning_rate=1.0)
    if kind == TABLE:
        return defaults
    return defaults._replace(inner_learning_rate=_WHOLE_MOVE_INNER_RATE)


def describe(setting: str) -> str:
    """Returns a sentence on the defaults of a setting, for its flag."""
    found = {
        kind: [
            _as_text(getattr(defaults_for(count, kind), setting))
            for count in _BY_NUM_LOOKAHEADS
        ]
        for kind in (TABLE, NETWORK)
    }
    texts = {
        kind: values[0] if len(set(values)) == 1 else ", ".join(values)
        for kind, values in found.items()
    }
    counts = ", ".join(map(str, _BY_NUM_LOOKAHEADS))
    text = " Default"
    if any(len(set(values)) > 1 for values in found.values()):
        text += f" for {counts} look-aheads"
    text += f": {texts[TABLE]}"
    if texts[NETWORK] != texts[TABLE]:
        text += f"; for networks {texts[NETWORK]}"
    return f"{text}."


def _as_text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return "none" if value is None else str(value)
