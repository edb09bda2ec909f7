"""The settings of a training: flags, with defaults filled in, and checked."""

from typing import Any, NamedTuple

from absl import flags

from ..command_line.flag_parsers import (
    NONE,
    check_product,
    per_seat,
)
from .defaults import (
    EXACT_DEFAULTS,
    NETWORK,
    TABLE,
    TANDEM_DEFAULTS,
    Defaults,
    defaults_for,
    stepwise_defaults,
    whole_move_defaults,
)
from .line_up import (
    COLA,
    IMAGINING,
    LEARNERS,
    LOLA_DICE,
    LOLA_DICE_OPPONENT_MODEL,
    LOLA_SURROGATE,
    LOQA,
    NAIVE,
    NUMBERED,
    POLA,
    STEPWISE,
    LineUp,
    check_seat,
    method_name,
    parse_method,
)
from .matrix_games import (
    TANDEM,
    count_players,
    given_game,
)
from .training_flags import (
    CRITIC,
    LEAVE_ONE_OUT,
    MLP,
    NO_BASELINE,
    NORMAL,
    STATE_VALUES,
    TABULAR,
)

# How values are computed.
DICE = "dice"
SURROGATE = "surrogate"
EXACT = "exact"

# Flags that are taken as they are.
_SHARED = (
    "episode_length",
    "discount",
    "num_seeds",
    "seed",
    "num_iterations",
    "jit_compile",
    "initial_logits",
    "trust_policy_files",
)
# Flags that may differ by player.
_PER_SEAT = (
    "inner_learning_rate",
    "policy",
    "hidden_units",
    "critic_learning_rate",
    "step_space",
    "optimizer",
    "learning_rate",
    "final_learning_rate",
    "momentum",
    "max_gradient_norm",
    "entropy_coefficient",
)
# Exact values as in the literature, with an infinite horizon.
_EXACT_SHARED = {
    "num_seeds": 200,
    "num_iterations": 100,
    "episode_length": None,
    "initial_logits": NORMAL,
}
_TANDEM_SHARED = _EXACT_SHARED | {"num_seeds": 100, "num_iterations": 30}
# Exact values have no use for these flags.
_OF_SAMPLING = (
    "baseline",
    "loaded_lambda",
    "tau",
    "critic_optimizer",
    "critic_learning_rate",
)
# The tandem game has no rounds, and no use for these either.
_OF_ROUNDS = (
    "discount",
    "episode_length",
    "initial_logits",
    "policy",
    "hidden_units",
    "step_space",
    "entropy_coefficient",
)


