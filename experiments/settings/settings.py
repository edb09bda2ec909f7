"""The settings of a training: flags, checked and resolved."""

from typing import Any, NamedTuple

from absl import flags

from experiments.command_line.flag_parsers import per_seat
from experiments.settings.defaults import (
    EXACT_DEFAULTS,
    TANDEM_DEFAULTS,
    Defaults,
    defaults_for,
    whole_move_defaults,
)
from experiments.settings.line_up import (
    IMAGINING,
    LEARNERS,
    LOLA_DICE,
    LOLA_DICE_OPPONENT_MODEL,
    NUMBERED,
    POLA,
    LineUp,
    check_seat,
)
from experiments.settings.named_games import TANDEM
from experiments.settings.player_flags import MLP, TABULAR
from experiments.settings.settings_checks import check_settings
from experiments.settings.shared_settings import (
    count_players,
    exact_settings,
    read_game,
    sampling_settings,
)

# Flags that are taken as they are.
_SHARED = (
    "episode_length",
    "discount",
    "num_seeds",
    "seed",
    "num_iterations",
    "jit_compile",
    "initial_logits",
)
# Flags that may differ by player.
_PER_SEAT = (
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
    look-aheads. `objective` says how values are computed; in closed form what
    belongs to sampling is `None`, and so is the length of an episode with an
    infinite horizon. The tandem game has no policies and no discount.
    """

    game: str
    payoffs: list | None
    objective: str
    episode_length: int | None
    discount: float | None
    batch_size: int | None
    num_seeds: int
    seed: int
    num_iterations: int
    jit_compile: bool
    learner: tuple[str, ...]
    num_lookaheads: tuple[int | None, ...]
    inner_learning_rate: tuple[float | None, ...]
    policy: tuple[str | None, ...]
    hidden_units: tuple[tuple[int, ...] | None, ...]
    initial_logits: str
    baseline: str | None
    loaded_lambda: float | None
    tau: float | None
    critic_optimizer: str | None
    critic_learning_rate: tuple[float | None, ...]
    optimizer: tuple[str | None, ...]
    learning_rate: tuple[float | None, ...]
    final_learning_rate: tuple[float | None, ...]
    momentum: tuple[float | None, ...]
    max_gradient_norm: tuple[float | None, ...]
    entropy_coefficient: tuple[float | None, ...]
    strategy: str = "none"

    @property
    def num_players(self) -> int:
        return len(self.learner)


def resolve(
    values: flags.FlagValues,
    line_up: LineUp,
    *,
    is_exact: bool = False,
    batch_size: int | None = None,
    defaults: Defaults | None = None,
    game: str | None = None,
    payoffs: list | None = None,
) -> Settings:
    """Reads all flags of a training and fills in the defaults.

    Args:
      values: parsed flags.
      line_up: who plays.
      is_exact: whether values are computed in closed form.
      batch_size: where it is not that of the flags.
      defaults: where they are not those of `defaults_for`, nor with exact
        values those of the literature.
      game: name of a game that is played whatever the flags say.
      payoffs: of that game, where they are not those of its name.

    Raises:
      ValueError: if they do not fit each other.
    """
    if game is None:
        game, payoffs = read_game(values, is_exact)
    num_players = count_players(game, payoffs)
    if is_exact and defaults is None:
        defaults = TANDEM_DEFAULTS if game == TANDEM else EXACT_DEFAULTS
    players = _resolve_players(values, line_up, num_players, defaults)
    names = ("learner", "num_lookaheads", *_PER_SEAT)
    seats = {name: tuple(own[name] for own in players) for name in names}
    shared = {name: values[name].value for name in _SHARED}
    if is_exact:
        shared |= exact_settings(values, game)
        seats["critic_learning_rate"] = (None,) * num_players
        if game == TANDEM:
            seats["policy"] = (None,) * num_players
    else:
        shared |= sampling_settings(values, seats, defaults)
        shared["batch_size"] = batch_size or values.batch_size
    settings = Settings(game=game, payoffs=payoffs, **shared, **seats)
    check_settings(settings)
    return settings


def _resolve_players(
    values: flags.FlagValues,
    line_up: LineUp,
    num_players: int,
    defaults: Defaults | None,
) -> list[dict[str, Any]]:
    """Returns the settings of each player by flag."""
    learners = per_seat("learner", line_up.learners, num_players)
    columns = {
        name: per_seat(name, values[name].value, num_players)
        for name in _PER_SEAT
        if values[name].value is not None
    }
    columns["num_lookaheads"] = per_seat(
        "num_lookaheads", line_up.numbers, num_players
    )
    return [
        _resolve_player(
            check_seat(learner),
            {name: column[player_id] for name, column in columns.items()},
            defaults,
        )
        for player_id, learner in enumerate(learners)
    ]


def _resolve_player(
    learner: str, given: dict[str, Any], defaults: Defaults | None
) -> dict[str, Any]:
    if learner not in NUMBERED:
        given["num_lookaheads"] = None
    if defaults is None:
        is_network = given["policy"] != TABULAR
        # A step of the others is imagined once, unless there is a number.
        steps = 1 if learner in IMAGINING else 0
        if learner in (LOLA_DICE, LOLA_DICE_OPPONENT_MODEL):
            steps = given["num_lookaheads"]
        defaults = (
            whole_move_defaults(is_network)
            if learner == POLA
            else defaults_for(steps, is_network)
        )
    player = defaults._asdict() | given | {"learner": learner}
    if learner not in LEARNERS:
        # All seats have critics where one has: the objective asks for them.
        kept = ("learner", "critic_learning_rate")
        player.update((name, None) for name in player if name not in kept)
        return player
    if player["final_learning_rate"] is None:
        player["final_learning_rate"] = player["learning_rate"]
    if player["policy"] != MLP:
        player["hidden_units"] = None
    if learner not in IMAGINING:
        player["inner_learning_rate"] = None
    return player
