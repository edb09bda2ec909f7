"""The settings of a match of two policies: flags, checked and resolved."""

from typing import NamedTuple

from absl import flags

from experiments.settings.line_up import OPPONENTS, is_saved_model
from experiments.settings.named_games import CUSTOM
from experiments.settings.payoffs import given_payoffs


class Settings(NamedTuple):
    """All that determines a match. The fields are flags.

    Attributes:
      payoffs: `None` where the game has a name.
    """

    game: str
    payoffs: list | None
    episode_length: int
    discount: float
    batch_size: int
    seed: int
    policy: str
    opponent: str
    player_id: int
    num_moves: int


def resolve(values: flags.FlagValues) -> Settings:
    """Reads the flags.

    Raises:
      ValueError: if they do not fit each other, or a policy is not there.
    """
    payoffs = given_payoffs(values)
    if payoffs is not None and len(payoffs) != 2:
        raise ValueError(
            "--payoffs must be those of two players. Received: "
            f"{len(payoffs)} players."
        )
    for flag in ("policy", "opponent"):
        source = values[flag].value
        if source not in OPPONENTS and not is_saved_model(source):
            raise ValueError(
                f"--{flag} must be one of {', '.join(OPPONENTS)}, or the path "
                f"of a SavedModel. Received: {source!r}."
            )
    shared = Settings._fields[2:]
    return Settings(
        game=values.game if payoffs is None else CUSTOM,
        payoffs=None if payoffs is None else payoffs.tolist(),
        **{name: values[name].value for name in shared},
    )
