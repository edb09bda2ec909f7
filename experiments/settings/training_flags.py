"""Flags that several commands have: each command defines those it needs."""

from collections.abc import Collection

from absl import flags

from ..command_line.flag_parsers import (
    ChoiceOrFile,
    Choices,
    Number,
    OrNone,
    Size,
    Widths,
    define,
    define_per_seat,
    define_seed,
    define_size,
)
from .defaults import defaults_for, describe
from .matrix_games import (
    NAMED_GAMES,
    PRISONERS_DILEMMA,
    TANDEM,
)

NO_BASELINE = "none"
LEAVE_ONE_OUT = "leave_one_out"
CRITIC = "critic"
STATE_VALUES = "state_values"
BELLMAN_VALUES = "bellman_values"
BASELINES = (NO_BASELINE, LEAVE_ONE_OUT, STATE_VALUES, BELLMAN_VALUES, CRITIC)
UNIFORM = "uniform"
NORMAL = "normal"
NEARLY_EVEN = "nearly_even"
TABULAR = "tabular"
MLP = "mlp"
PARAMETERS = "parameters"
OUTPUTS = "outputs"
# Policies with memory, and critics of the same kind.
GRU, LSTM, MIN_GRU = "gru", "lstm", "min_gru"
RECURRENT = (GRU, LSTM, MIN_GRU)
OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop", "adagrad", "nadam")

TRACKERS = ("csv", "tensorboard", "wandb", "mlflow")

MOST_SEEDS = 2**20

# Flags defined here belong to the module that asks for them.
flags.disclaim_key_flags()


def define_output_flags(required: bool = True) -> None:
    """Defines --output_dir and --overwrite."""
    flags.DEFINE_string(
        "output_dir",
        None,
        "Folder for the results; made if it is not there. A folder that holds "
        "an earlier run is refused, see --overwrite.",
        required=required,
    )
    flags.DEFINE_boolean(
        "overwrite",
        False,
        "Replace the earlier run in --output_dir, once this one has finished.",
    )


def define_resume_flags() -> None:
    """Defines --resume and --checkpoint_every."""
    flags.DEFINE_boolean(
        "resume",
        False,
        "Continue the run in --output_dir that was interrupted or killed, "
        "given the same flags as then. It ends as if nothing had happened. "
        "Ctrl-C and SIGTERM let a run save a checkpoint before it stops. "
        "Without a checkpoint there, start at the beginning.",
    )
    define(
        "checkpoint_every",
        "10",
        Number(),
        "Seconds between two checkpoints, at least; they are written when "
        "the progress bar moves. With 0, each time it moves.",
    )


def define_tracking_flags() -> None:
    """Defines --log_to."""
    define(
        "log_to",
        None,
        Choices(TRACKERS),
        "Where training logs its metrics after each epoch: csv and tensorboard "
        "write to logs/ in --output_dir; wandb and mlflow go where these "
        "programs are told to by their environment variables. The results are "
        "the same with and without.",
    )


def define_game_flags(
    names: Collection[str],
    names_text: str = "",
    can_be_endless: bool = False,
) -> None:
    """Defines --game, --payoffs, --episode_length and --discount."""
    flags.DEFINE_enum(
        "game",
        PRISONERS_DILEMMA,
        tuple(names),
        "Matrix game that is played again and again. See also --payoffs."
        + names_text,
    )
    flags.DEFINE_string(
        "payoffs",
        None,
        "Payoffs of a game of your own, instead of --game: an array "
        "[num_players, A_1, ..., A_N], the payoff of each player for each "
        "joint action, as JSON or as the path of a .json or .npy file. "
        "Example: [[[-1,-3],[0,-2]],[[-1,0],[-3,-2]]] is the prisoner's "
        "dilemma.",
    )
    rounds = Size()
    text = "Number of rounds in an episode."
    if can_be_endless:
        rounds = OrNone(rounds)
        text += (
            " With none the horizon is infinite, and --batch_size must be none."
        )
    define("episode_length", "150", rounds, text)
    define(
        "discount",
        "0.96",
        Number(0.0, 1.0),
        "What a reward one round later is worth. Reported returns are "
        "(1 - discount) times the discounted sum of rewards; at discount 1, "
        "the mean reward per round.",
    )


