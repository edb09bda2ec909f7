"""Settings of `experiments.negotiation`."""

from typing import Any, NamedTuple

from experiments.command_line.flag_parsers import check_product, read_settings

ACTOR_CRITIC = "actor_critic"
ADVANTAGE_ALIGNMENT = "advantage_alignment"
LEARNERS = (ADVANTAGE_ALIGNMENT, ACTOR_CRITIC)
PASTS = ("averaged", "discounted")


class NegotiationSettings(NamedTuple):
    """All that determines a run. The fields are the flags."""

    learner: str
    weight: float
    past: str
    num_seeds: int
    seed: int
    num_iterations: int
    batch_size: int
    episode_length: int
    discount: float
    tau: float
    hidden_units: int
    learning_rate: float
    critic_learning_rate: float
    entropy_coefficient: float
    max_gradient_norm: float | None


def resolve(values: Any) -> NegotiationSettings:
    """Returns the settings of parsed flags.

    Raises:
      ValueError: if the flags do not fit each other.
    """
    settings = read_settings(NegotiationSettings, values)
    check_product(
        num_seeds=settings.num_seeds,
        batch_size=settings.batch_size,
        episode_length=settings.episode_length,
    )
    return settings
