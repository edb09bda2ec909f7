"""Settings of `experiments.coin_game`, with the defaults of each learner."""

from typing import Any, NamedTuple

from ..command_line.flag_parsers import check_product, read_settings
from ..settings.line_up import (
    ACTOR_CRITIC,
    NAIVE,
    POLA,
    STEPWISE,
)
from ..settings.training_flags import GRU, MIN_GRU, MLP, TABULAR

LOLA_DICE = "lola_dice_1_lookahead"

# Learners that ascend whole returns: here they have a policy for each seat,
# which sees the grid alone. Those that weigh each step share one policy.
WHOLE_MOVE = (NAIVE, LOLA_DICE, POLA)
LEARNERS = (*WHOLE_MOVE, *STEPWISE)
RECURRENT = (GRU, MIN_GRU)
POLICIES = (MLP, TABULAR, *RECURRENT)

# Bots that networks are measured against.
ALWAYS_COOPERATE = "always_cooperate"
ALWAYS_DEFECT = "always_defect"
BOTS = (ALWAYS_COOPERATE, ALWAYS_DEFECT)

# A past self is kept once in so many updates.
PUSH_EVERY = 4

# Values of flags that are not given, by what uses these flags.
OF_NETWORKS = {
    "num_iterations": 200,
    "batch_size": 64,
    "episode_length": 32,
    "hidden_units": 32,
    "learning_rate": 0.01,
}
OF_TABLES = {
    "num_iterations": 80,
    "batch_size": 64,
    "episode_length": 32,
    "learning_rate": 6.0,
}
OF_STEPWISE = {
    "num_iterations": 200,
    "batch_size": 512,
    "episode_length": 50,
    "hidden_units": 64,
    "learning_rate": 0.003,
    "critic_learning_rate": 0.003,
    "entropy_coefficient": 0.05,
    "max_gradient_norm": 1.0,
    "tau": 0.95,
    "past_selves": 150,
}
OF_PAST_SELVES = {"past_selves_share": 1.0}
OF_SHAPING = {"weight": 1.0}
# In place of these, with memory: with a weight of 1 they take coins back and do
# not stop, and at a constant rate they go on to lose in some updates what they
# found.
OF_RECURRENT = {
    "num_iterations": 120,
    "final_learning_rate": 0.0,
    "weight": 3.0,
}
OF_POLA = {
    "num_outer_steps": 20,
    "outer_penalty": 10.0,
    "inner_penalty": 5.0,
    "num_lookaheads": 2,
}
# By policy, the rate of the steps that a learner imagines.
INNER_RATES = {MLP: 0.02, TABULAR: 25.0}
# Flags that some learners or policies have no use for.
_NOT_FOR_ALL = (
    "final_learning_rate",
    "hidden_units",
    "inner_learning_rate",
    *(name for name in OF_STEPWISE if name not in OF_NETWORKS),
    *OF_PAST_SELVES,
    *OF_SHAPING,
    *OF_POLA,
)


class CoinSettings(NamedTuple):
    """All that determines a run. The fields are the flags.

    Flags for which the learner or the policy has no use are `None`.
    """

    policy: str
    learner: str
    num_seeds: int
    seed: int
    num_iterations: int
    batch_size: int
    episode_length: int
    discount: float
    hidden_units: int | None
    learning_rate: float
    final_learning_rate: float | None
    inner_learning_rate: float | None
    num_outer_steps: int | None
    outer_penalty: float | None
    inner_penalty: float | None
    num_lookaheads: int | None
    critic_learning_rate: float | None
    entropy_coefficient: float | None
    max_gradient_norm: float | None
    tau: float | None
    weight: float | None
    past_selves: int | None
    past_selves_share: float | None

    @property
    def is_stepwise(self) -> bool:
        """Whether the learner weighs each step of a play."""
        return self.learner in STEPWISE


def resolve(values: Any) -> CoinSettings:
    """Returns the settings of parsed flags.

    Raises:
      ValueError: if the flags do not fit each other.
    """
    policy, learner = values.policy, values.learner
    fitting = WHOLE_MOVE if policy == TABULAR else STEPWISE
    if policy != MLP and learner not in fitting:
        raise ValueError(
            f"--policy={policy} is for --learner={', '.join(fitting[:-1])} or "
            f"{fitting[-1]}. Received: --learner={learner}."
        )
    if policy == TABULAR and values.discount == 1.0:
        raise ValueError(
            "With --policy=tabular values are exact over an infinite horizon: "
            "--discount must be below 1. Received: 1."
        )
    rates = (values.learning_rate, values.inner_learning_rate)
    if policy == TABULAR and learner == POLA and None in rates:
        raise ValueError(
            "The default rates of --policy=tabular are not those of pola: give "
            "--learning_rate and --inner_learning_rate."
        )
    defaults = defaults_of(policy, learner, values.past_selves != 0)
    for name in _NOT_FOR_ALL:
        if name not in defaults and getattr(values, name) is not None:
            _refuse(name, values)
    settings = read_settings(CoinSettings, values, defaults)
    check_product(
        num_seeds=settings.num_seeds,
        batch_size=settings.batch_size,
        episode_length=settings.episode_length,
    )
    return settings


def defaults_of(
    policy: str, learner: str, has_past_selves: bool = True
) -> dict[str, float | None]:
    """Returns the flags that have a use, with values if they are not given.

    Args:
      policy: one of `POLICIES`.
      learner: one of `LEARNERS`, which fits the policy.
      has_past_selves: whether the learner meets its past selves.
    """
    if learner in STEPWISE:
        # `None` is that of the first update.
        defaults = {**OF_STEPWISE, "final_learning_rate": None}
        if has_past_selves:
            defaults |= OF_PAST_SELVES
        if learner != ACTOR_CRITIC:
            defaults |= OF_SHAPING
        if policy in RECURRENT:
            # Who does not shape has no weight.
            defaults |= {
                name: value
                for name, value in OF_RECURRENT.items()
                if name in defaults
            }
        return defaults
    defaults = dict(OF_TABLES if policy == TABULAR else OF_NETWORKS)
    if learner != NAIVE:
        defaults["inner_learning_rate"] = INNER_RATES[policy]
    if learner == POLA:
        defaults |= OF_POLA
    return defaults


def _refuse(name: str, values: Any) -> None:
    """Raises, since a flag that was given would be ignored."""
    used_by = f"--policy={values.policy} --learner={values.learner}"
    if name in OF_PAST_SELVES and values.learner in STEPWISE:
        used_by = "--past_selves=0"
    raise ValueError(
        f"--{name} has no use with {used_by}. Received: "
        f"--{name}={getattr(values, name):g}."
    )
