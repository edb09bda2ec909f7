"""Flags that say who plays, where all runs are of one line-up."""

from absl import flags

from experiments.command_line.flag_parsers import define_per_seat, whole_number
from experiments.settings.line_up import LEARNERS, OPPONENTS

flags.DEFINE_list(
    "learner",
    "lola_dice",
    "Who sits in each seat, such as lola_dice,naive. Learners: "
    f"{', '.join(LEARNERS)}. Opponents that do not learn: "
    f"{', '.join(OPPONENTS)}, or the path of a SavedModel that an earlier "
    "run exported.",
)
define_per_seat(
    "num_lookaheads",
    "1",
    whole_number(0),
    "lola_dice: number of learning steps of the opponents that a player "
    "looks ahead; hola: its order.",
)