class TrainingSettings(NamedTuple):
    """All that determines a training. The fields are the flags.

    A tuple holds one value per player, `None` if the player has no use for
    it: players that do not learn have no rates, naive learners no look-aheads.
    `objective` says how values are computed. With exact values, the settings
    of sampling are `None`, and so is the length of an episode if the horizon
    is infinite. The tandem game has no policies and no discount.
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
    look_ahead_weight: tuple[float | None, ...]
    inner_learning_rate: tuple[float | None, ...]
    policy: tuple[str | None, ...]
    hidden_units: tuple[tuple[int, ...] | None, ...]
    initial_logits: str
    baseline: str | None
    loaded_lambda: float | None
    tau: float | None
    critic_optimizer: str | None
    critic_learning_rate: tuple[float | None, ...]
    step_space: tuple[str | None, ...]
    optimizer: tuple[str | None, ...]
    learning_rate: tuple[float | None, ...]
    final_learning_rate: tuple[float | None, ...]
    momentum: tuple[float | None, ...]
    max_gradient_norm: tuple[float | None, ...]
    entropy_coefficient: tuple[float | None, ...]
    trust_policy_files: bool = False
    strategy: str = NONE

    @property
    def num_players(self) -> int:
        return len(self.learner)

    @property
    def method(self) -> str:
        """The name of the method in files."""
        return method_name(
            self.learner,
            self.num_lookaheads,
            self.batch_size,
            self.look_ahead_weight,
        )


def resolve_method(
    values: flags.FlagValues, name: str, **options: Any
) -> TrainingSettings:
    """Reads the flags of a training whose line-up a method's name says.

    Args:
      values: parsed flags.
      name: of the method, such as `lola_dice_1_lookahead_vs_naive_batch_128`.
      **options: of `resolve_training`.
    """
    line_up, batch_size = parse_method(name)
    return resolve_training(values, line_up, batch_size=batch_size, **options)


def resolve_training(
    values: flags.FlagValues,
    line_up: LineUp,
    *,
    is_exact: bool = False,
    batch_size: int | None = None,
    defaults: Defaults | None = None,
    game: str | None = None,
    payoffs: list | None = None,
) -> TrainingSettings:
    """Reads all flags of a training and fills in the defaults.

    Args:
      values: parsed flags.
      line_up: the players.
      is_exact: whether values are computed in closed form.
      batch_size: the batch size, if it is not that of the flags.
      defaults: settings of players that the flags do not give. Default: those
        of `defaults_for`, and with exact values those of the literature.
      game: name of a game that is played whatever the flags say.
      payoffs: of that game, if they are not those of its name.

    Raises:
      ValueError: if the flags do not fit each other.
    """
    if is_exact and batch_size is not None:
        raise ValueError(
            "Batch sizes are for --mode=sampled. Received a method with "
            f"_batch_{batch_size}."
        )
    if game is None:
        game, payoffs = given_game(values)
        if game == TANDEM and not is_exact:
            raise ValueError(
                f"--game={TANDEM} has no rounds to sample: it is a game of "
                "experiments.compare_learners --mode=exact, with its own rates "
                "and starts."
            )
    num_players = count_players(game, payoffs)
    if is_exact and defaults is None:
        defaults = TANDEM_DEFAULTS if game == TANDEM else EXACT_DEFAULTS
    players = _resolve_players(values, line_up, num_players, defaults)
    seats = {
        name: tuple(player[name] for player in players)
        for name in (
            "learner",
            "num_lookaheads",
            "look_ahead_weight",
            *_PER_SEAT,
        )
    }
    shared = {name: values[name].value for name in _SHARED}
    if is_exact:
        shared |= _exact_settings(values, game)
        seats["critic_learning_rate"] = (None,) * num_players
        if game == TANDEM:
            seats["policy"] = seats["step_space"] = (None,) * num_players
    else:
        shared |= _sampling_settings(values, seats, defaults)
        shared["batch_size"] = batch_size or values.batch_size
    settings = TrainingSettings(game=game, payoffs=payoffs, **shared, **seats)
    _check_learners(settings)
    if is_exact:
        _check_exact(settings)
    else:
        _check_sampling(settings)
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
    columns["look_ahead_weight"] = per_seat(
        "look_ahead_weight", line_up.weights, num_players
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
    if learner != LOLA_DICE:
        given["look_ahead_weight"] = None
    if defaults is None:
        kind = _kind_of(given["policy"])
        # Learners without a number of look-aheads imagine a step once.
        steps = 1 if learner in IMAGINING else 0
        if learner in (LOLA_DICE, LOLA_DICE_OPPONENT_MODEL):
            steps = given["num_lookaheads"]
        defaults = defaults_for(steps, kind)
        if learner == POLA:
            defaults = whole_move_defaults(kind)
        elif learner in STEPWISE:
            defaults = stepwise_defaults(kind)
    player = defaults._asdict() | given | {"learner": learner}
    if learner not in LEARNERS:
        # The objective asks for critics of all seats, or of none.
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


def _kind_of(policy: str) -> str:
    """Returns the kind of a policy, by its name; files hold networks."""
    return TABLE if policy == TABULAR else NETWORK


def _exact_settings(values: flags.FlagValues, game: str) -> dict[str, Any]:
    """Returns the shared settings of values in closed form."""
    is_tandem = game == TANDEM
    for name in _OF_SAMPLING + (_OF_ROUNDS if is_tandem else ()):
        if values[name].present:
            raise ValueError(
                f"--{name} is for play that is sampled. Received: "
                f"--{name}={values[name].value} with --game={game} in "
                "--mode=exact."
            )
    shared = {
        name: values[name].value if values[name].present else default
        for name, default in (
            _TANDEM_SHARED if is_tandem else _EXACT_SHARED
        ).items()
    }
    if is_tandem:
        shared["discount"] = None
    nothing = ("batch_size", "baseline", "loaded_lambda", "tau")
    shared |= dict.fromkeys((*nothing, "critic_optimizer"))
    return shared | {"objective": EXACT}


def _sampling_settings(
    values: flags.FlagValues,
    seats: dict[str, tuple],
    defaults: Defaults | None,
) -> dict[str, Any]:
    """Returns how values are estimated from sampled play."""
    most = max(count or 0 for count in seats["num_lookaheads"])
    defaults = defaults or defaults_for(most)
    usual = CRITIC if LOQA in seats["learner"] else defaults.baseline
    baseline = values.baseline or usual
    # The default decays fit the default baseline, and no other.
    if baseline != defaults.baseline:
        defaults = defaults._replace(loaded_lambda=1.0, tau=1.0)
    decays = {
        name: getattr(defaults, name)
        if values[name].value is None
        else values[name].value
        for name in ("loaded_lambda", "tau")
    }
    is_surrogate = LOLA_SURROGATE in seats["learner"]
    if is_surrogate:
        # It weighs dependencies, which the surrogate does not have.
        decays["loaded_lambda"] = None
    return {
        "objective": SURROGATE if is_surrogate else DICE,
        "baseline": baseline,
        **decays,
        "critic_optimizer": values.critic_optimizer,
    }


def _check_learners(settings: TrainingSettings) -> None:
    received = f"Received: {','.join(settings.learner)}."
    learning = {name for name in settings.learner if name in LEARNERS}
    if not learning:
        raise ValueError(
            "--learner must let at least one player learn "
            f"({', '.join(LEARNERS)}). {received}"
        )
    if LOLA_SURROGATE in learning and not learning <= {LOLA_SURROGATE, NAIVE}:
        raise ValueError(
            f"{LOLA_SURROGATE} can play with itself, {NAIVE} learners and "
            "opponents that do not learn: all players share its objective. "
            f"{received}"
        )
    for optimizer, momentum in zip(
        settings.optimizer, settings.momentum, strict=True
    ):
        if momentum and optimizer != "sgd":
            raise ValueError(
                "--momentum is that of --optimizer=sgd. Received: "
                f"--momentum={momentum:g} with --optimizer={optimizer}."
            )


def _check_exact(settings: TrainingSettings) -> None:
    received = f"Received: {','.join(settings.learner)}."
    if settings.game == TANDEM and not set(settings.learner) <= set(LEARNERS):
        raise ValueError(
            f"--game={TANDEM} has no policies, and so no fixed ones. {received}"
        )
    if settings.game == TANDEM and POLA in settings.learner:
        raise ValueError(
            f"--game={TANDEM} has no policies, the divergence of which "
            f"{POLA} could limit. {received}"
        )
    if settings.episode_length is None and settings.discount == 1.0:
        raise ValueError(
            "--discount must be below 1 with an infinite horizon. Received: "
            "--discount=1. Give --episode_length for a finite one."
        )
    if LOLA_DICE_OPPONENT_MODEL in settings.learner:
        raise ValueError(
            f"{LOLA_DICE_OPPONENT_MODEL} learns its models from play, and "
            "exact values have none: use --mode=sampled or lola_dice."
        )
    playing = set(settings.learner) & set(STEPWISE) - {LOQA}
    if playing:
        raise ValueError(
            f"{', '.join(sorted(playing))} learns from play, and exact values "
            f"have none: use --mode=sampled. {received}"
        )
    if LOQA in settings.learner and settings.episode_length is None:
        raise ValueError(
            f"{LOQA} ascends a mean over the rounds of an episode: give "
            f"--episode_length. {received}"
        )
    if LOLA_SURROGATE in settings.learner:
        raise ValueError(
            f"{LOLA_SURROGATE} is a way to sample: with exact values it would "
            "be lola_dice_1_lookahead."
        )


def _check_sampling(settings: TrainingSettings) -> None:
    check_product(
        num_seeds=settings.num_seeds,
        batch_size=settings.batch_size,
        episode_length=settings.episode_length,
    )
    if COLA in settings.learner:
        raise ValueError(
            f"{COLA} fits updates to exact values: use "
            "experiments.compare_learners --mode=exact. Received: "
            f"{','.join(settings.learner)}."
        )
    if LOQA in settings.learner and settings.baseline != CRITIC:
        raise ValueError(
            f"{LOQA} needs critics of action values: --baseline={CRITIC}. "
            f"Received: --baseline={settings.baseline}."
        )
    needs_others = settings.baseline in (LEAVE_ONE_OUT, STATE_VALUES)
    if needs_others and settings.batch_size == 1:
        raise ValueError(
            f"--baseline={settings.baseline} needs a --batch_size of at least "
            "2. Received: 1. For single episodes, give --baseline=none or "
            "--baseline=critic."
        )
    decays = [settings.loaded_lambda, settings.tau]
    is_loaded = min(decay for decay in decays if decay is not None) < 1.0
    if is_loaded and settings.baseline in (NO_BASELINE, LEAVE_ONE_OUT):
        raise ValueError(
            "--loaded_lambda and --tau below 1 need a --baseline of state "
            f"values. Received: --baseline={settings.baseline}."
        )
