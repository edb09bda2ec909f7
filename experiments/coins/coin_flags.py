"""The flags of `experiments.coin_game`."""

from absl import flags

from ..command_line.flag_parsers import (
    LARGEST_SIZE,
    MOST_UNROLLED,
    Number,
    define,
    define_seed,
    define_size,
)
from ..settings.training_flags import (
    MLP,
    MOST_SEEDS,
    TABULAR,
    define_output_flags,
    define_resume_flags,
    define_tracking_flags,
)
from .coin_settings import (
    INNER_RATES,
    LEARNERS,
    OF_NETWORKS,
    OF_PAST_SELVES,
    OF_POLA,
    OF_RECURRENT,
    OF_SHAPING,
    OF_STEPWISE,
    OF_TABLES,
    POLICIES,
    PUSH_EVERY,
)

# How the help names learners that have flags of their own in common.
_STEPWISE = "actor_critic, advantage_alignment, loqa"
_SHAPING = "advantage_alignment, loqa"
# A trainer holds and copies all of them, for each run.
_MOST_PAST_SELVES = 2**16

# Name, least and greatest value, and help.
_SIZES = (
    ("batch_size", 2, LARGEST_SIZE, "Episodes of each play."),
    ("episode_length", 1, LARGEST_SIZE, "Steps of an episode."),
    (
        "hidden_units",
        1,
        LARGEST_SIZE,
        "Networks: width of both layers, or size of the memory.",
    ),
    ("num_iterations", 1, LARGEST_SIZE, "Number of updates."),
    ("num_outer_steps", 1, MOST_UNROLLED, "pola: outer steps of each update."),
    (
        "num_lookaheads",
        0,
        MOST_UNROLLED,
        "pola: look-aheads of each outer step.",
    ),
    (
        "past_selves",
        0,
        _MOST_PAST_SELVES,
        f"{_STEPWISE}: number of past selves that a learner also meets, the "
        f"last ones, of which one is kept every {PUSH_EVERY} updates; 0 for "
        "none.",
    ),
)
# Name, parser and help.
_NUMBERS = (
    (
        "learning_rate",
        Number(),
        "Rate of Adam, of SGD (tabular), or of the outer steps of pola.",
    ),
    (
        "final_learning_rate",
        Number(),
        f"{_STEPWISE}: rate of the policy in the last update, approached in "
        "equal steps.",
    ),
    (
        "inner_learning_rate",
        Number(),
        "lola_dice_1_lookahead, pola: rate of imagined steps.",
    ),
    ("outer_penalty", Number(), "pola: price of the player's own divergence."),
    ("inner_penalty", Number(), "pola: price of the opponent's divergence."),
    (
        "critic_learning_rate",
        Number(),
        f"{_STEPWISE}: rate of Adam for the critic.",
    ),
    (
        "entropy_coefficient",
        Number(),
        f"{_STEPWISE}: weight of the policy's mean entropy (in nats).",
    ),
    (
        "max_gradient_norm",
        Number(1e-12),
        f"{_STEPWISE}: norm to which the direction of an update is clipped.",
    ),
    (
        "tau",
        Number(0.0, 1.0),
        f"{_STEPWISE}: decay of generalised advantages, called lambda in GAE.",
    ),
    (
        "weight",
        Number(),
        f"{_SHAPING}: weight of the term that shapes the opponent.",
    ),
    (
        "past_selves_share",
        Number(0.0, 1.0),
        "With --past_selves: probability that the opponent of an update is one "
        "of them, and not the learner as it is.",
    ),
)

flags.disclaim_key_flags()


def define_coin_flags() -> None:
    """Defines the flags, as those of the module that asks for them."""
    define_output_flags()
    define_resume_flags()
    define_tracking_flags()
    flags.DEFINE_enum(
        "policy",
        MLP,
        POLICIES,
        "What both players are: networks of two layers, tables, or networks "
        "of gated recurrent units, ordinary or minimal ones.",
    )
    flags.DEFINE_enum("learner", "naive", LEARNERS, "How both players learn.")
    define_size("num_seeds", 1, "Number of independent runs.", most=MOST_SEEDS)
    define_seed("Seed of the first run.")
    define(
        "discount", "0.96", Number(0.0, 1.0), "Worth of a reward a step later."
    )
    for name, least, most, text in _SIZES:
        define_size(name, None, text + _default(name), least, most)
    for name, parser, text in _NUMBERS:
        define(name, None, parser, text + _default(name))


def _default(name: str) -> str:
    """Returns a sentence on the default of a flag, by what uses it."""
    if name == "final_learning_rate":
        last = OF_RECURRENT[name]
        return f" Default: that of the first; gru and min_gru {last:g}."
    if name == "inner_learning_rate":
        return f" Default: {INNER_RATES[MLP]}; tabular {INNER_RATES[TABULAR]}."
    values = [
        f"{text}{defaults[name]:g}"
        for text, defaults in (
            ("", OF_NETWORKS),
            ("tabular ", OF_TABLES),
            (f"{_STEPWISE} " if name in OF_NETWORKS else "", OF_STEPWISE),
            ("", OF_PAST_SELVES),
            ("", OF_SHAPING),
            ("gru and min_gru ", OF_RECURRENT),
            ("", OF_POLA),
        )
        if name in defaults
    ]
    return f" Default: {'; '.join(values)}."
