"""The settings that all players share: the game and its objective."""

from typing import Any

from absl import flags

from experiments.settings.defaults import Defaults, defaults_for
from experiments.settings.line_up import LOLA_SURROGATE
from experiments.settings.named_games import (
    CUSTOM,
    NAMED_GAMES,
    TANDEM,
    TANDEM_PLAYERS,
)
from experiments.settings.payoffs import given_payoffs
from experiments.settings.player_flags import NORMAL

# How values are computed.
DICE = "dice"
SURROGATE = "surrogate"
EXACT = "exact"

# In closed form: of the literature, with an infinite horizon.
_EXACT_SHARED = {
    "num_seeds": 200,
    "num_iterations": 100,
    "episode_length": None,
    "initial_logits": NORMAL,
}
_TANDEM_SHARED = {
    "num_seeds": 100,
    "num_iterations": 30,
    "episode_length": None,
    "initial_logits": NORMAL,
}
# Where no play is sampled, these have no meaning.
_OF_SAMPLING = (
    "baseline",
    "loaded_lambda",
    "tau",
    "critic_optimizer",
    "critic_learning_rate",
)
# Where there are no rounds to play, neither have these.
_OF_ROUNDS = (
    "discount",
    "episode_length",
    "initial_logits",
    "policy",
    "hidden_units",
    "entropy_coefficient",
)


def read_game(
    values: flags.FlagValues, is_exact: bool
) -> tuple[str, list | None]:
    """Returns the game's name, and its payoffs if they are a user's."""
    payoffs = given_payoffs(values)
    if payoffs is not None:
        return CUSTOM, payoffs.tolist()
    if values.game == TANDEM and not is_exact:
        raise ValueError(
            f"--game={TANDEM} has no rounds to sample: it is a game of "
            "experiments.compare_learners --mode=exact, with rates and "
            "starts of its own."
        )
    return values.game, None


def count_players(game: str, payoffs: list | None) -> int:
    """Returns how many play a game."""
    if payoffs is not None:
        return len(payoffs)
    return TANDEM_PLAYERS if game == TANDEM else NAMED_GAMES[game].num_players


def exact_settings(values: flags.FlagValues, game: str) -> dict[str, Any]:
    """Returns what differs where values are computed in closed form."""
    unused = (*_OF_SAMPLING, *(_OF_ROUNDS if game == TANDEM else ()))
    for name in unused:
        if values[name].present:
            raise ValueError(
                f"--{name} is for play that is sampled. Received: "
                f"--{name}={values[name].value} with --game={game} in "
                "--mode=exact."
            )
    defaults = _TANDEM_SHARED if game == TANDEM else _EXACT_SHARED
    shared = {
        name: values[name].value if values[name].present else default
        for name, default in defaults.items()
    }
    if game == TANDEM:
        shared["discount"] = None
    nothing = ("batch_size", "baseline", "loaded_lambda", "tau")
    shared |= dict.fromkeys((*nothing, "critic_optimizer"))
    return shared | {"objective": EXACT}


def sampling_settings(
    values: flags.FlagValues,
    seats: dict[str, tuple],
    defaults: Defaults | None,
) -> dict[str, Any]:
    """Returns how values are estimated from sampled play."""
    most = max(count or 0 for count in seats["num_lookaheads"])
    defaults = defaults or defaults_for(most)
    baseline = values.baseline or defaults.baseline
    # The defaults fit their baseline; with another they are out of place.
    if baseline != defaults.baseline:
        defaults = defaults._replace(loaded_lambda=1.0, tau=1.0)
    is_surrogate = LOLA_SURROGATE in seats["learner"]
    loaded_lambda = _given(values.loaded_lambda, defaults.loaded_lambda)
    return {
        "objective": SURROGATE if is_surrogate else DICE,
        "baseline": baseline,
        # It weighs dependencies that the surrogate does not have.
        "loaded_lambda": None if is_surrogate else loaded_lambda,
        "tau": _given(values.tau, defaults.tau),
        "critic_optimizer": values.critic_optimizer,
    }


def _given(value: float | None, default: float) -> float:
    return default if value is None else value