def define_training_flags() -> None:
    """Defines the flags of commands that train players in matrix games."""
    define_output_flags()
    define_resume_flags()
    define_size(
        "num_seeds",
        5,
        "Number of independent runs, trained side by side as one program.",
        most=MOST_SEEDS,
    )
    define_seed(
        "Seed of the first run, of any size; run r is the run that "
        "--seed=SEED+r-1 --num_seeds=1 gives."
    )
    define_size(
        "num_iterations",
        200,
        "Number of updates; in each, all players move once, at the same time.",
    )
    define_size(
        "batch_size",
        64,
        "Number of episodes played for each gradient, and for each imagined "
        "step of an opponent.",
    )
    define_game_flags(
        (*NAMED_GAMES, TANDEM),
        f" The game {TANDEM} is not a matrix game; it is for compare_learners "
        "--mode=exact.",
    )
    flags.DEFINE_boolean(
        "jit_compile", True, "Compile the training step with XLA."
    )
    _define_policy_flags()
    _define_objective_flags()
    _define_optimizer_flags()


def _define_policy_flags() -> None:
    define_per_seat(
        "policy",
        TABULAR,
        ChoiceOrFile((TABULAR, MLP, *RECURRENT), ".keras"),
        "Policy: a table with one logit per state, a multi-layer perceptron, "
        "a network with 32 recurrent units (gated ones, LSTM or minimal gated "
        "ones), or a Keras model of your own from observations to logits (or "
        "to the log-odds of action 0, of two), whose parameters are drawn "
        "anew. See also --trust_policy_files.",
    )
    flags.DEFINE_boolean(
        "trust_policy_files",
        False,
        "Load the .keras files of --policy outside of Keras' safe mode. Such a "
        "file may hold Python code, or name a SavedModel: either is a program, "
        "which runs with your rights. Trust whoever wrote it.",
    )
    define_per_seat(
        "hidden_units",
        "64x64",
        Widths(),
        "mlp: widths of the hidden layers, of the policy and of its critic.",
    )
    flags.DEFINE_enum(
        "initial_logits",
        UNIFORM,
        (UNIFORM, NORMAL, NEARLY_EVEN),
        "tabular: distribution that logits start from, uniform on (-1, 1), "
        "standard normal, or uniform on (-0.3, 0.3).",
    )


def _define_objective_flags() -> None:
    flags.DEFINE_enum(
        "baseline",
        None,
        BASELINES,
        "What is subtracted from returns to reduce variance: nothing, the mean "
        "of the other episodes per round, the mean return that the other "
        "episodes had from each state, the values of the Markov chain that the "
        "batch shows, or the values of critics." + describe("baseline"),
    )
    for name, text in (
        (
            "loaded_lambda",
            "the dependency on earlier actions",
        ),
        ("tau", "advantages, called lambda in GAE"),
    ):
        default = getattr(defaults_for(1), name)
        define(
            name,
            None,
            Number(0.0, 1.0),
            f"Loaded DiCE: decay per round of {text}. Below 1 it needs a "
            f"baseline of state values. Default: {default:g} with "
            "--baseline=bellman_values, else 1.",
        )
    flags.DEFINE_enum(
        "critic_optimizer",
        "adam",
        OPTIMIZERS,
        "--baseline=critic: Keras optimiser of the critics.",
    )
    define_per_seat(
        "critic_learning_rate",
        None,
        Number(),
        "--baseline=critic: learning rate of the critics, on the squared error "
        "of the return to go." + describe("critic_learning_rate"),
    )


def _define_optimizer_flags() -> None:
    for name, default, parser, text in (
        (
            "inner_learning_rate",
            None,
            Number(),
            "Learning rate of the steps that a player imagines its opponents "
            "to take, on their discounted, unnormalised returns.",
        ),
        (
            "step_space",
            None,
            flags.EnumParser((PARAMETERS, OUTPUTS)),
            "Whether real and imagined steps move the parameters of policies "
            "or their outputs, see dice_tf.learners.OutputSpace.",
        ),
        (
            "optimizer",
            None,
            flags.EnumParser(OPTIMIZERS),
            "Keras optimiser of the real updates.",
        ),
        (
            "learning_rate",
            None,
            Number(),
            "Learning rate of the real updates, on discounted, unnormalised "
            "returns.",
        ),
        (
            "final_learning_rate",
            None,
            OrNone(Number()),
            "Learning rate of the last update, which --learning_rate "
            "approaches in equal steps; none for a constant rate.",
        ),
        (
            "momentum",
            "0",
            Number(0.0, 1.0),
            "sgd: momentum of the real updates.",
        ),
        (
            "max_gradient_norm",
            None,
            OrNone(Number(1e-12)),
            "Norm to which the direction of a real update is clipped, in each "
            "run separately.",
        ),
        (
            "entropy_coefficient",
            "0",
            Number(),
            "Weight of the policy's mean entropy (in nats), over discounted "
            "visits of states, beside the discounted, unnormalised return.",
        ),
    ):
        if default is None:
            text += describe(name)
        define_per_seat(name, default, parser, text)
