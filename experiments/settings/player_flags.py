"""Flags that say how players learn: comma lists in seat order."""

from experiments.command_line.flag_parsers import (
    choice,
    choice_or_file,
    define,
    define_per_seat,
    number,
    optional,
    widths,
)
from experiments.settings.defaults import defaults_for, describe

NO_BASELINE = "none"
LEAVE_ONE_OUT = "leave_one_out"
CRITIC = "critic"
STATE_VALUES = "state_values"
BELLMAN_VALUES = "bellman_values"
BASELINES = (
    NO_BASELINE,
    LEAVE_ONE_OUT,
    STATE_VALUES,
    BELLMAN_VALUES,
    CRITIC,
)
UNIFORM = "uniform"
NORMAL = "normal"
NEARLY_EVEN = "nearly_even"
INITIAL_LOGITS = (UNIFORM, NORMAL, NEARLY_EVEN)
TABULAR = "tabular"
MLP = "mlp"
OPTIMIZERS = ("sgd", "adam", "rmsprop", "adagrad", "nadam")

define_per_seat(
    "inner_learning_rate",
    None,
    number(),
    "Learning rate of the steps that a player imagines its opponents to take, "
    "on their discounted, unnormalised returns."
    + describe("inner_learning_rate"),
)
define_per_seat(
    "policy",
    TABULAR,
    choice_or_file((TABULAR, MLP), ".keras"),
    "Policy: a table with one logit per state, a multi-layer perceptron, or a "
    "Keras model of your own from observations to logits (or to the log-odds "
    "of action 0, of two), whose parameters are drawn anew.",
)
define_per_seat(
    "hidden_units",
    "64x64",
    widths(),
    "mlp: widths of the hidden layers, of the policy and of its critic.",
)
define(
    "initial_logits",
    UNIFORM,
    choice(INITIAL_LOGITS),
    "tabular: distribution that logits start from, uniform on (-1, 1), "
    "standard normal, or uniform on (-0.3, 0.3).",
)
define(
    "baseline",
    None,
    choice(BASELINES),
    "What is subtracted from returns to reduce variance: nothing, the mean "
    "of the other episodes per round, the mean return that the other episodes "
    "had from each state, the values of the Markov chain that the batch "
    "shows, or the values of critics." + describe("baseline"),
)
define(
    "loaded_lambda",
    None,
    number(0.0, 1.0),
    "Loaded DiCE: decay per round of the dependency on earlier actions. Below "
    "1 it needs a baseline of state values. Default: "
    f"{defaults_for(1).loaded_lambda:g} with --baseline=bellman_values, "
    "else 1.",
)
define(
    "tau",
    None,
    number(0.0, 1.0),
    "Loaded DiCE: decay per round of advantages, called lambda in GAE. Below 1 "
    "it needs a baseline of state values. Default: "
    f"{defaults_for(1).tau:g} with --baseline=bellman_values, else 1.",
)
define(
    "critic_optimizer",
    "adam",
    choice(OPTIMIZERS),
    "--baseline=critic: Keras optimiser of the critics.",
)
define_per_seat(
    "critic_learning_rate",
    None,
    number(),
    "--baseline=critic: learning rate of the critics, on the squared error "
    "of the return to go." + describe("critic_learning_rate"),
)
define_per_seat(
    "optimizer",
    None,
    choice(OPTIMIZERS),
    "Keras optimiser of the real updates." + describe("optimizer"),
)
define_per_seat(
    "learning_rate",
    None,
    number(),
    "Learning rate of the real updates, on discounted, unnormalised returns."
    + describe("learning_rate"),
)
define_per_seat(
    "final_learning_rate",
    None,
    optional(number()),
    "Learning rate of the last update, which --learning_rate approaches in "
    "equal steps; none for a constant rate." + describe("final_learning_rate"),
)
define_per_seat(
    "momentum",
    "0",
    number(0.0, 1.0),
    "sgd: momentum of the real updates.",
)
define_per_seat(
    "max_gradient_norm",
    None,
    optional(number(1e-12)),
    "Norm to which the direction of a real update is clipped, in each run by "
    "itself." + describe("max_gradient_norm"),
)
define_per_seat(
    "entropy_coefficient",
    "0",
    number(),
    "Weight of the policy's mean entropy (in nats), over discounted visits of "
    "states, beside the discounted, unnormalised return.",
)
