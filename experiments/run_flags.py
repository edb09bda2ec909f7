"""Flags of every experiment that trains players in a game."""

from absl import flags

from experiments.flag_parsers import choice, define, number, whole_number
from experiments.named_games import NAMED_GAMES, PRISONERS_DILEMMA, TANDEM

# Seeds are int32, and run r takes the seed that many further on.
_LARGEST_SEED = 2**31 - 2**20

flags.DEFINE_string(
    "output_dir",
    None,
    "Folder for the results; made if it is not there. A folder that holds an "
    "earlier run is refused, see --overwrite.",
    required=True,
)
flags.DEFINE_boolean(
    "overwrite",
    False,
    "Replace the earlier run in --output_dir, once this one has finished.",
)
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
define(
    "game",
    PRISONERS_DILEMMA,
    choice((*NAMED_GAMES, TANDEM)),
    "Matrix game that is played again and again; see also --payoffs. tandem "
    "is no such game, and for compare_learners --mode=exact.",
)
flags.DEFINE_string(
    "payoffs",
    None,
    "Payoffs of a game of your own, instead of --game: an array "
    "[num_players, A_1, ..., A_N], the payoff of each player for each joint "
    "action, as JSON or as the path of a .json or .npy file. Example: "
    "[[[-1,-3],[0,-2]],[[-1,0],[-3,-2]]] is the prisoner's dilemma.",
)
define(
    "episode_length",
    "150",
    whole_number(1),
    "Number of rounds in an episode.",
)
define(
    "discount",
    "0.96",
    number(0.0, 1.0),
    "What a reward one round later is worth. Reported returns are "
    "(1 - discount) times the discounted sum of rewards; at discount 1, the "
    "mean reward per round.",
)
flags.DEFINE_boolean("jit_compile", True, "Compile the training step with XLA.")
