"""Flags of every experiment that trains players in a game."""

from absl import flags

from experiments.command_line.flag_parsers import define, whole_number
from experiments.settings.common_flags import (
    define_game_flags,
    define_output_flags,
)
from experiments.settings.named_games import NAMED_GAMES, TANDEM

# Seeds are int32, and run r takes the seed that many further on.
_LARGEST_SEED = 2**31 - 2**20

define_output_flags()
define(
    "num_seeds",
    "5",
    whole_number(1),
    "Number of independent runs, trained side by side as one program.",
)
define(
    "seed",
    "0",
    whole_number(0, _LARGEST_SEED),
    "Seed of the first run; run r is the run that --seed=SEED+r-1 "
    "--num_seeds=1 gives.",
)
define(
    "num_iterations",
    "200",
    whole_number(1),
    "Number of updates; in each, all players move once, at the same time.",
)
define(
    "batch_size",
    "64",
    whole_number(1),
    "Number of episodes played for each gradient, and for each imagined step "
    "of an opponent.",
)
define_game_flags(
    (*NAMED_GAMES, TANDEM),
    f" {TANDEM} is no such game, and for compare_learners --mode=exact.",
)
flags.DEFINE_boolean("jit_compile", True, "Compile the training step with XLA.")
