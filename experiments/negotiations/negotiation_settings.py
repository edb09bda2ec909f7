"""Settings of `experiments.negotiation`."""

from typing import Any, NamedTuple

from ..command_line.flag_parsers import check_product, read_settings

ACTOR_CRITIC = "actor_critic"
ADVANTAGE_ALIGNMENT = "advantage_alignment"
LEARNERS = (ADVANTAGE_ALIGNMENT, ACTOR_CRITIC)
PASTS = ("averaged", "discounted")
# Flags for which only Advantage Alignment has a use.
_OF_ALIGNMENT = ("weight", "past")


class NegotiationSettings(NamedTuple):
    """All that determines a run. The fields are the flags.

    Flags for which the learner has no use are `None`.
    """

    learner: str
    weight: float | None
    past: str | None
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
    if settings.learner == ADVANTAGE_ALIGNMENT:
        return settings
    for name in _OF_ALIGNMENT:
        if values[name].present:
            raise ValueError(
                f"--{name} has no use with --learner={settings.learner}. "
                f"Received: --{name}={values[name].value}."
            )
    return settings._replace(**dict.fromkeys(_OF_ALIGNMENT))
