"""Settings of `experiments.coin_game`, with the defaults of each policy."""

from typing import Any, NamedTuple

from experiments.command_line.flag_parsers import check_product, read_settings

LEARNERS = ("naive", "lola_dice_1_lookahead", "pola")
TABULAR = "tabular"
# By kind of policy, the values of flags that are not given.
DEFAULTS = {
    "mlp": {
        "num_iterations": 200,
        "learning_rate": 0.01,
        "inner_learning_rate": 0.02,
    },
    TABULAR: {
        "num_iterations": 80,
        "learning_rate": 6.0,
        "inner_learning_rate": 25.0,
    },
}


class CoinSettings(NamedTuple):
    """All that determines a run. The fields are the flags."""

    policy: str
    learner: str
    num_seeds: int
    seed: int
    num_iterations: int
    batch_size: int
    episode_length: int
    discount: float
    hidden_units: int
    learning_rate: float
    inner_learning_rate: float
    num_outer_steps: int
    outer_penalty: float
    inner_penalty: float
    num_lookaheads: int


def resolve(values: Any) -> CoinSettings:
    """Returns the settings of parsed flags.

    Raises:
      ValueError: if the flags do not fit each other.
    """
    if values.policy == TABULAR and values.discount == 1.0:
        raise ValueError(
            "With --policy=tabular values are exact over an infinite horizon: "
            "--discount must be below 1. Received: 1."
        )
    rates = (values.learning_rate, values.inner_learning_rate)
    if values.policy == TABULAR and values.learner == "pola" and None in rates:
        raise ValueError(
            "The default rates of --policy=tabular are not those of pola: give "
            "--learning_rate and --inner_learning_rate."
        )
    settings = read_settings(CoinSettings, values, DEFAULTS[values.policy])
    check_product(
        num_seeds=settings.num_seeds,
        batch_size=settings.batch_size,
        episode_length=settings.episode_length,
    )
    return settings
