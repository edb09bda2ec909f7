"""The settings of a training: flags, checked and resolved."""

from typing import Any, NamedTuple

from absl import flags

from experiments.defaults import defaults_for
from experiments.flag_parsers import per_seat
from experiments.line_up import LEARNERS, LOLA_DICE, check_seat
from experiments.named_games import CUSTOM
from experiments.payoffs import given_payoffs
from experiments.player_flags import (
    LEAVE_ONE_OUT,
    MLP,
    NO_BASELINE,
    STATE_VALUES,
    TABULAR,
)

# Of a named game.
_NUM_PLAYERS = 2

# Flags that are taken as they are.
_SHARED = (
    "episode_length",
    "discount",
    "batch_size",
    "num_seeds",
    "seed",
    "num_iterations",
    "jit_compile",
    "critic_optimizer",
)
# Flags that may differ by player, beside --learner.
_PER_SEAT = (
    "num_lookaheads",
    "inner_learning_rate",
    "policy",
    "hidden_units",
    "critic_learning_rate",
    "optimizer",
    "learning_rate",
    "final_learning_rate",
    "momentum",
    "max_gradient_norm",
    "entropy_coefficient",
)


class Settings(NamedTuple):
    """All that determines a training. The fields are the flags.

    A tuple holds one value per player, `None` where the player has no use
    for it: those who do not learn have no rates, naive learners no
    look-aheads.
    """

    game: str
    payoffs: list | None
    episode_length: int
    discount: float
    batch_size: int
    num_seeds: int
    seed: int
    num_iterations: int
    jit_compile: bool
    learner: tuple[str, ...]
    num_lookaheads: tuple[int | None, ...]
    inner_learning_rate: tuple[float | None, ...]
    policy: tuple[str | None, ...]
    hidden_units: tuple[tuple[int, ...] | None, ...]
    baseline: str
    loaded_lambda: float
    tau: float
    critic_optimizer: str
    critic_learning_rate: tuple[float | None, ...]
    optimizer: tuple[str | None, ...]
    learning_rate: tuple[float | None, ...]
    final_learning_rate: tuple[float | None, ...]
    momentum: tuple[float | None, ...]
    max_gradient_norm: tuple[float | None, ...]
    entropy_coefficient: tuple[float | None, ...]

    @property
    def num_players(self) -> int:
        return len(self.learner)


def resolve(values: flags.FlagValues) -> Settings:
    """Reads all flags of a training and fills in the defaults.

    Args:
      values: parsed flags.

    Raises:
      ValueError: if they do not fit each other.
    """
    payoffs = given_payoffs(values)
    num_players = _NUM_PLAYERS if payoffs is None else len(payoffs)
    learners = per_seat("learner", values.learner, num_players)
    players = _resolve_players(values, learners)
    most = max(player["num_lookaheads"] or 0 for player in players)
    shared = defaults_for(most)
    baseline = values.baseline or shared.baseline
    # The defaults fit their baseline; with another they are out of place.
    if baseline != shared.baseline:
        shared = shared._replace(loaded_lambda=1.0, tau=1.0)
    settings = Settings(
        game=CUSTOM if values.payoffs else values.game,
        payoffs=None if payoffs is None else payoffs.tolist(),
        baseline=baseline,
        loaded_lambda=_given(values.loaded_lambda, shared.loaded_lambda),
        tau=_given(values.tau, shared.tau),
        **{name: values[name].value for name in _SHARED},
        **{
            name: tuple(player[name] for player in players)
            for name in ("learner", *_PER_SEAT)
        },
    )
    _check_together(settings)
    return settings


def _given(value: float | None, default: float) -> float:
    return default if value is None else value


def _resolve_players(
    values: flags.FlagValues, learners: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Returns the settings of each player by flag."""
    columns = {
        name: per_seat(name, values[name].value, len(learners))
        for name in _PER_SEAT
        if values[name].value is not None
    }
    return [
        _resolve_player(
            check_seat(learner),
            {name: column[player_id] for name, column in columns.items()},
        )
        for player_id, learner in enumerate(learners)
    ]


def _resolve_player(learner: str, given: dict[str, Any]) -> dict[str, Any]:
    num_lookaheads = given["num_lookaheads"] if learner == LOLA_DICE else 0
    is_network = given["policy"] != TABULAR
    player = defaults_for(num_lookaheads, is_network)._asdict() | given
    player["learner"] = learner
    if learner not in LEARNERS:
        # All seats have critics where one has: the objective asks for them.
        kept = ("learner", "critic_learning_rate")
        player.update((name, None) for name in player if name not in kept)
        return player
    if player["final_learning_rate"] is None:
        player["final_learning_rate"] = player["learning_rate"]
    if player["policy"] != MLP:
        player["hidden_units"] = None
    if learner != LOLA_DICE:
        player["num_lookaheads"] = player["inner_learning_rate"] = None
    return player


def _check_together(settings: Settings) -> None:
    if not any(learner in LEARNERS for learner in settings.learner):
        raise ValueError(
            "--learner must let at least one player learn "
            f"({', '.join(LEARNERS)}). Received: {','.join(settings.learner)}."
        )
    alone = settings.batch_size == 1
    if settings.baseline in (LEAVE_ONE_OUT, STATE_VALUES) and alone:
        raise ValueError(
            f"--baseline={settings.baseline} needs a --batch_size of at least "
            "2. Received: 1. For single episodes, give --baseline=none or "
            "--baseline=critic."
        )
    is_loaded = min(settings.loaded_lambda, settings.tau) < 1.0
    if is_loaded and settings.baseline in (NO_BASELINE, LEAVE_ONE_OUT):
        raise ValueError(
            "--loaded_lambda and --tau below 1 need a --baseline of state "
            f"values. Received: --baseline={settings.baseline}."
        )
    for optimizer, momentum in zip(
        settings.optimizer, settings.momentum, strict=True
    ):
        if momentum and optimizer != "sgd":
            raise ValueError(
                "--momentum is that of --optimizer=sgd. Received: "
                f"--momentum={momentum:g} with --optimizer={optimizer}."
            )
